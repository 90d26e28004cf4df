/**
 * Steps whose failure leaves the state on disk unknown.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";

/**
 * Runs such a step.
 *
 * @param what What may be half written if it fails, for instance "The labels".
 * @param step The step.
 * @throws {VirstorError} `failed` with the cause, if the step fails.
 */
export async function inDoubt(
  what: string,
  step: () => Promise<void>,
): Promise<void> {
  try {
    await step();
  } catch (error) {
    throw new VirstorError(
      "failed",
      `${what} may be half written: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
