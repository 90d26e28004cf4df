/**
 * Turns of the event loop, for work of a pool that takes long.
 *
 * @module
 */

import { turns } from "../../device/block/mod.ts";

/**
 * The most bytes of a component that one call punches or zeroes: about 2 ms if
 * all of them are in the page cache.
 */
export const PIECE_BYTES: number = 4 << 20;
/** Punching or zeroing this many bytes costs one step of a slice. */
export const PIECE_STEP_BYTES: number = 256 << 10;

/** How much work runs between two looks at the clock; some tests lower it. */
export const TURN_BUDGET = {
  /** Chunks to unmap: about 2 ms if each has its entry on another page. */
  unmappedChunks: 128,
  /** Chunks that a removal frees before other changes have a turn. */
  sweptChunks: 4096,
  /** Bytes of a request that one call zeroes or punches in place. */
  zeroedBytes: PIECE_BYTES,
};

/** The owner of the pool's background work. */
const HOUSEKEEPING = {};

/**
 * Waits for the next slice of long work.
 *
 * @param owner The owner of the work. For a request: its signal, which its
 *   connection shares. Undefined, the default: the pool's background work.
 * @returns Settles when the event loop has come round, and all other owners
 *   with pending work have had their slice.
 */
export function turn(owner: object | undefined = HOUSEKEEPING): Promise<void> {
  return turns.next(owner);
}

/**
 * Waits a moment for the progress of other work. Cheaper than
 * {@linkcode turn}, but slower.
 *
 * @returns Settles after about 2 milliseconds.
 */
export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
