/**
 * A stand-in for `@std/assert` where JSR cannot be reached: the assertions that
 * this project uses, with the names and signatures of the real package. Nothing
 * here is looser than the real one, so what passes here passes there.
 *
 * @module
 */
export * from "./assertion_error.ts";
export * from "./comparisons.ts";
export * from "./equality.ts";
export * from "./throws.ts";
export * from "./truth.ts";
