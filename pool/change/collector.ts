/**
 * Freeing versions of chunks that nothing sees any more.
 *
 * A version is released only after what hides it is durable: else an open after
 * a power cut would drop the newer version, and not find the older one. And it
 * stays in memory until its release is durable: until then, nothing that hides
 * it is unmapped.
 *
 * @module
 */

import { Slice } from "../../device/block/mod.ts";
import {
  type Component,
  type ForwardMap,
  type OldVersion,
  turn,
  TURN_BUDGET,
  unseenVersions,
} from "../core/mod.ts";
import { flushMembers, type PoolBase, type VolumeParts } from "../io/mod.ts";

/** The most chunks that are released with one flush. */
const CHUNKS_A_BATCH = 16_384;
/** Chunks that are examined between two looks at the clock. */
const CHUNKS_A_LOOK = 64;

/** A chunk to free. */
export interface Place {
  /** The component. */
  readonly component: Component;
  /** The chunk on it. */
  readonly chunk: number;
}

/**
 * Frees the old versions of a volume that no snapshot sees.
 *
 * *Requires*: the evacuation is held, and no other change runs.
 *
 * @param base The open pool.
 * @param volume The volume.
 * @returns How many chunks are being freed.
 * @throws {VirstorError} `failed`.
 */
export async function collectUnseen(
  base: PoolBase,
  volume: VolumeParts,
): Promise<number> {
  const { record, map } = volume;
  let freed = 0;
  for (let isComplete = false; !isComplete;) {
    isComplete = true;
    await flushMembers(base);
    let batch: [virtualChunk: number, version: OldVersion][] = [];
    const slice = new Slice(CHUNKS_A_LOOK);
    slice.begin();
    for (const v of [...map.old.virtualChunks]) {
      if (slice.spend(1)) {
        await turn();
        slice.begin();
      }
      for (const version of unseenVersions(record, map, v)) {
        if (isHiddenDurably(base, map, v, version)) {
          batch.push([v, version]);
        } else isComplete = false;
      }
      if (batch.length < CHUNKS_A_BATCH) continue;
      freed += await freeVersions(base, map, batch);
      batch = [];
      slice.begin();
    }
    freed += await freeVersions(base, map, batch);
  }
  return freed;
}

/**
 * Frees all chunks of a volume that was removed.
 *
 * *Requires*: no superblock lists the volume, and no request of it is in
 * flight.
 *
 * @param base The open pool.
 * @param map Its map.
 * @returns How many chunks are being freed.
 * @throws {VirstorError} `failed`.
 */
export async function collectVolume(
  base: PoolBase,
  map: ForwardMap,
): Promise<number> {
  let places: Place[] = [];
  let freed = 0;
  const slice = new Slice(CHUNKS_A_LOOK);
  slice.begin();
  const { virtualChunks: end } = map;
  for (
    let v = map.nextMapped(0, end);
    v < end;
    v = map.nextMapped(v + 1, end)
  ) {
    for (const version of [...map.old.of(v)]) {
      map.old.delete(v, version);
      places.push(version);
    }
    const component = map.component(v);
    if (component !== undefined) {
      places.push({
        component,
        chunk: map.chunk(v),
      });
    }
    map.delete(v);
    if (places.length >= TURN_BUDGET.unmappedChunks) {
      freed += freePlaces(base, places);
      places = [];
    }
    if (!slice.spend(1)) continue;
    await turn();
    slice.begin();
  }
  freed += freePlaces(base, places);
  // The number may be used again once no entry of the volume is left.
  await flushMembers(base);
  return freed;
}

/**
 * Frees chunks whose versions no open would count.
 *
 * @param base The open pool.
 * @param places The chunks; no map has them any more.
 * @returns How many there are.
 * @throws {VirstorError} `failed`.
 */
export function freePlaces(base: PoolBase, places: readonly Place[]): number {
  for (const [component, its] of Map.groupBy(places, (one) => one.component)) {
    const chunks = its.map(({ chunk }) => chunk);
    base.mapper.release(component, chunks);
    base.freeing.add(component, chunks);
  }
  return places.length;
}

/** Whether all that is newer than an old version counts after a power cut. */
function isHiddenDurably(
  { settling }: PoolBase,
  map: ForwardMap,
  virtualChunk: number,
  { birth }: OldVersion,
): boolean {
  const current = map.component(virtualChunk);
  if (
    current !== undefined && settling.has(current, map.chunk(virtualChunk))
  ) return false;
  return map.old.of(virtualChunk).every((one) =>
    one.birth <= birth || !settling.has(one.component, one.chunk)
  );
}

/** Releases versions, durably, and frees their chunks. */
async function freeVersions(
  base: PoolBase,
  map: ForwardMap,
  batch: readonly (readonly [virtualChunk: number, version: OldVersion])[],
): Promise<number> {
  if (batch.length === 0) return 0;
  const places = batch.map(([, { component, chunk }]) => ({
    component,
    chunk,
  }));
  const groups = [...Map.groupBy(places, ({ component }) => component)];
  // No turn of the event loop writes more pages than a discard does. The versions
  // stay in memory meanwhile, so nothing that hides them is unmapped.
  const some = TURN_BUDGET.unmappedChunks;
  for (const [component, its] of groups) {
    const chunks = its.map(({ chunk }) => chunk).sort((a, b) => a - b);
    for (let at = 0; at < chunks.length; at += some) {
      base.mapper.release(component, chunks.slice(at, at + some));
      await turn();
    }
  }
  await flushMembers(base);
  for (const [virtualChunk, version] of batch) {
    map.old.delete(virtualChunk, version);
  }
  for (const [component, its] of groups) {
    base.freeing.add(component, its.map(({ chunk }) => chunk));
  }
  return batch.length;
}
