/**
 * The signals that ask a command to end.
 *
 * @module
 */

import { ignoreSignal, isSignalIgnored } from "../../device/linux/mod.ts";
import { EXIT_SIGNAL } from "./exit_code.ts";

/** The signals, and their numbers. */
const STOP_SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

/** A signal that comes so soon after the first is its echo, milliseconds. */
const ECHO_MS = 1000;

/** What obeys signals. */
export interface SignalHandler {
  /**
   * Called for the first signal: begins to end.
   *
   * @param signal Its name.
   */
  begin(signal: string): void;

  /**
   * Whether the end has begun for another reason.
   *
   * @returns True if so.
   */
  isEnding?(): boolean;
}

/**
 * Obeys SIGINT, SIGTERM and SIGHUP: the first begins the end, another one ends
 * the process at once; unless it is the same one again: a terminal sends Ctrl-C
 * to a whole group, whose members may pass it on. A SIGHUP that this process was
 * started to ignore, as by `nohup`, stays ignored.
 *
 * @param handler What begins the end.
 * @returns Ends the obedience.
 */
export function obeySignals(handler: SignalHandler): () => void {
  let first = "";
  let quietUntil = 0;
  const isIgnored = isSignalIgnored(STOP_SIGNALS.SIGHUP);
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
      handler.begin(signal);
    };
    Deno.addSignalListener(signal, listener);
    return { signal, listener };
  });
  // The command of --run ignores it, too.
  if (isIgnored) ignoreSignal(STOP_SIGNALS.SIGHUP);
  return () => {
    for (const { signal, listener } of listeners) {
      Deno.removeSignalListener(signal, listener);
    }
  };
}
