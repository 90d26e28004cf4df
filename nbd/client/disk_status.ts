/**
 * What a remote disk tells of itself.
 *
 * @module
 */

import type { FreezeReason } from "./freezes.ts";

/** The state of a remote disk. */
export interface NbdDiskStatus {
  /** Whether requests leave now. */
  readonly state:
    | "closed"
    | "connected"
    | "connecting"
    | "failed"
    | "suspended";
  /** The path in use, or that was in use last, without a password. */
  readonly path: string;
  /** Connections in use. */
  readonly connections: number;
  /** How many times the disk has connected again. */
  readonly reconnects: number;
  /** Requests in flight. */
  readonly inFlight: number;
  /** Requests that have not left. */
  readonly queued: number;
  /** Bytes of writes that are kept until a flush. */
  readonly unflushedBytes: number;
  /** Writes that wait for a flush to make room for them. */
  readonly delayedWrites: number;
  /** Why requests do not leave, and how many times. */
  readonly freezes: Readonly<Partial<Record<FreezeReason, number>>>;
  /** Median of the last round trips, milliseconds. */
  readonly roundTripP50: number;
  /** 99th percentile of the last round trips, milliseconds. */
  readonly roundTripP99: number;
  /** Age of the oldest request in flight, milliseconds; 0 if there is none. */
  readonly oldestMs: number;
  /** The last fault of a connection; "" if there was none. */
  readonly lastError: string;
}
