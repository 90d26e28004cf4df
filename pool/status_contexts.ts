/**
 * What a client can ask of a pool, range by range: metadata contexts, for
 * whoever serves it. They have the shape of the NBD layer's contexts, of which
 * this layer knows nothing.
 *
 * @module
 */

import { Slice } from "../device/block/mod.ts";
import type { DelayedWrites } from "./io/mod.ts";
import { type ForwardMap, passedMarks, type PoolSettings } from "./core/mod.ts";
import type { PoolFormat } from "./format/mod.ts";

/** Flag of `virstor:chunk`: the chunk has a place. */
export const CHUNK_MAPPED = 1;
/** Flag of `virstor:chunk`: a write waits for a place for it. */
export const CHUNK_DELAYED = 2;
/**
 * Flag of `virstor:chunk`: if it has a place, that is on a component that is
 * missing.
 */
export const CHUNK_UNKNOWN = 4;
/**
 * Flags of `virstor:chunk` from this bit on: of a mapped chunk, the number of
 * its component, as `status` numbers them; 16 bits.
 */
export const CHUNK_COMPONENT_SHIFT = 16;

/** Flag of `virstor:pressure`: a watermark is passed. */
export const PRESSURE_LOW = 1;
/** Flag of `virstor:pressure`: no chunk is free. */
export const PRESSURE_FULL = 2;
/** Flag of `virstor:pressure`: writes wait for free chunks. */
export const PRESSURE_DELAYED = 4;
/** Flag of `virstor:pressure`: the pool takes no writes. */
export const PRESSURE_STOPPED = 8;
/**
 * Flags of `virstor:pressure` from this bit on: the free chunks, in
 * hundredths of a percent of those that can be used, rounded up; 16 bits.
 */
export const PRESSURE_FREE_SHIFT = 16;

/** Chunks that are looked up between two looks at the clock. */
const CHUNKS_A_LOOK = 4096;

/** A run of bytes with one status. */
export interface StatusRun {
  /** Bytes, above 0. */
  readonly length: number;
  /** The status, 32 bits. */
  readonly flags: number;
}

/** One thing that can be asked of every byte of the virtual disk. */
export interface StatusContext {
  /** `namespace:leaf`. */
  readonly name: string;
  /**
   * What there is to tell of a range.
   *
   * @param offset The first byte.
   * @param length How many, above 0.
   * @param limit Runs that are wanted at most; there may be one more.
   * @returns The runs, in order and without gaps; together they are `length`
   *   long, or less where looking further would take more than a slice.
   */
  status(offset: number, length: number, limit: number): StatusRun[];
}

/** What contexts are made from. */
export interface ContextSource {
  /** What does not change. */
  readonly settings: PoolSettings;
  /** The components. */
  readonly format: PoolFormat;
  /** Where each virtual chunk is. */
  readonly map: ForwardMap;
  /** Writes that wait. */
  readonly delayed: DelayedWrites;
  /** Whether writes are taken. */
  readonly isWritable: () => boolean;
}

/**
 * The contexts of a pool: `virstor:chunk` and `virstor:pressure`.
 *
 * @param source What they tell of.
 * @returns The contexts.
 */
export function statusContexts(source: ContextSource): StatusContext[] {
  return [
    {
      name: "virstor:chunk",
      status: (offset, length, limit) =>
        chunkRuns(source, offset, length, limit),
    },
    {
      name: "virstor:pressure",
      status: (_, length) => [{ length, flags: pressureOf(source) }],
    },
  ];
}

function chunkRuns(
  { settings, map, delayed }: ContextSource,
  offset: number,
  length: number,
  limit: number,
): StatusRun[] {
  const { chunkSize, missing } = settings;
  const stop = offset + length;
  const first = Math.floor(offset / chunkSize);
  const end = Math.ceil(stop / chunkSize);
  const waiting = delayed.waitingBetween(first, end);
  const unmapped = missing.length > 0 ? CHUNK_UNKNOWN : 0;
  const runs: { length: number; flags: number }[] = [];
  const slice = new Slice(CHUNKS_A_LOOK);
  slice.begin();
  let told = 0;
  let at = offset;
  for (let v = first; v < end && runs.length <= limit;) {
    const component = map.component(v);
    while ((waiting[told]?.[1] ?? Infinity) <= v) told++;
    const [from, to] = waiting[told] ?? [end, end];
    let flags = unmapped;
    let next = v + 1;
    if (component !== undefined) {
      flags = (CHUNK_MAPPED | component.index << CHUNK_COMPONENT_SHIFT) >>> 0;
    } else if (from <= v) {
      flags |= CHUNK_DELAYED;
      next = map.nextMapped(v, Math.min(to, end));
    } else next = map.nextMapped(v, Math.min(from, end));
    const past = Math.min(next * chunkSize, stop);
    const last = runs[runs.length - 1];
    if (last?.flags === flags) last.length += past - at;
    else runs.push({ length: past - at, flags });
    at = past;
    v = next;
    if (slice.spend(1)) break;
  }
  return runs;
}

function pressureOf(source: ContextSource): number {
  const { settings, format: { members }, delayed, isWritable } = source;
  let free = 0;
  let usable = 0;
  for (const one of members) {
    usable += one.geometry.chunkCount - one.geometry.chunkReserved;
    if (!one.fenced) free += one.free;
  }
  let flags = 0;
  if (passedMarks(members, settings.watermarks).length > 0) {
    flags |= PRESSURE_LOW;
  }
  if (free === 0) flags |= PRESSURE_FULL;
  if (delayed.size > 0) flags |= PRESSURE_DELAYED;
  if (!isWritable()) flags |= PRESSURE_STOPPED;
  const share = usable === 0 ? 0 : Math.ceil(free / usable * 10_000);
  return (flags | share << PRESSURE_FREE_SHIFT) >>> 0;
}
