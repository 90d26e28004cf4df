/**
 * The state of a component on another machine.
 *
 * @module
 */

/** The state of a component on another machine. */
export interface RemoteStatus {
  /**
   * The state of its connection: `connected`, `connecting`, `suspended`,
   * `failed`, `closed`.
   */
  readonly state: string;
  /** The URI in use, or that was in use last, without a password. */
  readonly path: string;
  /** How many times it has connected again. */
  readonly reconnects: number;
  /** Requests to the far side in flight. */
  readonly inFlight: number;
  /** Requests that have not left. */
  readonly queued: number;
  /** Bytes in the journal that the far side may lack. */
  readonly journalBytes: number;
  /** Bytes that fit into the journal; 0 without one. */
  readonly journalSize: number;
  /** Writes that wait for room in the journal. */
  readonly delayedWrites: number;
  /** Median of the last round trips, milliseconds. */
  readonly roundTripP50Ms: number;
  /** 99th percentile of the last round trips, milliseconds. */
  readonly roundTripP99Ms: number;
  /** Age of the oldest request in flight, milliseconds; 0 if there is none. */
  readonly oldestMs: number;
  /** The last fault, or why it takes no more writes; "" if there was none. */
  readonly lastError: string;
}
