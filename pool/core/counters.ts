/**
 * What a volume has done since the pool was opened.
 *
 * @module
 */

import type { Transfers } from "../../device/leases/mod.ts";

/** What a volume has done since the pool was opened. */
export interface PoolCounters extends Transfers {
  /** Flushes. */
  flushes: number;
  /** Discards. */
  discards: number;
  /** Writes of zeroes. */
  zeroes: number;
  /** Chunks mapped. */
  firstWrites: number;
}

/**
 * Makes counters of a volume that has done nothing yet.
 *
 * @returns All zero.
 */
export function newCounters(): PoolCounters {
  return {
    reads: 0,
    writes: 0,
    flushes: 0,
    discards: 0,
    zeroes: 0,
    bytesRead: 0,
    bytesWritten: 0,
    firstWrites: 0,
  };
}
