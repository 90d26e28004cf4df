/**
 * A stand-in for `@std/fs` where JSR cannot be reached: what this project uses
 * of it, with the names and signatures of the real package.
 *
 * @module
 */
export * from "./directories.ts";
export * from "./exists.ts";
export * from "./walk.ts";
