/**
 * Counters of the requests that a pool has served.
 *
 * @module
 */

/** Counters since the pool was opened. */
export interface PoolCounters {
  /** Read requests. */
  reads: number;
  /** Write requests. */
  writes: number;
  /** Flush requests. */
  flushes: number;
  /** Discard requests. */
  discards: number;
  /** Write-zeroes requests. */
  zeroes: number;
  /** Bytes that were read. */
  readBytes: number;
  /** Bytes that were written. */
  writtenBytes: number;
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
    readBytes: 0,
    writtenBytes: 0,
    firstWrites: 0,
  };
}
