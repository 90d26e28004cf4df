/**
 * The signals that ask a command to end.
 *
 * @module
 */

import { ignoreSignal, isSignalIgnored } from "../../device/linux/mod.ts";
import { EXIT_SIGNAL, readVariable } from "../terminal/mod.ts";

/** The signals, and their numbers. */
const STOP_SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/** The same signal within so many milliseconds of the first is its echo. */
const ECHO_MS = 1000;

/** The work that a signal ends. */
export interface SignalHandler {
  /**
   * Called for the first signal: begins the end.
   *
   * @param signal The signal's name, for instance `SIGTERM`.
   * @param exitCode The exit code of a process that the signal ends.
   */
  begin(signal: string, exitCode: number): void;

  /**
   * Tells whether the end has begun for another reason.
   *
   * @returns True if the next signal has to end the process at once.
   */
  isEnding?(): boolean;
}

/**
 * Handles SIGINT, SIGTERM and SIGHUP: the first signal begins the end, another
 * one ends the process at once. The same signal again within a second is
 * ignored: a terminal sends Ctrl-C to a whole group, whose members may pass it
 * on. If SIGHUP is ignored when the process starts, as under `nohup`, it stays
 * ignored.
 *
 * @param handler Begins the end.
 * @returns Removes the signal handlers.
 */
export function handleSignals(handler: SignalHandler): () => void {
  let first = "";
  let quietUntil = 0;
  const isIgnored = isHangupIgnored();
  const listeners = Object.entries(STOP_SIGNALS).map(([name, number]) => {
    const signal = name as keyof typeof STOP_SIGNALS;
    const listener = () => {
      if (signal === "SIGHUP" && isIgnored) return;
      if (signal === first && performance.now() < quietUntil) return;
      if (first !== "" || handler.isEnding?.() === true) {
        Deno.exit(EXIT_SIGNAL + number);
      }
      first = signal;
      quietUntil = performance.now() + ECHO_MS;
      handler.begin(signal, EXIT_SIGNAL + number);
    };
    Deno.addSignalListener(signal, listener);
    return { signal, listener };
  });
  // The command of --run inherits that, and ignores SIGHUP, too.
  if (isIgnored) ignoreSignal(STOP_SIGNALS.SIGHUP);
  return () => {
    for (const { signal, listener } of listeners) {
      Deno.removeSignalListener(signal, listener);
    }
  };
}

/**
 * Whether SIGHUP was ignored when the process started. The launcher looks before
 * the runtime starts, which may install handlers of its own.
 */
function isHangupIgnored(): boolean {
  return readVariable("VIRSTOR_IGNORE_SIGHUP") === "1" ||
    isSignalIgnored(STOP_SIGNALS.SIGHUP);
}
