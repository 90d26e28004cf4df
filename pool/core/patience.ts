/**
 * Patience with locks: `status` and `check` of a stopped pool hold a shared
 * lock for milliseconds, and a command that runs in that moment should not
 * fail.
 *
 * @module
 */

import { FileInUseError } from "../../device/file/mod.ts";
import { VirstorError } from "../../errors.ts";

/** How long to retry while a file is locked, milliseconds. */
const PATIENCE_MS = 300;
/**
 * How long to retry while a file is open elsewhere, milliseconds. A process that
 * was just started briefly holds the descriptors of its parent, even if the
 * parent has closed them.
 */
const OPEN_PATIENCE_MS = 1000;
/**
 * An attempt is the last one if it ends later than this, milliseconds: another
 * machine may have taken long to answer.
 */
const LATE_MS = 5000;
/** The time between two attempts, milliseconds. */
const PAUSE_MS = 30;

/** A component on another machine has an owner that was watched for long. */
export class OwnerBusyError extends VirstorError {
  /**
   * Creates an error of code `busy`.
   *
   * @param message One line.
   */
  constructor(message: string) {
    super("busy", message);
  }
}

/**
 * Runs an operation that takes locks, and retries for a moment while another
 * process holds them.
 *
 * *Requires*: a failed attempt leaves nothing open or changed.
 *
 * @param attempt The operation.
 * @returns Its result.
 * @throws {VirstorError} `busy` if the locks stay taken, naming the holder;
 *   any other error of the operation.
 */
export async function withPatience<T>(
  attempt: () => T | Promise<T>,
): Promise<T> {
  const begun = performance.now();
  for (let waited = 0;; waited += PAUSE_MS) {
    try {
      return await attempt();
    } catch (error) {
      const isBusy = error instanceof VirstorError && error.code === "busy" &&
        !(error instanceof OwnerBusyError);
      const isOpen = error instanceof FileInUseError;
      const patience = isOpen ? OPEN_PATIENCE_MS : PATIENCE_MS;
      const isLate = performance.now() - begun >= LATE_MS;
      if (!isBusy || isLate || waited >= patience) {
        throw isOpen ? await error.named() : error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
