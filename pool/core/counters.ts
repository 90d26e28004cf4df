/**
 * Counters of the requests that a volume has served.
 *
 * @module
 */

import type { Transfers } from "../../device/leases/mod.ts";

/** Counters of a volume since the pool was opened. */
export interface PoolCounters extends Transfers {
  /** Flush requests. */
  flushes: number;
  /** Discard requests. */
  discards: number;
  /** Write-zeroes requests. */
  zeroes: number;
  /** Chunks that were mapped. */
  firstWrites: number;
}

/**
 * Creates counters.
 *
 * @returns Counters that are all zero.
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
