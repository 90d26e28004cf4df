/**
 * What the process that started this one has told it to ignore.
 *
 * @module
 */

import { LIBC_NAMES, openLibrary } from "./native_library.ts";
import { readSmallFile } from "./native_linux.ts";

const SYMBOLS = {
  signal: { parameters: ["i32", "usize"], result: "usize" },
} as const;

/** From `signal.h`: nothing happens. */
const SIG_IGN = 1n;

/**
 * Tells whether a signal is ignored. It is if this process was started so, as
 * `nohup` does with SIGHUP, and has not asked to be told of the signal.
 *
 * @param signal Its number, 1 to 31.
 * @returns False also where that cannot be known.
 */
export function isSignalIgnored(signal: number): boolean {
  const status = readSmallFile("/proc/self/status");
  // A mask of 64 bits in hexadecimal, the lowest of which is signal 1.
  const [, mask = ""] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  const low = parseInt(mask.slice(-8), 16);
  return ((low >>> (signal - 1)) & 1) === 1;
}

/**
 * Ignores a signal, and lets programs that this process starts ignore it. The
 * runtime undoes that for some signals whenever it is asked to tell of another
 * one: this comes afterwards.
 *
 * @param signal Its number, 1 to 31.
 */
export function ignoreSignal(signal: number): void {
  // Without the library it cannot be known either that the signal is ignored.
  const library = openLibrary(LIBC_NAMES, SYMBOLS);
  library?.symbols.signal(signal, SIG_IGN);
  library?.close();
}
