/**
 * Assertions about two values being the same, deeply or strictly.
 *
 * Deep equality is that of `node:util`. It is the stricter one: the real
 * package also takes 0 for -0, and an object without prototype for a plain one.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { AssertionError, withNote } from "./assertion_error.ts";
import { show, showDifference } from "./show.ts";

/** Anything with numbered elements. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

/** Whether two values are deeply equal. */
export function equal(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b);
}

/** Throws unless the values are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  throw new AssertionError(
    `${withNote("Values are not equal", msg)}\n\n${
      showDifference(actual, expected)
    }\n`,
  );
}

/** Throws if the values are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  throw new AssertionError(
    withNote(
      `Expected actual: ${show(actual)} not to be: ${show(expected)}`,
      msg,
    ),
  );
}

/** Throws unless the values are the same, by `Object.is`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const found = equal(actual, expected)
    ? `Values have the same structure but are not reference-equal\n\n    ${
      show(actual)
    }`
    : `Values are not strictly equal\n\n${showDifference(actual, expected)}`;
  throw new AssertionError(`${withNote(found, msg)}\n`);
}

/** Throws if the values are the same, by `Object.is`. */
export function assertNotStrictEquals<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  if (!Object.is(actual, expected)) return;
  throw new AssertionError(
    withNote(
      `Expected "actual" to not be strictly equal to: ${show(actual)}`,
      msg,
    ),
  );
}

/** Throws unless each of `expected` is deeply equal to one of `actual`. */
export function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void {
  const present = Array.from(actual);
  const missing = Array.from(expected)
    .filter((wanted) => !present.some((found) => equal(found, wanted)));
  if (missing.length === 0) return;
  throw new AssertionError(
    withNote(
      `Expected actual: ${show(actual)} to include: ${
        show(expected)
      }\nmissing: ${show(missing)}`,
      msg,
    ),
  );
}

/**
 * Throws unless `actual` has everything that `expected` has; what else it has
 * does not matter.
 */
export function assertObjectMatch(
  // What the real one takes: a type that also interfaces are assignable to.
  // deno-lint-ignore no-explicit-any
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  assertEquals(sameShape(actual, expected), expected, msg);
}

/** The part of `actual` that `expected` speaks of. */
function sameShape(actual: unknown, expected: unknown): unknown {
  if (!isPlain(actual) || !isPlain(expected)) return actual;
  const part: Record<PropertyKey, unknown> = {};
  for (const key of Reflect.ownKeys(expected)) {
    if (key in actual) part[key] = sameShape(actual[key], expected[key]);
  }
  return part;
}

function isPlain(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === "object" && value !== null &&
    !Array.isArray(value) && !ArrayBuffer.isView(value) &&
    !(value instanceof Map) && !(value instanceof Set) &&
    !(value instanceof RegExp) && !(value instanceof Date);
}
