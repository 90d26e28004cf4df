/**
 * What a transmission reports to: the server that it is part of.
 *
 * @module
 */

import type { VirstorError } from "../../../errors.ts";
import type { NbdCounters } from "../export/mod.ts";

/** What a transmission reports to. */
export interface TransmissionOwner {
  /** Where requests are counted. */
  readonly counters: NbdCounters;
  /** Told of an error of the device that a client is told of by a number. */
  readonly onError: (error: VirstorError) => void;
  /** Told of an error that must stop the process. */
  readonly onPanic: (error: unknown) => void;
}
