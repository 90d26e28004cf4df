/**
 * What a pool tells of itself.
 *
 * @module
 */

import {
  type Component,
  type FullPolicy,
  hostWarnings,
  type MissingMember,
  passedMarks,
  type PoolCounters,
  type PoolSettings,
} from "./core/mod.ts";
import type { DelayedWrites } from "./io/mod.ts";
import type { EvacuationStatus } from "./change/mod.ts";
import type { FormatName, PoolFormat } from "./format/mod.ts";

/** One component. */
export interface ComponentStatus {
  /** Its place among the components, from 0. */
  readonly index: number;
  /** Where it is. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Chunks on it: reserved, used and free together. */
  readonly chunks: number;
  /** Chunks that hold the map. */
  readonly reserved: number;
  /** Chunks that hold data. */
  readonly used: number;
  /** Chunks that can be allocated. */
  readonly free: number;
  /** Chunks that were given back and are not free yet. */
  readonly freeing: number;
  /** Whether it is on its way out: nothing new is put there. */
  readonly evacuating: boolean;
  /** Used, in percent of all but the reserved. */
  readonly usedPercent: number;
  /**
   * Bytes that the file system it is on has left; null where that is not
   * known, as of a block device.
   */
  readonly hostFree: number | null;
  /**
   * Since when that file system refuses writes for want of space, ISO 8601;
   * null if it does not.
   */
  readonly refusedSince: string | null;
}

/** Writes that wait for space. */
export interface DelayedStatus {
  /** How many wait. */
  readonly count: number;
  /** Bytes they hold. */
  readonly bytes: number;
  /** Bytes they may hold before their clients are slowed. */
  readonly maxBytes: number;
  /** How long the first has waited, seconds. */
  readonly oldestSeconds: number;
  /** How many have waited since the pool was opened. */
  readonly total: number;
  /** How many that waited did so for too long. */
  readonly timedOut: number;
  /** How many that waited, for whatever chunk, nobody wanted any more. */
  readonly cancelled: number;
}

/** A pool. */
export interface PoolStatus {
  /** Its name. */
  readonly name: string;
  /** What tells it from others of its name: a UUID, or a number. */
  readonly id: string;
  /** Its format. */
  readonly format: FormatName;
  /** Whether it takes writes; `stopped` if nothing has it open. */
  readonly state: "open" | "failed" | "closed" | "stopped";
  /** Why it takes none any more; "" if it does. */
  readonly reason: string;
  /**
   * Whether it was opened for reading only; of a stopped pool whether it can
   * only be.
   */
  readonly readOnly: boolean;
  /** Members that are not there: what may be on them cannot be read. */
  readonly missing: readonly MissingMember[];
  /** Components that are being evacuated; null if none is. */
  readonly evacuation: EvacuationStatus | null;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Chunks of the virtual disk. */
  readonly virtualChunks: number;
  /** Chunks of the virtual disk that have a place. */
  readonly mappedChunks: number;
  /** Chunks on the components: reserved, used and free together. */
  readonly physicalChunks: number;
  /** Chunks that hold the map. */
  readonly reservedChunks: number;
  /** Chunks that hold data. */
  readonly usedChunks: number;
  /** Chunks that can be allocated. */
  readonly freeChunks: number;
  /** Chunks that were given back and are not free yet. */
  readonly freeingChunks: number;
  /** Used, in percent of all but the reserved. */
  readonly usedPercent: number;
  /** All but the reserved chunks, in percent of the virtual disk. */
  readonly backingPercent: number;
  /** What a write does when there is no chunk for it. */
  readonly onFull: FullPolicy;
  /** How long it waits, seconds; 0 for ever. */
  readonly fullTimeoutSeconds: number;
  /** Writes that wait. */
  readonly delayed: DelayedStatus;
  /** What was done. */
  readonly counters: Readonly<PoolCounters>;
  /** The components, in order. */
  readonly components: readonly ComponentStatus[];
  /** What is to be warned of, a sentence each. */
  readonly warnings: readonly string[];
}

/**
 * A share in percent, with one decimal.
 *
 * @param part The share.
 * @param whole The whole.
 * @returns 0 to 100 if the share is one; 0 of nothing.
 */
export function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round(part / whole * 1000) / 10;
}

/** What a status is made from. */
export interface StatusSource {
  /** What does not change. */
  readonly settings: PoolSettings;
  /** The components. */
  readonly format: Pick<PoolFormat, "name" | "members">;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Components that are being evacuated. */
  readonly evacuation: EvacuationStatus | undefined;
  /** Chunks that are mapped. */
  readonly mapped: number;
  /** Writes that wait. */
  readonly delayed: Pick<
    DelayedWrites,
    "size" | "bytes" | "oldestMs" | "total" | "timedOut" | "cancelled"
  >;
  /** What was done. */
  readonly counters: PoolCounters;
  /** Whether it takes writes. */
  readonly state: PoolStatus["state"];
  /** Why not. */
  readonly reason: string;
}

/**
 * Makes a status.
 *
 * @param source What it is made from.
 * @returns A snapshot.
 */
export function describePool(source: StatusSource): PoolStatus {
  const { settings, format, delayed, reason } = source;
  const components = format.members.map(describeComponent);
  const sum = (key: "chunks" | "reserved" | "used" | "free" | "freeing") =>
    components.reduce((total, one) => total + one[key], 0);
  const usable = sum("used") + sum("free") + sum("freeing");
  const { virtualSize } = source;
  const virtualChunks = virtualSize / settings.chunkSize;
  const marks = passedMarks(format.members, settings.watermarks);
  const { name, id, chunkSize, readOnly, missing } = settings;
  return {
    name,
    id,
    format: format.name,
    state: source.state,
    reason,
    readOnly,
    missing,
    evacuation: source.evacuation ?? null,
    virtualSize,
    chunkSize,
    virtualChunks,
    mappedChunks: source.mapped,
    physicalChunks: sum("chunks"),
    reservedChunks: sum("reserved"),
    usedChunks: sum("used"),
    freeChunks: sum("free"),
    freeingChunks: sum("freeing"),
    usedPercent: percent(sum("used"), usable),
    backingPercent: percent(usable, virtualChunks),
    onFull: settings.onFull,
    fullTimeoutSeconds: settings.fullTimeoutSeconds,
    delayed: {
      count: delayed.size,
      bytes: delayed.bytes,
      maxBytes: settings.maxDelayedBytes,
      oldestSeconds: Math.round(delayed.oldestMs) / 1000,
      total: delayed.total,
      timedOut: delayed.timedOut,
      cancelled: delayed.cancelled,
    },
    counters: { ...source.counters },
    components,
    warnings: [
      ...reason === "" ? [] : [reason],
      ...settings.warnings,
      ...hostWarnings(format.members, settings.chunkSize),
      ...marks.map(({ message }) => message),
    ],
  };
}

function describeComponent(component: Component): ComponentStatus {
  const { index, device, geometry, used, free, freeing } = component;
  const { hostFree, refusal } = component;
  return {
    index,
    path: device.path,
    size: geometry.size,
    chunks: geometry.chunkCount,
    reserved: geometry.chunkReserved,
    used,
    free,
    freeing,
    evacuating: component.evacuating,
    usedPercent: percent(used, used + free + freeing),
    hostFree: hostFree ?? null,
    refusedSince: refusal === undefined
      ? null
      : new Date(refusal.since).toISOString(),
  };
}
