/**
 * Signals that this process ignores because its parent process did.
 *
 * @module
 */

import { LIBC_NAMES, openLibrary } from "./native_library.ts";
import { readSmallFile } from "./native_linux.ts";

const SYMBOLS = {
  signal: { parameters: ["i32", "usize"], result: "usize" },
} as const;

/** From `signal.h`: the handler that ignores a signal. */
const SIG_IGN = 1n;

/**
 * Tells whether this process ignores a signal. A process inherits that, as
 * from `nohup` for SIGHUP, until it installs a handler of its own.
 *
 * @param signal Number of the signal, 1 to 31.
 * @returns True if the signal is ignored; false also if that is not known.
 */
export function isSignalIgnored(signal: number): boolean {
  const status = readSmallFile("/proc/self/status");
  // A 64-bit mask in hexadecimal; its lowest bit is signal 1.
  const [, mask = ""] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  const low = parseInt(mask.slice(-8), 16);
  return ((low >>> (signal - 1)) & 1) === 1;
}

/**
 * Ignores a signal. Programs that this process starts inherit that. The runtime
 * undoes it for some signals whenever it installs a handler for another one.
 *
 * *Requires:* the caller calls this after it has installed its handlers.
 *
 * @param signal Number of the signal, 1 to 31.
 */
export function ignoreSignal(signal: number): void {
  // Without the C library isSignalIgnored() is always false, too.
  const library = openLibrary(LIBC_NAMES, SYMBOLS);
  library?.symbols.signal(signal, SIG_IGN);
  library?.close();
}
