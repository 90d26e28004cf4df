/**
 * Why a remote component refuses requests.
 *
 * @module
 */

import { counted, messageOf, VirstorError } from "../../errors.ts";

/**
 * Makes the error of a component that is closed.
 *
 * @param path The URI of the far side, without a password.
 * @param action The verb of the request.
 * @returns The error, of code `io`.
 */
export function closedError(path: string, action: string): VirstorError {
  return new VirstorError("io", `Cannot ${action} "${path}": it is closed`);
}

/**
 * Makes the error of a component that takes no more changes.
 *
 * @param path The URI of the far side, without a password.
 * @param action The verb of the request.
 * @param failure Why it takes none.
 * @returns The error, of code `io`.
 */
export function stoppedError(
  path: string,
  action: string,
  failure: VirstorError,
): VirstorError {
  const message = `Cannot ${action} "${path}": ${messageOf(failure)}`;
  return new VirstorError("io", message, { cause: failure });
}

/**
 * Makes the error of a component whose far side is waited for no more.
 *
 * @param path The URI of the far side, without a password.
 * @param reason Why, as in `the pool is stopped`.
 * @param pending Changes that the far side may lack.
 * @returns The error, of code `io`.
 */
export function awayError(
  path: string,
  reason: string,
  pending: number,
): VirstorError {
  return new VirstorError(
    "io",
    `The far side of "${path}" does not answer, and ${reason}: ` +
      `${counted(pending, "change")} that it may lack stay in the journal`,
  );
}
