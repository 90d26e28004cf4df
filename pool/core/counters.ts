/**
 * What a pool has done since it was opened.
 *
 * @module
 */

/** What was done since the pool was opened. */
export interface PoolCounters {
  /** Reads. */
  reads: number;
  /** Writes. */
  writes: number;
  /** Flushes. */
  flushes: number;
  /** Discards. */
  discards: number;
  /** Writes of zeroes. */
  zeroes: number;
  /** Bytes read. */
  readBytes: number;
  /** Bytes written. */
  writtenBytes: number;
  /** Chunks mapped. */
  firstWrites: number;
}

/**
 * Counters of a pool that has done nothing yet.
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
    readBytes: 0,
    writtenBytes: 0,
    firstWrites: 0,
  };
}
