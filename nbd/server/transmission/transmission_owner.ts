/**
 * What a transmission reports to: the server that it is part of.
 *
 * @module
 */

import type { VirstorError } from "../../../errors.ts";
import type { NbdCounters, RequestTimes } from "../export/mod.ts";

/** What a transmission reports to. */
export interface TransmissionOwner {
  /**
   * Tells whether the server has no other client.
   *
   * @returns True if it has none.
   */
  readonly isAlone: () => boolean;
  /** Where requests are counted. */
  readonly counters: NbdCounters;
  /** Where the durations of requests are noted. */
  readonly times: RequestTimes;
  /** Receives an error of the device, of which the reply carries only a number. */
  readonly onError: (error: VirstorError) => void;
  /** Receives an error that must stop the process. */
  readonly onPanic: (error: unknown) => void;
}
