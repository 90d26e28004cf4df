/**
 * The mapped parts of a range of the virtual disk, done a turn at a time: the
 * range may be the whole disk. Where a chunk is, is looked up anew after each
 * turn, because meanwhile it may have been moved, or given to another.
 *
 * @module
 */

import {
  type Completion,
  type Extent,
  type ExtentKind,
  Slice,
} from "../../device/block/mod.ts";
import { assert } from "../../errors.ts";
import {
  type ChunkView,
  type Component,
  PIECE_STEP_BYTES,
  turn,
  TURN_BUDGET,
} from "../core/mod.ts";

/** Steps of zeroing between two looks at the clock. */
const STEPS_A_LOOK = 4;
/** Chunks that are looked up between two looks at the clock. */
const CHUNKS_A_LOOK = 4096;
/** What it costs to ask a file for its holes, in chunks that are looked up. */
const EXTENTS_COST = 64;
/** Runs of data and holes that a file is asked for at once. */
const EXTENTS_A_CALL = 64;

/**
 * What is done to a part of a chunk. Reads see it when the call returns.
 *
 * @param component The chunk's component.
 * @param at The first byte on it.
 * @param count How many, up to the end of the chunk.
 * @param virtualChunk The chunk.
 * @returns A promise if it is complete later.
 */
export type PartAction = (
  component: Component,
  at: number,
  count: number,
  virtualChunk: number,
) => Completion;

/** A range of the virtual disk. */
export interface VirtualRange {
  /** Where each virtual chunk is. */
  readonly map: ChunkView;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The first byte. */
  readonly offset: number;
  /** How many bytes. */
  readonly length: number;
}

/**
 * Does something to each mapped part of a range.
 *
 * @param range The range.
 * @param owner Whose turns it takes.
 * @param act What to do.
 * @returns A promise if it takes more than a slice.
 */
export function eachMapped(
  range: VirtualRange,
  owner: object | undefined,
  act: PartAction,
): Completion {
  const { offset, length } = range;
  const stop = offset + length;
  const slice = new Slice(STEPS_A_LOOK);
  const first = oneSlice(range, offset, slice, act);
  if (first.at === stop) return first.pending;
  return (async () => {
    for (let { at, pending } = first;;) {
      await pending;
      if (at === stop) return;
      await turn(owner);
      ({ at, pending } = oneSlice(range, at, slice, act));
    }
  })();
}

/** How far a slice came, and what to wait for before the next one. */
interface Progress {
  readonly at: number;
  readonly pending: Completion;
}

/** Goes on from a byte until the slice is over. */
function oneSlice(
  { map, chunkSize, offset, length }: VirtualRange,
  start: number,
  slice: Slice,
  act: PartAction,
): Progress {
  const stop = offset + length;
  const end = Math.ceil(stop / chunkSize);
  slice.begin();
  for (let from = start; from < stop;) {
    const chunk = map.nextMapped(Math.floor(from / chunkSize), end);
    if (chunk >= end) break;
    const first = chunk * chunkSize;
    from = Math.max(from, first);
    const count =
      Math.min(stop, first + chunkSize, from + TURN_BUDGET.zeroedBytes) - from;
    const component = map.component(chunk);
    assert(component !== undefined, "a mapped chunk has a component");
    const at = map.chunk(chunk) * chunkSize + from - first;
    const pending = act(component, at, count, chunk);
    from += count;
    const isOver = slice.spend(1 + Math.floor(count / PIECE_STEP_BYTES));
    if (isOver || pending !== undefined) return { at: from, pending };
  }
  return { at: stop, pending: undefined };
}

/**
 * What is known of a range: `hole` where no chunk is mapped; where one is,
 * `zero` for the holes in its file, which have their chunk, and `data`. Chunks
 * that follow each other on their component, too, are asked for together.
 *
 * @param range The range.
 * @param limit Runs that are wanted at most; unless given, all that there are.
 * @returns The runs; with a limit, they end early also where looking further
 *   would take more than a slice.
 */
export function mappedExtents(range: VirtualRange, limit: number): Extent[] {
  const { map, chunkSize, offset, length } = range;
  const runs: MutableExtent[] = [];
  const stop = offset + length;
  const end = Math.ceil(stop / chunkSize);
  const slice = new Slice(CHUNKS_A_LOOK);
  slice.begin();
  let isOver = false;
  // One more: only what follows a run tells how long it is.
  for (let at = offset; at < stop && runs.length <= limit && !isOver;) {
    const v = Math.floor(at / chunkSize);
    const component = map.component(v);
    let looked = EXTENTS_COST;
    if (component === undefined) {
      const next = Math.min(map.nextMapped(v, end) * chunkSize, stop);
      addRun(runs, next - at, "hole");
      at = next;
    } else {
      const most = Math.min(end - v, CHUNKS_A_LOOK);
      const count = contiguousChunks(map, v, most);
      const bytes = Math.min((v + count) * chunkSize, stop) - at;
      const home = map.chunk(v) * chunkSize + at - v * chunkSize;
      const wanted = Math.min(limit - runs.length + 1, EXTENTS_A_CALL);
      for (const run of component.device.extents(home, bytes, wanted)) {
        addRun(runs, run.length, run.kind === "hole" ? "zero" : run.kind);
        at += run.length;
        looked += EXTENTS_COST;
      }
      looked += count;
    }
    isOver = limit !== Infinity && slice.spend(looked);
  }
  return runs.slice(0, limit);
}

/** How many chunks from one on follow each other on its component. */
function contiguousChunks(map: ChunkView, v: number, most: number): number {
  const component = map.component(v);
  const place = map.chunk(v);
  let count = 1;
  while (
    count < most && map.component(v + count) === component &&
    map.chunk(v + count) === place + count
  ) count++;
  return count;
}

type MutableExtent = { -readonly [Key in keyof Extent]: Extent[Key] };

function addRun(
  runs: MutableExtent[],
  length: number,
  kind: ExtentKind,
): void {
  const last = runs[runs.length - 1];
  if (last?.kind === kind) last.length += length;
  else runs.push({ length, kind });
}

/**
 * How much of a range is known at no cost to be a hole.
 *
 * @param range The range, inside the disk.
 * @returns Bytes from the first one on that no chunk is mapped for.
 */
export function leadingHole(
  { map, chunkSize, offset, length }: VirtualRange,
): number {
  const first = Math.floor(offset / chunkSize);
  if (map.component(first) !== undefined) return 0;
  const end = Math.ceil((offset + length) / chunkSize);
  const mapped = map.nextMapped(first, end) * chunkSize;
  return Math.min(mapped - offset, length);
}
