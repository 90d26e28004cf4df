/**
 * What the server and the thread of a lane tell each other.
 *
 * @module
 */

import type { LeaseMemory } from "../../../device/leases/mod.ts";
import type { ExportProperties } from "../export/mod.ts";

/** What a thread has to know of a connection to serve it. */
export interface LaneJob {
  /** The connection, which waits. */
  readonly descriptor: number;
  /** Bytes that came with the handshake. */
  readonly early: Uint8Array;
  /** What was agreed on, but for the metadata contexts. */
  readonly properties: ExportProperties;
  /** Which chunks are leased. */
  readonly leases: LeaseMemory;
  /** The thread's number in `leases`. */
  readonly thread: number;
  /** The control block. */
  readonly control: SharedArrayBuffer;
}

/** What a thread tells. */
export type LaneReport =
  /** The thread has started. */
  | { readonly kind: "ready" }
  /** Bytes of the connection that are the server's to deal with. */
  | {
    readonly kind: "bytes";
    readonly bytes: Uint8Array<ArrayBuffer>;
    /** Bytes of the disk whose chunks should be leased. */
    readonly wants: readonly number[];
  }
  /** Nothing more comes, and the thread uses the connection no more. */
  | { readonly kind: "ended" };
