/**
 * Metadata contexts of a pool: what clients can ask about ranges of the disk.
 * They have the shape of the NBD layer's contexts, although this layer does not
 * know the NBD layer.
 *
 * @module
 */

import { Slice } from "../device/block/mod.ts";
import type { DelayedWrites, VolumeLimits } from "./io/mod.ts";
import {
  chunkMark,
  type ChunkView,
  passedMarks,
  type PoolSettings,
} from "./core/mod.ts";
import type { PoolFormat } from "./format/mod.ts";

/** Flag of `virstor:chunk`: the chunk is mapped. */
export const CHUNK_MAPPED = 1;
/** Flag of `virstor:chunk`: a write to the chunk waits for space. */
export const CHUNK_DELAYED = 2;
/**
 * Flag of `virstor:chunk`: unknown whether the chunk is mapped, since it may be
 * on a missing component.
 */
export const CHUNK_UNKNOWN = 4;
/**
 * From this bit on, `virstor:chunk` holds the index of a mapped chunk's
 * component, as `status` shows it; 16 bits.
 */
export const CHUNK_COMPONENT_SHIFT = 16;

/** Flag of `virstor:pressure`: a watermark is passed, or the quota is near. */
export const PRESSURE_LOW = 1;
/** Flag of `virstor:pressure`: the volume may take no chunk. */
export const PRESSURE_FULL = 2;
/** Flag of `virstor:pressure`: writes wait for free chunks. */
export const PRESSURE_DELAYED = 4;
/** Flag of `virstor:pressure`: the pool takes no writes. */
export const PRESSURE_STOPPED = 8;
/**
 * From this bit on, `virstor:pressure` holds the chunks that the volume may
 * take, in hundredths of a percent, rounded up; 16 bits. That is the lower of
 * two shares: of the pool's chunks, and of the volume's quota.
 */
export const PRESSURE_FREE_SHIFT = 16;

/** Chunks that are examined between two looks at the clock. */
const CHUNKS_A_LOOK = 4096;

/** A run of bytes with the same status. */
export interface StatusRun {
  /** Length in bytes, above 0. */
  readonly length: number;
  /** The flags, 32 bits. */
  readonly flags: number;
}

/** A metadata context: a status of every byte of the virtual disk. */
export interface StatusContext {
  /** The name, as `namespace:leaf`. */
  readonly name: string;
  /**
   * Describes a range of the disk.
   *
   * @param offset The offset of the first byte.
   * @param length The length in bytes, above 0.
   * @param limit How many runs the caller wants; there may be one more.
   * @returns The runs, in order and without gaps. Together they cover `length`
   *   bytes, or less if more would take longer than a slice.
   */
  status(offset: number, length: number, limit: number): StatusRun[];
}

/** Contexts whose names share a prefix, and that may be thousands. */
export interface StatusFamily {
  /** What each name begins with: `namespace:leaf:`, with the last colon. */
  readonly prefix: string;
  /** How many contexts there are. */
  readonly count: number;
  /**
   * Makes the contexts.
   *
   * @returns The contexts, as many as `count`.
   */
  contexts(): readonly StatusContext[];
}

/** The sources of the contexts. */
export interface ContextSource {
  /** The pool's settings. */
  readonly settings: PoolSettings;
  /** The pool's format, with the components. */
  readonly format: PoolFormat;
  /** The place of each mapped virtual chunk. */
  readonly map: ChunkView;
  /** The writes that wait for space. */
  readonly delayed: DelayedWrites;
  /** What bounds the chunks of the volume. */
  readonly limits: VolumeLimits;
  /** Returns whether the pool takes writes. */
  readonly isWritable: () => boolean;
}

/**
 * Makes the contexts of a pool: `virstor:chunk` and `virstor:pressure`.
 *
 * @param source Their sources.
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
  let passed = 0;
  let at = offset;
  for (let v = first; v < end && runs.length <= limit;) {
    const component = map.component(v);
    while ((waiting[passed]?.[1] ?? Infinity) <= v) passed++;
    const [from, to] = waiting[passed] ?? [end, end];
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
  const { settings, format: { members }, delayed, limits, isWritable } = source;
  const { watermarks, chunkSize } = settings;
  let usable = 0;
  for (const { geometry } of members) {
    usable += geometry.chunkCount - geometry.chunkReserved;
  }
  const { freeChunks: free, quotaChunks, quotaLeft } = limits;
  let flags = 0;
  const isNear = quotaLeft < chunkMark(quotaChunks, watermarks);
  // The mark for used chunks says that the pool is about to grow.
  const marks = passedMarks(members, watermarks, chunkSize);
  if (isNear || marks.some(({ mark }) => mark !== "used")) {
    flags |= PRESSURE_LOW;
  }
  if (Math.min(free, quotaLeft) === 0) flags |= PRESSURE_FULL;
  if (delayed.size > 0) flags |= PRESSURE_DELAYED;
  if (!isWritable()) flags |= PRESSURE_STOPPED;
  const ofPool = usable === 0 ? 0 : free / usable;
  const ofQuota = quotaChunks === Infinity ? 1 : quotaLeft / quotaChunks;
  const share = Math.ceil(Math.min(ofPool, ofQuota) * 10_000);
  return (flags | share << PRESSURE_FREE_SHIFT) >>> 0;
}
