/**
 * Repeats a command that shows something, until a signal ends it.
 *
 * @module
 */

import { messageOf, VirstorError } from "../../errors.ts";
import { handleSignals } from "../signals/mod.ts";
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
      await pause(end.signal);
    }
  } finally {
    release();
  }
  return EXIT_OK;
}

/** Waits, or returns early when the signal is aborted. */
async function pause(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const done = Promise.withResolvers<void>();
  const timer = setTimeout(done.resolve, PAUSE_MS);
  const abort = () => done.resolve();
  signal.addEventListener("abort", abort, { once: true });
  await done.promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", abort);
}
