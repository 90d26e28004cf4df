/**
 * What callers are told of an evacuation, and what they say of it.
 *
 * @module
 */

/** How an evacuation does. */
export interface EvacuationStatus {
  /** The components that are to leave. */
  readonly components: readonly string[];
  /** Whether it goes on, waits for free chunks, or was stopped by an error. */
  readonly state: "moving" | "waiting" | "stopped";
  /** Why it was stopped; else "". */
  readonly reason: string;
  /** Bytes moved since the pool was opened or the evacuation asked for. */
  readonly movedBytes: number;
  /** Bytes still to be moved. */
  readonly leftBytes: number;
  /** Bytes a second, lately. */
  readonly bytesPerSecond: number;
  /** Seconds left at this rate; null if that is unknown. */
  readonly secondsLeft: number | null;
}

/** What becomes of an evacuation when a pool is opened. */
export interface ResumeOptions {
  /** It does not go on by itself. */
  readonly paused?: boolean;
  /** The highest rate, bytes a second; 0, none. */
  readonly bytesPerSecond?: number;
}
