/**
 * How often a disk failed.
 *
 * @module
 */

/** Requests that a disk has failed since it was opened. */
export class DeviceErrors {
  /** Reads, each request once. */
  reads = 0;
  /** Writes, without those that a full file system has refused. */
  writes = 0;
  /** Flushes: one at most, since a failed flush is final. */
  flushes = 0;
}
