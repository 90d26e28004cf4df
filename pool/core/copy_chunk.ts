/**
 * Copying a chunk to another component.
 *
 * @module
 */

import type { Extent } from "../../device/block/mod.ts";
import { finished } from "./component_device.ts";
import type { MirroredChunk } from "./moving_chunks.ts";

/** Chunks are copied in pieces of at most this many bytes. */
const PIECE_BYTES = 1 << 20;
const buffer = new Uint8Array(PIECE_BYTES);

/** How a chunk is copied. */
export interface CopyOptions {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The new place reads as zeroes: holes are left out. */
  readonly skipsHoles: boolean;
  /** Tells whether to give up; asked before each piece. Never by default. */
  readonly mustStop?: () => boolean;
  /**
   * Told how many bytes were copied; the next piece is copied when it has
   * ended.
   */
  readonly spend?: (bytes: number) => Promise<void>;
}

/**
 * Copies a chunk. A piece is read and written with nothing in between, so that
 * no write to the chunk gets lost; between pieces others have a turn.
 *
 * @param copy The chunk. A failed write of the copy is noted in its `fault`.
 * @param options How.
 * @returns False if it gave up: the copy is not complete.
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
