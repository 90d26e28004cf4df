/**
 * Steps after whose failure nobody knows what is on disk.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";

/**
 * Takes such a step.
 *
 * @param what What may be half written then, as "The labels".
 * @param step What to do.
 * @throws {VirstorError} `failed` with the reason, if the step fails.
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
