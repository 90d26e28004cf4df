/**
 * Counting requests: what a volume, its leases and a server count alike.
 *
 * @module
 */

/** Requests that were done. */
export interface Transfers {
  /** Reads. */
  reads: number;
  /** Bytes of the reads. */
  bytesRead: number;
  /** Writes. */
  writes: number;
  /** Bytes of the writes. */
  bytesWritten: number;
  /** Flushes. */
  flushes: number;
}

/**
 * Adds requests to others.
 *
 * @param total What is added to.
 * @param more What is added.
 */
export function addTransfers(
  total: Transfers,
  more: Readonly<Transfers>,
): void {
  total.reads += more.reads;
  total.bytesRead += more.bytesRead;
  total.writes += more.writes;
  total.bytesWritten += more.bytesWritten;
  total.flushes += more.flushes;
}
