/**
 * Assertions about functions that must fail.
 *
 * @module
 */
import { AssertionError, withNote } from "./assertion_error.ts";
import { show } from "./show.ts";

/** A class of errors. */
export type ErrorClass<E extends Error> = abstract new (...args: never[]) => E;

/** Throws unless `fn` throws. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Throws unless `fn` throws an error of this class, with this in its message. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  ...wanted: WantedArguments
): unknown {
  const { note } = wantedOf(wanted);
  try {
    fn();
  } catch (error) {
    checkError(error, wanted);
    return error;
  }
  throw new AssertionError(withNote("Expected function to throw", note));
}

/** Rejects unless `fn` returns a promise that rejects. */
export function assertRejects(
  fn: () => PromiseLike<unknown>,
  msg?: string,
): Promise<unknown>;
/**
 * Rejects unless `fn` returns a promise that rejects with an error of this
 * class, with this in its message.
 */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  ...wanted: WantedArguments
): Promise<unknown> {
  const { note } = wantedOf(wanted);
  const pending = start(fn, note);
  try {
    await pending;
  } catch (error) {
    checkError(error, wanted);
    return error;
  }
  throw new AssertionError(withNote("Expected function to reject", note));
}

/** Throws unless `error` is of this class, with this in its message. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  errorClass?: ErrorClass<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) {
    throw new AssertionError(
      withNote(`Expected "error" to be an Error object: ${show(error)}`, msg),
    );
  }
  if (errorClass !== undefined && !(error instanceof errorClass)) {
    throw new AssertionError(
      withNote(
        `Expected error to be instance of "${errorClass.name}", but was "${error.constructor.name}" with message ${
          show(error.message)
        }`,
        msg,
      ),
      { cause: error },
    );
  }
  if (msgMatches === undefined) return;
  const matches = typeof msgMatches === "string"
    ? error.message.includes(msgMatches)
    : msgMatches.test(error.message);
  if (matches) return;
  throw new AssertionError(
    withNote(
      `Expected error message to include ${show(msgMatches)}, but got ${
        show(error.message)
      }`,
      msg,
    ),
    { cause: error },
  );
}

/** What follows the function: a note, or a class, a text and a note. */
type WantedArguments = [
  (string | ErrorClass<Error>)?,
  string?,
  string?,
];

interface Wanted {
  readonly errorClass: ErrorClass<Error> | undefined;
  readonly msgIncludes: string | undefined;
  readonly note: string | undefined;
}

function wantedOf([first, msgIncludes, note]: WantedArguments): Wanted {
  if (typeof first === "string") {
    return { errorClass: undefined, msgIncludes: undefined, note: first };
  }
  return { errorClass: first, msgIncludes, note };
}

function checkError(error: unknown, wanted: WantedArguments): void {
  const { errorClass, msgIncludes, note } = wantedOf(wanted);
  if (errorClass === undefined) return;
  assertIsError(error, errorClass, msgIncludes, note);
}

/** A function that throws at once has not returned a promise that rejects. */
function start(
  fn: () => PromiseLike<unknown>,
  note: string | undefined,
): PromiseLike<unknown> {
  let pending: unknown;
  try {
    pending = fn();
  } catch (error) {
    throw new AssertionError(
      withNote("Function throws when expected to reject", note),
      { cause: error },
    );
  }
  if (isPromiseLike(pending)) return pending;
  throw new AssertionError(
    withNote("Function throws when expected to reject", note),
  );
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value &&
    typeof value.then === "function";
}
