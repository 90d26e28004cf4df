/**
 * What a transmission reports to: the server that it is part of.
 *
 * @module
 */

import type { VirstorError } from "../../../errors.ts";
import type { NbdCounters } from "../export/mod.ts";
import type { ByteStream } from "../stream/mod.ts";

/** What a transmission reports to. */
export interface TransmissionOwner {
  /** Where requests are counted. */
  readonly counters: NbdCounters;
  /** Told of an error of the device that a client is told of by a number. */
  readonly onError: (error: VirstorError) => void;
  /** Whether there is no other client. */
  readonly isAlone: () => boolean;
  /** Whether there may be another way to serve the connection now. */
  readonly mayChange: () => boolean;
  /**
   * Finds another way to serve the connection, if it was asked to change.
   *
   * @param early Bytes that have come and are not dealt with.
   * @returns What to use from now on, or undefined to go on as before.
   */
  readonly onChange: (early: Uint8Array) => ByteStream | undefined;
  /** Told of an error that must stop the process. */
  readonly onPanic: (error: unknown) => void;
}
