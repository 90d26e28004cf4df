/**
 * Turns of the event loop for the long work of pools.
 *
 * @module
 */

import { turns } from "../../device/block/mod.ts";

/**
 * The longest part of a component that is punched or zeroed with one call,
 * bytes: it takes about 2 ms where all of it is in the page cache.
 */
export const PIECE_BYTES: number = 4 << 20;
/** Punching or zeroing so many bytes is one more step of a slice. */
export const PIECE_STEP_BYTES: number = 256 << 10;

/** How much work is done between two looks at the clock; less in some tests. */
export const TURN_BUDGET = {
  /** Chunks that are unmapped: about 2 ms if each is on another page. */
  unmappedChunks: 128,
  /** Bytes of a request that are zeroed or punched in place with one call. */
  zeroedBytes: PIECE_BYTES,
};

/** The owner of what a pool does by itself, beside requests. */
const HOUSEKEEPING = {};

/**
 * Waits for the next slice of long work.
 *
 * @param owner Whose work it is: the signal of the request, which is that of
 *   its connection, or nothing for what a pool does by itself.
 * @returns Fulfilled when the event loop has come round, and all other owners
 *   with work pending have had their slice.
 */
export function turn(owner: object | undefined = HOUSEKEEPING): Promise<void> {
  return turns.next(owner);
}

/**
 * Waits a moment for what others do. It is cheaper than {@linkcode turn}, and
 * later.
 *
 * @returns Fulfilled after about 2 milliseconds.
 */
export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
