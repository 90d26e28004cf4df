/**
 * Giving others a turn in the middle of long work.
 *
 * @module
 */

/** How much work is done before others have a turn; less in some tests. */
export const TURN_BUDGET = {
  /** Chunks that are unmapped. */
  unmappedChunks: 4096,
  /** Bytes that are zeroed in place. */
  zeroedBytes: 8 << 20,
};

/**
 * Lets the event loop run everything that is due.
 *
 * @returns Done when it has.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
