/**
 * What does not change while a pool is open.
 *
 * @module
 */

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
    | "evacuation" // one was ended by request
    | "evacuation-failed" // one was ended by an error
    | "failed" // no more writes are taken
    | "recovered" // a stop in the middle of something was put right
    | "removed" // components left
    | "resized" // the disk has another size
    | "resumed" // no write waits any more
    | "space" // chunks that were given back cannot be used yet
    | "watermark"; // space runs out
  /** One line for people. */
  readonly message: string;
}

/** A member that is not there. */
export interface MissingMember {
  /** Its place among the components, from 0. */
  readonly index: number;
  /** Its UUID; "" in format 1. */
  readonly uuid: string;
  /** Chunks on it; 0 in format 1, where only its own label tells. */
  readonly chunkCount: number;
}

/** Below which levels to warn. */
export interface Watermarks {
  /** Warn when fewer chunks are free. */
  readonly chunks: number;
  /** Warn when fewer components are wholly unused. */
  readonly components: number;
}

/** What does not change while a pool is open. */
export interface PoolSettings {
  /** Its name. */
  readonly name: string;
  /** What tells it from others of its name: a UUID, or a number. */
  readonly id: string;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /** Why they are, if the caller did not ask for it; else "", or absent. */
  readonly writeReason?: string;
  /** Members that are not there; the pool is degraded, and read-only. */
  readonly missing: readonly MissingMember[];
  /** What is to be warned of as long as it is open, a sentence each. */
  readonly warnings: readonly string[];
  /** What a write does when there is no chunk for it. */
  readonly onFull: FullPolicy;
  /** How long it waits, seconds; 0 for ever. */
  readonly fullTimeoutSeconds: number;
  /** Bytes that may wait before those who send them are slowed. */
  readonly maxDelayedBytes: number;
  /** When to warn. */
  readonly watermarks: Watermarks;
  /** Told what happens. */
  readonly onEvent: (event: PoolEvent) => void;
}
