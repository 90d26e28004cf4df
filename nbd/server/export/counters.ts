/**
 * The counters of a server: plain numbers that only grow. The server adds to
 * them in place.
 *
 * @module
 */

import type { Transfers } from "../../../device/leases/mod.ts";

/**
 * Totals over all clients of a server since it was created. Reads and writes
 * are READ and WRITE requests; their bytes are those of the requests that
 * passed the request gate.
 */
export interface NbdCounters extends Transfers {
  /** Connections accepted. */
  connections: number;
  /** Connections that the server closed at once because of its limits. */
  connectionsRefused: number;
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
  /** Error replies, including those of the request gate. */
  errors: number;
}

/**
 * Creates counters.
 *
 * @returns Counters that are all 0.
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
