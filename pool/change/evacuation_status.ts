/**
 * The status of an evacuation, what it comes to, and how it resumes when a pool is opened.
 *
 * @module
 */

/** The progress of an evacuation. */
export interface EvacuationStatus {
  /** Paths of the components that are being evacuated. */
  readonly components: readonly string[];
  /**
   * `moving`: it moves chunks. `waiting`: it waits for free chunks. `stopped`:
   * it is paused, or an error stopped it.
   */
  readonly state: "moving" | "waiting" | "stopped";
  /** Why it is stopped; "" in the other states. */
  readonly reason: string;
  /**
   * Bytes moved since the pool was opened or the evacuation was started, also
   * those of copies that are not durable yet, which a stop undoes.
   */
  readonly movedBytes: number;
  /** Bytes still to be moved. */
  readonly leftBytes: number;
  /** The measured rate of the last 10 seconds, bytes a second. */
  readonly bytesPerSecond: number;
  /** Seconds left at this rate; null if unknown. */
  readonly secondsLeft: number | null;
}

/** Receives what an evacuation comes to. */
export interface EvacuationObserver {
  /**
   * Evacuating components hold no chunk any more. May be called several times,
   * until they are removed.
   */
  empty(): void;
  /**
   * An error stopped the evacuation, until it is started again.
   *
   * @param reason The error, in one line.
   */
  stopped(reason: string): void;
}

/** Whether and how an unfinished evacuation resumes when a pool is opened. */
export interface ResumeOptions {
  /** Do not resume the evacuation; default false. */
  readonly paused?: boolean;
  /** The maximum rate, bytes a second; 0, the default, for no limit. */
  readonly bytesPerSecond?: number;
}
