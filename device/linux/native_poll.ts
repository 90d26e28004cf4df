/**
 * Looks whether a descriptor takes bytes now.
 *
 * @module
 */

import { LIBC_NAMES, openLibrary } from "./native_library.ts";

const SYMBOLS = {
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
} as const;

/** A `poll` that waits on a thread of the runtime's, while others go on. */
export const WAITING_POLL = {
  parameters: ["buffer", "usize", "i32"],
  result: "i32",
  nonblocking: true,
} as const;

/** From `poll.h`; the same on x86-64 and arm64. */
const POLLOUT = 4;

/**
 * Tells whether a descriptor takes bytes.
 *
 * @param waitMs Milliseconds to wait for that, whole; the caller blocks.
 * @returns Whether a write of 4096 bytes ends at once, perhaps with an error.
 */
export type WriteGate = (waitMs: number) => boolean;

/**
 * Prepares to look whether a descriptor takes bytes.
 *
 * @param descriptor The descriptor. It stays open.
 * @returns The look; undefined on another system, or without permission
 *   (`--allow-ffi`).
 */
export function openWriteGate(descriptor: number): WriteGate | undefined {
  const library = openLibrary(LIBC_NAMES, SYMBOLS);
  if (library === null) return undefined;
  // A `struct pollfd`: i32 descriptor, i16 events, i16 returned events.
  const about = new Uint8Array(8);
  const view = new DataView(about.buffer);
  view.setInt32(0, descriptor, true);
  view.setInt16(4, POLLOUT, true);
  const { poll } = library.symbols;
  return (waitMs) => poll(about, 1n, waitMs) !== 0;
}
