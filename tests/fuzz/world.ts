/**
 * What is served to the fuzzer: names, sizes, and their users.
 *
 * @module
 */

import { MIB } from "../helpers/scratch.ts";

/** Everything may be done to this export. It is the default one. */
export const HOSTILE = "hostile";
/** The same disk, read-only. */
export const LOCKED = "locked";
/** No mutation leads here: what is written must stay. */
export const KEPT = "kept for good clients";
/** Bytes of the hostile disk, far more than its pool has. */
export const HOSTILE_SIZE: number = 8 * 1024 * MIB;
/** Bytes of the disk for good clients. */
export const KEPT_SIZE: number = 256 * MIB;
/** Bytes of a component of the hostile disk, of which there are two. */
export const HOSTILE_COMPONENT: number = 8 * MIB;
/** Bytes of a component of the other disk, of which there are two. */
export const KEPT_COMPONENT: number = 80 * MIB;

/** Bytes of the kept disk that belong to one worker, or one steady client. */
export const SLOT_SIZE: number = 4 * MIB;
/** Conversations at once, each with a slot of its own. */
export const WORKERS = 12;

/** Options in one handshake; one more ends the connection. */
export const OPTIONS_MAX = 1024;
/** How long a handshake may take here, milliseconds. */
export const HANDSHAKE_MS = 5000;

/** The longest payload, bytes. */
export const PAYLOAD_MAX: number = 32 * MIB;

/** An export as the protocol's rules see it. */
export interface ExportRules {
  /** Bytes. */
  readonly size: number;
  /** Writes are refused. */
  readonly readOnly: boolean;
  /** Writes may wait for space, and be given up. */
  readonly mayFail: boolean;
}

/** All exports by name. */
export const EXPORTS: ReadonlyMap<string, ExportRules> = new Map([
  [HOSTILE, { size: HOSTILE_SIZE, readOnly: false, mayFail: true }],
  [LOCKED, { size: HOSTILE_SIZE, readOnly: true, mayFail: true }],
  [KEPT, { size: KEPT_SIZE, readOnly: false, mayFail: false }],
]);
