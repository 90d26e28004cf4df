/**
 * Signals for process groups, which the runtime cannot send with the permissions
 * of a server.
 *
 * @module
 */

import { LIBC_NAMES, openLibrary } from "./native_library.ts";

const SYMBOLS = {
  kill: { parameters: ["i32", "i32"], result: "i32" },
} as const;

/** From `signal.h`. */
const NUMBERS = { SIGTERM: 15, SIGKILL: 9 } as const;

/**
 * Sends a signal to all processes of a group.
 *
 * *Requires*: the caller knows that the group is its own.
 *
 * @param group The number of the group, that of the process that leads it;
 *   above 1.
 * @param signal The signal.
 * @returns Whether a process got it; false also without native calls.
 */
export function signalGroup(
  group: number,
  signal: keyof typeof NUMBERS,
): boolean {
  if (!(group > 1)) return false;
  const library = openLibrary(LIBC_NAMES, SYMBOLS);
  const result = library?.symbols.kill(-group, NUMBERS[signal]);
  library?.close();
  return result === 0;
}
