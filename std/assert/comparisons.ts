/**
 * Assertions about order and about text.
 *
 * @module
 */
import { AssertionError, withNote } from "./assertion_error.ts";
import { show } from "./show.ts";

/** Throws unless `actual` > `expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) throw unordered(actual, ">", expected, msg);
}

/** Throws unless `actual` >= `expected`. */
export function assertGreaterOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  if (!(actual >= expected)) throw unordered(actual, ">=", expected, msg);
}

/** Throws unless `actual` < `expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) throw unordered(actual, "<", expected, msg);
}

/** Throws unless `actual` <= `expected`. */
export function assertLessOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  if (!(actual <= expected)) throw unordered(actual, "<=", expected, msg);
}

function unordered(
  actual: unknown,
  relation: string,
  expected: unknown,
  msg?: string,
): AssertionError {
  return new AssertionError(
    withNote(`Expect ${show(actual)} ${relation} ${show(expected)}`, msg),
  );
}

/** Throws unless `expected` is a part of `actual`. */
export function assertStringIncludes(
  actual: string,
  expected: string,
  msg?: string,
): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(
    withNote(
      `Expected actual: ${show(actual)} to contain: ${show(expected)}`,
      msg,
    ),
  );
}

/** Throws unless `expected` matches `actual`. */
export function assertMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void {
  if (expected.test(actual)) return;
  throw new AssertionError(
    withNote(`Expected actual: ${show(actual)} to match: ${expected}`, msg),
  );
}

/** Throws if `expected` matches `actual`. */
export function assertNotMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void {
  if (!expected.test(actual)) return;
  throw new AssertionError(
    withNote(`Expected actual: ${show(actual)} to not match: ${expected}`, msg),
  );
}
