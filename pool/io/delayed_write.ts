/**
 * Writes that wait for free chunks, as the queue of delayed writes holds them.
 *
 * @module
 */

import { counted, VirstorError } from "../../errors.ts";

/** A delayed write: one piece, several pieces, or a range. */
export interface DelayedWrite {
  /** When the write began to wait, milliseconds of the queue's clock. */
  since: number;
  /** The pieces that still wait. */
  readonly pieces: Set<DelayedPiece>;
  /** What pieces that wait no more are not complete without. */
  readonly behind: Promise<void>[];
  /** The virtual chunks to map, whatever they hold; undefined if data wait. */
  readonly range: DelayedRange | undefined;
  /** Whether the write is done or has failed. */
  isEnded: boolean;
  /** Settles when all pieces are written, or the write fails. */
  readonly promise: Promise<void>;
  /** Resolves `promise`. */
  readonly resolve: () => void;
  /** Rejects `promise`. */
  readonly reject: (error: unknown) => void;
  /** Cancels the write when its client has disconnected. */
  readonly signal: AbortSignal | undefined;
  /** The listener on `signal`. */
  onAbort: () => void;
}

/** A range of virtual chunks, of which the unmapped ones are to be mapped. */
export interface DelayedRange {
  /** The first chunk that has not been looked at. */
  next: number;
  /** The chunk after the last one. */
  readonly end: number;
  /**
   * Whether the chunks are to read as zeroes: those that the volume sees and may
   * not write to in place get a chunk without data. Else only unmapped ones do.
   */
  readonly hides: boolean;
}

/** Consecutive virtual chunks: the first, and the one after the last. */
export type WaitingRun = readonly [first: number, end: number];

/** The part of a write that waits for one virtual chunk. */
export interface DelayedPiece {
  /** The virtual chunk. */
  readonly chunk: number;
  /** The offset of the first byte in the chunk. */
  readonly within: number;
  /** The bytes: the queue's own copy. */
  readonly source: Uint8Array;
  /** The write that the piece belongs to. */
  readonly write: DelayedWrite;
}

/** The bounds and callbacks of a queue of delayed writes. */
export interface DelayedOptions {
  /** Returns how many bytes the queue may hold before there is congestion. */
  readonly maxBytes: () => number;
  /** Returns how long a write may wait, milliseconds; 0 for no limit. */
  readonly timeoutMs: () => number;
  /** Returns why writes wait, as in `the pool was full`. */
  readonly cause: () => string;
  /** A clock, milliseconds. */
  readonly now: () => number;
  /** Called when the last write stops waiting, for whatever reason. */
  readonly onEmpty: () => void;
}

/**
 * Makes the error of a write whose client has disconnected.
 *
 * @returns The error, with code `cancelled`.
 */
export function goneError(): VirstorError {
  return new VirstorError("cancelled", "Cannot write: the client is gone");
}

/**
 * Makes the error of a write that has waited for too long.
 *
 * @param cause Why it waited, as in `the pool was full`.
 * @param timeoutMs How long it may wait, milliseconds.
 * @returns The error, with code `no-space`.
 */
export function timeoutError(cause: string, timeoutMs: number): VirstorError {
  return new VirstorError(
    "no-space",
    `Cannot write: ${cause} for ${counted(timeoutMs / 1000, "second")}`,
  );
}
