/**
 * A payload larger than what is collected: that of a WRITE is written in
 * pieces as they arrive, and answered once, when all of them are done. Any
 * other is dropped as it arrives, and so is that of a WRITE that has failed.
 *
 * @module
 */

import {
  type Failure,
  PAYLOAD_WHOLE_MAX,
  type ReplyAddress,
} from "../../wire/mod.ts";

/** How far such a write is. */
export interface LargeWrite {
  /** Whom the reply answers. */
  readonly to: ReplyAddress;
  /** Durable before the reply. */
  readonly fua: boolean;
  /** Where the next piece goes. */
  offset: number;
  /** Bytes that have not been taken. */
  rest: number;
  /** Pieces that are under way. */
  pending: number;
  /** The first failure; after it, the rest is dropped. */
  failure: Failure | undefined;
}

/**
 * How much to take next.
 *
 * @param write The write, with bytes left to take.
 * @param available Bytes that have arrived.
 * @param blockSize What is not to be torn by a cut between two pieces, a power
 *   of two up to 64 KiB, at least the smallest unit of a write.
 * @returns Bytes, so that the piece ends at the end of a block of the disk;
 *   all there is if it is to be dropped; 0 to wait for more.
 */
export function pieceLength(
  write: Pick<LargeWrite, "offset" | "rest" | "failure">,
  available: number,
  blockSize: number,
): number {
  if (available >= write.rest) return write.rest;
  if (write.failure !== undefined) return available;
  // Many small pieces would cost more than waiting for a few large ones.
  if (available < PAYLOAD_WHOLE_MAX) return 0;
  return available - (write.offset + available) % blockSize;
}
