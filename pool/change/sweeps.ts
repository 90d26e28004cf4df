/**
 * Freeing versions of chunks that nothing sees any more, a piece at a time.
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
import { flushMembers, type PoolBase } from "../io/mod.ts";
import type { Job } from "./jobs.ts";

/** Chunks that are as cheap to look at as one is to free. */
const LOOKS_A_CHUNK = 16;
/** Chunks that are examined between two looks at the clock. */
const CHUNKS_A_LOOK = 64;

/** A chunk to free. */
export interface Place {
  /** The component. */
  readonly component: Component;
  /** The chunk on it. */
  readonly chunk: number;
}

/** Frees chunks, a piece at a time. */
export interface Sweep {
  /** How far it is. */
  readonly job: Job;
  /**
   * Frees some chunks.
   *
   * *Requires*: the evacuation is held, and no change runs.
   *
   * @returns Whether all are freed.
   * @throws {VirstorError} `failed`.
   */
  piece(): Promise<boolean>;
}

/** Frees the old versions of a volume that no snapshot sees. */
export class UnseenSweep implements Sweep {
  /** How far it is. */
  readonly job: Job;
  readonly #base: PoolBase;
  readonly #map: ForwardMap;
  /** The rest of this pass. The map may change between two chunks. */
  #rest: Iterator<number>;
  /** Versions of this pass that something hides which is not durable yet. */
  #skipped = 0;

  /**
   * Begins.
   *
   * @param base The open pool.
   * @param map The map of the volume.
   * @param job Notes how far it is.
   */
  constructor(base: PoolBase, map: ForwardMap, job: Job) {
    this.#base = base;
    this.#map = map;
    this.job = job;
    this.#rest = beginPass(map);
  }

  /**
   * Frees some versions.
   *
   * @returns Whether all are freed, or the volume is gone.
   * @throws {VirstorError} `failed`.
   */
  async piece(): Promise<boolean> {
    const { volumes } = this.#base;
    const volume = volumes.find(({ map }) => map === this.#map);
    // What a removed volume had is freed with it.
    if (volume === undefined) return true;
    await flushMembers(this.#base);
    const batch: [virtualChunk: number, version: OldVersion][] = [];
    const { record } = volume;
    const most = TURN_BUDGET.sweptChunks;
    const slice = new Slice(CHUNKS_A_LOOK);
    slice.begin();
    let isAtEnd = false;
    for (
      let looks = 0;
      looks < most * LOOKS_A_CHUNK && batch.length < most;
      looks++
    ) {
      const { value: v, done } = this.#rest.next();
      isAtEnd = done === true;
      if (isAtEnd) break;
      this.job.done++;
      for (const version of unseenVersions(record, this.#map, v)) {
        if (isHiddenDurably(this.#base, this.#map, v, version)) {
          batch.push([v, version]);
        } else this.#skipped++;
      }
      if (!slice.spend(1)) continue;
      await turn();
      slice.begin();
    }
    this.job.freed += await freeVersions(this.#base, this.#map, batch);
    if (!isAtEnd) return false;
    if (this.#skipped === 0) return true;
    this.#skipped = 0;
    this.job.done = 0;
    this.#rest = beginPass(this.#map);
    return false;
  }
}

/** Frees all chunks of a volume that was removed. */
export class VolumeSweep implements Sweep {
  /** How far it is. */
  readonly job: Job;
  readonly #base: PoolBase;
  readonly #map: ForwardMap;
  #next = 0;

  /**
   * Begins.
   *
   * *Requires*: no superblock lists the volume, and no request of it is in
   * flight.
   *
   * @param base The open pool.
   * @param map The map of the volume.
   * @param job Notes how far it is.
   */
  constructor(base: PoolBase, map: ForwardMap, job: Job) {
    this.#base = base;
    this.#map = map;
    this.job = job;
  }

  /**
   * Frees some chunks.
   *
   * @returns Whether all are freed, durably.
   * @throws {VirstorError} `failed`.
   */
  async piece(): Promise<boolean> {
    const map = this.#map;
    const freed = new FreedInTurns(this.#base, this.job);
    const { virtualChunks: end } = map;
    let v = map.nextMapped(this.#next, end);
    for (let looks = 0; v < end && looks < TURN_BUDGET.sweptChunks; looks++) {
      freed.add(...takeVersions(map, v));
      this.job.done++;
      v = map.nextMapped(v + 1, end);
      if (freed.endsTurn()) await freed.turn();
    }
    freed.end();
    this.#next = v;
    if (v < end) return false;
    // The number may be used again once no entry of the volume is left.
    await flushMembers(this.#base);
    return true;
  }
}

/**
 * Frees the old versions of a volume that no snapshot sees.
 *
 * *Requires*: the evacuation is held, and no other change runs.
 *
 * @param sweep Frees them.
 * @throws {VirstorError} `failed`.
 */
export async function sweepAll(sweep: Sweep): Promise<void> {
  while (!await sweep.piece());
}

/**
 * Frees chunks whose versions no open would count.
 *
 * @param base The open pool.
 * @param places The chunks; no map has them any more.
 * @returns How many there are.
 * @throws {VirstorError} `failed`.
 */
function freePlaces(base: PoolBase, places: readonly Place[]): number {
  for (const [component, its] of Map.groupBy(places, (one) => one.component)) {
    const chunks = its.map(({ chunk }) => chunk);
    base.mapper.release(component, chunks);
    base.freeing.add(component, chunks);
  }
  return places.length;
}

function beginPass({ old }: ForwardMap): Iterator<number> {
  return old.virtualChunks[Symbol.iterator]();
}

/** Frees chunks in bounded turns. Begins with the first turn. */
export class FreedInTurns {
  readonly #base: PoolBase;
  readonly #job: Job;
  readonly #slice = new Slice(CHUNKS_A_LOOK);
  #places: Place[] = [];

  /**
   * Begins.
   *
   * @param base The open pool.
   * @param job Notes how many chunks are freed.
   */
  constructor(base: PoolBase, job: Job) {
    this.#base = base;
    this.#job = job;
    this.#slice.begin();
  }

  /**
   * Adds chunks to free.
   *
   * @param places The chunks; no map has them any more.
   */
  add(...places: Place[]): void {
    this.#places.push(...places);
  }

  /**
   * Frees what has come if it is much; to be asked once for each chunk that is
   * looked at.
   *
   * @returns Whether others are to have a turn now.
   * @throws {VirstorError} `failed`.
   */
  endsTurn(): boolean {
    // Chunks that share a page of the chunk table share its write.
    if (this.#places.length >= TURN_BUDGET.unmappedChunks) this.end();
    return this.#slice.spend(1);
  }

  /** Gives others a turn. */
  async turn(): Promise<void> {
    await turn();
    this.#slice.begin();
  }

  /**
   * Frees what is left.
   *
   * @throws {VirstorError} `failed`.
   */
  end(): void {
    this.#job.freed += freePlaces(this.#base, this.#places);
    this.#places = [];
  }
}

/** Takes all versions of a virtual chunk out of its map. */
function takeVersions(map: ForwardMap, virtualChunk: number): Place[] {
  const places: Place[] = [];
  for (const version of [...map.old.of(virtualChunk)]) {
    map.old.delete(virtualChunk, version);
    places.push(version);
  }
  const component = map.component(virtualChunk);
  if (component !== undefined) {
    places.push({ component, chunk: map.chunk(virtualChunk) });
  }
  map.delete(virtualChunk);
  return places;
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
