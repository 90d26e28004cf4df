/**
 * A stand-in for `@std/cli` where JSR cannot be reached: `parseArgs`, with the
 * name, the signature and the results of the real one.
 *
 * @module
 */
export * from "./parse_args.ts";
