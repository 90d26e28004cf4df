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
 * Adds counts to others, one by one.
 *
 * @param total What is added to.
 * @param more What is added: some or all of the same counts.
 */
export function addCounts<Names extends string>(
  total: Record<NoInfer<Names>, number>,
  more: Readonly<Record<Names, number>>,
): void {
  for (const name of Object.keys(more) as Names[]) total[name] += more[name];
}
