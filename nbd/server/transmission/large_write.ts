/**
 * A payload larger than what is collected: that of a WRITE is written in
 * pieces as they arrive, and answered once, when all of them are done. Any
 * other is dropped as it arrives, and so is that of a WRITE that has failed.
 *
 * @module
 */

import {
  type Failure,
  type ReplyAddress,
  WRITE_PIECE_SIZE,
} from "../../wire/mod.ts";

/** How far such a write is. */
export interface LargeWrite {
  /** The request that the reply answers. */
  readonly to: ReplyAddress;
  /** Durable before the reply. */
  readonly fua: boolean;
  /** When its header had come, by `performance.now()`. */
  readonly since: number;
  /** Where the next piece goes. */
  offset: number;
  /** Bytes that have not been taken. */
  rest: number;
  /** Pieces in flight. */
  pending: number;
  /** The request gate has refused it. */
  readonly isRefused: boolean;
  /** The first failure; after it, the rest is dropped. */
  failure: Failure | undefined;
}

/**
 * How much to take next: what has come, but for the last bytes, so that pieces
 * end at multiples of {@linkcode WRITE_PIECE_SIZE} on the disk: a file that is
 * written in small pieces is kept in small pieces by the page cache, and every
 * later read pays for that. A block that the client takes for one is never torn
 * by a cut.
 *
 * @param offset Where the piece goes.
 * @param rest Bytes that are left to take, above 0.
 * @param available Bytes that have arrived.
 * @returns Bytes; 0 to wait for more.
 */
export function pieceLength(
  offset: number,
  rest: number,
  available: number,
): number {
  if (available >= rest) return rest;
  const first = WRITE_PIECE_SIZE - offset % WRITE_PIECE_SIZE;
  if (available < first) return 0;
  return available - (offset + available) % WRITE_PIECE_SIZE;
}
