/**
 * What a server counts: plain numbers that only grow, added to in place.
 *
 * @module
 */

/** What was done for all clients of a server since it was made. */
export interface NbdCounters {
  /** Connections accepted. */
  connections: number;
  /** Connections closed at once because there were too many. */
  connectionsRefused: number;
  /** READ requests. */
  reads: number;
  /** WRITE requests. */
  writes: number;
  /** FLUSH requests. */
  flushes: number;
  /** TRIM requests. */
  trims: number;
  /** WRITE_ZEROES requests. */
  writeZeroes: number;
  /** CACHE requests. */
  caches: number;
  /** BLOCK_STATUS requests. */
  blockStatuses: number;
  /** Requests answered with an error, also those refused by the gate. */
  errors: number;
  /** Bytes asked for by READ requests that passed the gate. */
  bytesRead: number;
  /** Bytes given by WRITE requests that passed the gate. */
  bytesWritten: number;
}

/**
 * Creates counters.
 *
 * @returns All zero.
 */
export function createCounters(): NbdCounters {
  return {
    connections: 0,
    connectionsRefused: 0,
    reads: 0,
    writes: 0,
    flushes: 0,
    trims: 0,
    writeZeroes: 0,
    caches: 0,
    blockStatuses: 0,
    errors: 0,
    bytesRead: 0,
    bytesWritten: 0,
  };
}
