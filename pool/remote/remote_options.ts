/**
 * How a remote component is opened, and its state.
 *
 * @module
 */

import type { FarDisk } from "./far_disk.ts";
import type { FarOwner } from "./far_owner.ts";
import type { Journal } from "./journal.ts";

/** Options of a remote component. */
export interface RemoteComponentOptions {
  /** The far side's URI, without a password. */
  readonly path: string;
  /** The far side. The component closes it. */
  readonly far: FarDisk;
  /** The journal, just opened. The component closes it. */
  readonly journal: Journal;
  /**
   * The ownership of the far side, just taken. The component ends it. Without
   * one, nothing keeps other processes away.
   */
  readonly owner?: FarOwner | undefined;
  /**
   * Milliseconds before a request that the far side refuses is repeated; each
   * further repetition takes twice as long. Default: 100.
   */
  readonly retryMs?: number;
  /**
   * Called when the far side leaves requests without an answer for long, and
   * when it answers again.
   *
   * @param isSilent Whether it leaves them.
   */
  readonly onSilence?: ((isSilent: boolean) => void) | undefined;
}

/** The state of a remote component. */
export interface RemoteComponentStatus {
  /** Bytes of the journal's ring. */
  readonly journalSize: number;
  /** Bytes of the ring that are not free. */
  readonly journalUsed: number;
  /** Records that the far side lacks. */
  readonly pending: number;
  /** Requests to the far side in flight. */
  readonly inFlight: number;
  /** Writes that wait for room in the journal. */
  readonly delayedWrites: number;
  /** Why the component takes no more writes; "" while it does. */
  readonly failure: string;
}
