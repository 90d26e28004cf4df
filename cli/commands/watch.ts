/**
 * Repeats a command that shows something, until a signal ends it.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import { handleSignals, pause } from "../signals/mod.ts";
import { clearScreen, EXIT_OK, print, printError } from "../terminal/mod.ts";

/** Milliseconds between two looks. */
const PAUSE_MS = 2000;

/**
 * Shows something again and again: on a terminal in the same place, else below
 * one another, with an empty line between. An error is shown, too, and may be
 * over at the next look.
 *
 * @param show Shows it once.
 * @returns The exit code, after SIGINT or SIGTERM.
 */
export async function watch(show: () => Promise<number>): Promise<number> {
  const end = new AbortController();
  const release = handleSignals({ begin: () => end.abort() });
  try {
    for (let isFirst = true; !end.signal.aborted; isFirst = false) {
      if (!clearScreen() && !isFirst) print("");
      try {
        await show();
      } catch (error) {
        if (!(error instanceof VirstorError)) throw error;
        printError(`virstor: ${messageOf(error)}`);
      }
      await pause(PAUSE_MS, end.signal);
    }
  } finally {
    release();
  }
  return EXIT_OK;
}
