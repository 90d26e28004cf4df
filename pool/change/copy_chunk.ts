/**
 * Copying a chunk to another component.
 *
 * @module
 */

import { assert } from "../../errors.ts";
import type { Move } from "./moving_chunks.ts";

/** Chunks are copied in pieces of at most this many bytes. */
const PIECE_BYTES = 1 << 20;
const buffer = new Uint8Array(PIECE_BYTES);

/**
 * Copies a chunk, leaving out its holes: the new place reads as zeroes. A
 * piece is read and written with nothing in between, so that no write to the
 * chunk gets lost; between pieces others have a turn.
 *
 * @param move The chunk. A failed write of the copy is noted in it.
 * @param chunkSize Bytes of a chunk.
 * @param mustStop Whether to give up; asked before each piece.
 * @param spend Told how many bytes were copied; done when there may be more.
 * @returns False if it gave up: the copy is not complete.
 * @throws {VirstorError} `io` if the chunk cannot be read.
 */
export async function copyChunk(
  move: Move,
  chunkSize: number,
  mustStop: () => boolean,
  spend: (bytes: number) => Promise<void>,
): Promise<boolean> {
  const { source, from, target, to } = move;
  const start = from * chunkSize;
  let skipped = 0;
  if (mustStop()) return false;
  for (const { length, kind } of source.device.extents(start, chunkSize)) {
    const end = skipped + length;
    for (let at = skipped; kind !== "hole" && at < end;) {
      if (move.fault !== undefined) return true;
      if (mustStop()) return false;
      const piece = buffer.subarray(0, Math.min(PIECE_BYTES, end - at));
      const read = source.device.read(piece, start + at);
      assert(read === undefined, "components finish their reads at once");
      try {
        const written = target.device.write(piece, to * chunkSize + at);
        assert(written === undefined, "components finish their writes at once");
      } catch (error) {
        move.fault = error;
        return true;
      }
      at += piece.length;
      await spend(piece.length);
    }
    skipped = end;
  }
  return true;
}
