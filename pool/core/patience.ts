/**
 * Patience with locks: `status` and `check` of a stopped pool hold a shared
 * lock for milliseconds, and nobody who comes in that moment should fail.
 *
 * @module
 */

import { FileInUseError } from "../../device/file/mod.ts";
import { VirstorError } from "../../errors.ts";

/** How long a lock is waited for, milliseconds. */
const PATIENCE_MS = 300;
/**
 * How long a file is waited for that is open elsewhere, milliseconds: where a
 * process starts another one, the new one has for a moment what the old one had
 * open, although that has closed it.
 */
const OPEN_PATIENCE_MS = 1000;
/** How often it is tried, milliseconds. */
const PAUSE_MS = 30;

/**
 * Does something that takes locks, and tries again for a moment while they are
 * taken by somebody else.
 *
 * @param attempt What to do; when it fails it leaves nothing behind.
 * @returns What it returns.
 * @throws {VirstorError} `busy` if they stay taken, naming what has the file;
 *   whatever else it throws.
 */
export async function withPatience<T>(attempt: () => T): Promise<T> {
  for (let waited = 0;; waited += PAUSE_MS) {
    try {
      return attempt();
    } catch (error) {
      const isBusy = error instanceof VirstorError && error.code === "busy";
      const isOpen = error instanceof FileInUseError;
      const patience = isOpen ? OPEN_PATIENCE_MS : PATIENCE_MS;
      if (!isBusy || waited >= patience) {
        throw isOpen ? await error.named() : error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
