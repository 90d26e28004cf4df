/**
 * What does not change while a pool is open.
 *
 * @module
 */

import type { Watermarks } from "./watermarks.ts";

/** What a write does that needs a chunk when none is free. */
export type FullPolicy =
  | "delay" // wait until there is one
  | "error"; // fail with `no-space`

/** What happened to a pool, for a log. */
export interface PoolEvent {
  /** What kind of thing. */
  readonly kind:
    | "added" // components joined
    | "delayed" // the first write waits
    | "failed" // no more writes are taken
    | "recovered" // a stop in the middle of something was put right
    | "removed" // components left
    | "resumed" // no write waits any more
    | "watermark"; // space runs out
  /** One line for people. */
  readonly message: string;
}

/** What does not change while a pool is open. */
export interface PoolSettings {
  /** Its name. */
  readonly name: string;
  /** Its random number. */
  readonly id: number;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /** What a write does when there is no chunk for it. */
  readonly onFull: FullPolicy;
  /** How long it waits, seconds; 0 for ever. */
  readonly fullTimeout: number;
  /** Bytes that may wait before those who send them are slowed. */
  readonly maxDelayedBytes: number;
  /** When to warn. */
  readonly watermarks: Watermarks;
  /** Told what happens. */
  readonly onEvent: (event: PoolEvent) => void;
}
