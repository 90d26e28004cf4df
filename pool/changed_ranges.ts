/**
 * What has changed between two views of a volume: between two snapshots, or from
 * a snapshot to now.
 *
 * @module
 */

import { Slice } from "../device/block/mod.ts";
import { type ChunkView, turn } from "./core/mod.ts";

/** Chunks that are examined between two looks at the clock. */
const CHUNKS_A_LOOK = 4096;

/** A range of bytes that may differ. */
export interface ChangedRange {
  /** The offset of the first byte. */
  readonly offset: number;
  /** How many bytes. */
  readonly length: number;
  /** Whether the newer view has no chunk there, and reads as zeroes. */
  readonly isHole: boolean;
}

/**
 * Compares two views, chunk by chunk: chunks in the same place are the same.
 *
 * @param views The older view and the newer one.
 * @param chunkSize Bytes of a chunk.
 * @param assertThere Throws if the views show no longer what they showed; called
 *   after each wait.
 * @returns The ranges of the newer view that differ, in order. What the older
 *   one has beyond the end of the newer one is not among them.
 */
export async function changedRanges(
  { from, to }: { readonly from: ChunkView; readonly to: ChunkView },
  chunkSize: number,
  assertThere: () => void,
): Promise<ChangedRange[]> {
  const ranges: { offset: number; length: number; isHole: boolean }[] = [];
  const end = to.virtualChunks;
  const slice = new Slice(CHUNKS_A_LOOK);
  slice.begin();
  const next = (v: number) => from.nextMapped(v, to.nextMapped(v, end));
  for (let v = next(0); v < end; v = next(v + 1)) {
    if (slice.spend(1)) {
      await turn();
      assertThere();
      slice.begin();
    }
    if (!differs(from, to, v)) continue;
    const isHole = to.component(v) === undefined;
    const offset = v * chunkSize;
    const last = ranges[ranges.length - 1];
    const follows = last?.isHole === isHole &&
      last.offset + last.length === offset;
    if (follows) last.length += chunkSize;
    else ranges.push({ offset, length: chunkSize, isHole });
  }
  return ranges;
}

/**
 * Whether two views have a virtual chunk in different places.
 *
 * @param from One view.
 * @param to The other one.
 * @param virtualChunk The chunk.
 * @returns Whether they do.
 */
export function differs(
  from: ChunkView,
  to: ChunkView,
  virtualChunk: number,
): boolean {
  const component = to.component(virtualChunk);
  const before = virtualChunk < from.virtualChunks
    ? from.component(virtualChunk)
    : undefined;
  if (component !== before) return true;
  return component !== undefined &&
    from.chunk(virtualChunk) !== to.chunk(virtualChunk);
}
