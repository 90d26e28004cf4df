/**
 * Copying a chunk to another component.
 *
 * @module
 */

import type { Extent } from "../../device/block/mod.ts";
import { finished } from "./component_device.ts";
import type { MirroredChunk } from "./moving_chunks.ts";

/** The most bytes that are copied at a time. */
const PIECE_BYTES = 1 << 20;
const buffer = new Uint8Array(PIECE_BYTES);

/** How to copy a chunk. */
export interface CopyOptions {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /**
   * Whether to leave out holes. *Requires*, if so: the new place reads as
   * zeroes.
   */
  readonly skipsHoles: boolean;
  /** Whether to stop; called before each piece. Never by default. */
  readonly mustStop?: () => boolean;
  /**
   * Called with the bytes of each piece; settles when the copy may go on. At
   * once by default.
   */
  readonly spend?: (bytes: number) => Promise<void>;
}

/**
 * Copies a chunk to another component.
 *
 * The function reads and writes each piece with no `await` in between, so that
 * no write to the chunk gets lost; between pieces other work gets a turn.
 *
 * *Requires*: writes to the chunk go to both places.
 *
 * @param copy The chunk. A failed write to the new place sets its `fault`.
 * @param options The chunk size, and what bounds the copy.
 * @returns False if the copy stopped before it was complete.
 * @throws {VirstorError} `io` if the chunk cannot be read.
 */
export async function copyChunk(
  copy: MirroredChunk,
  { chunkSize, skipsHoles, mustStop = never, spend }: CopyOptions,
): Promise<boolean> {
  const { source: { device: source }, from, target: { device: target }, to } =
    copy;
  const start = from * chunkSize;
  let skipped = 0;
  if (mustStop()) return false;
  const runs: readonly Extent[] = skipsHoles
    ? source.extents(start, chunkSize)
    : [{ length: chunkSize, kind: "data" }];
  for (const { length, kind } of runs) {
    const end = skipped + length;
    for (let at = skipped; kind !== "hole" && at < end;) {
      if (copy.fault !== undefined) return true;
      if (mustStop()) return false;
      const piece = buffer.subarray(0, Math.min(PIECE_BYTES, end - at));
      finished(source.read(piece, start + at));
      try {
        finished(target.write(piece, to * chunkSize + at));
      } catch (error) {
        copy.fault = error;
        return true;
      }
      at += piece.length;
      await spend?.(piece.length);
    }
    skipped = end;
  }
  return true;
}

function never(): boolean {
  return false;
}
