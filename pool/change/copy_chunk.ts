/**
 * Copying a chunk to another component.
 *
 * @module
 */

import { assert } from "../../errors.ts";
import type { Move } from "./moving_chunks.ts";

/** The most bytes that are copied at a time. */
const PIECE_BYTES = 1 << 20;
const buffer = new Uint8Array(PIECE_BYTES);

/**
 * Copies a chunk to another component, without its holes.
 *
 * The function reads and writes each piece with no `await` in between, so that
 * no write to the chunk gets lost; between pieces other work gets a turn.
 *
 * *Requires*: the new place reads as zeroes, and writes to the chunk go to both
 * places.
 *
 * @param move The chunk. A failed write to the new place sets its `fault`.
 * @param chunkSize Bytes of a chunk.
 * @param mustStop Whether to stop; called before each piece.
 * @param spend Called with the bytes of each piece; settles when the copy may
 *   go on.
 * @returns False if the copy stopped before it was complete.
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
