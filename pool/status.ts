/**
 * The status of a pool.
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

/** The status of a component. */
export interface ComponentStatus {
  /** The component's index, from 0. */
  readonly index: number;
  /** The component's path. */
  readonly path: string;
  /** Bytes that the pool uses of it. */
  readonly size: number;
  /** Chunks on it, of all kinds. */
  readonly chunks: number;
  /** Chunks that hold the map (format 1). */
  readonly reserved: number;
  /** Chunks that are mapped. */
  readonly used: number;
  /** Chunks that can be allocated. */
  readonly free: number;
  /** Chunks that were unmapped and are not free yet. */
  readonly freeing: number;
  /** Whether it is being evacuated; then no chunk of it is allocated. */
  readonly evacuating: boolean;
  /** Mapped chunks, in percent of all but the reserved ones. */
  readonly usedPercent: number;
  /**
   * Free bytes of its file system; null if unknown, for instance on a block
   * device.
   */
  readonly hostFree: number | null;
  /**
   * Since when its file system refuses writes because it is full, ISO 8601;
   * null if it does not.
   */
  readonly refusedSince: string | null;
}

/** The delayed writes of a pool. */
export interface DelayedStatus {
  /** How many writes wait for space. */
  readonly count: number;
  /** Bytes that they hold. */
  readonly bytes: number;
  /** Bytes above which the pool applies backpressure to clients. */
  readonly maxBytes: number;
  /** How long the oldest has waited, seconds. */
  readonly oldestSeconds: number;
  /** How many writes have waited since the pool was opened. */
  readonly total: number;
  /** How many of them timed out. */
  readonly timedOut: number;
  /** How many waiting writes were cancelled because their client left. */
  readonly cancelled: number;
}

/** The status of a pool. */
export interface PoolStatus {
  /** The pool's name. */
  readonly name: string;
  /** The id that distinguishes pools of the same name: a UUID, or a number. */
  readonly id: string;
  /** The pool's on-disk format. */
  readonly format: FormatName;
  /** The state; `stopped` if no process has the pool open. */
  readonly state: "open" | "failed" | "closed" | "stopped";
  /** Why the pool takes no more writes; "" if it has not failed. */
  readonly reason: string;
  /**
   * Whether the pool is open read-only; for a stopped pool, whether it can only
   * be opened read-only.
   */
  readonly readOnly: boolean;
  /** Members that were not found: data on them cannot be read. */
  readonly missing: readonly MissingMember[];
  /** The evacuation of components; null if none is being evacuated. */
  readonly evacuation: EvacuationStatus | null;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Chunks of the virtual disk. */
  readonly virtualChunks: number;
  /** Chunks of the virtual disk that are mapped. */
  readonly mappedChunks: number;
  /** Chunks on the components, of all kinds. */
  readonly physicalChunks: number;
  /** Chunks that hold the map (format 1). */
  readonly reservedChunks: number;
  /** Chunks on the components that are mapped. */
  readonly usedChunks: number;
  /** Chunks that can be allocated. */
  readonly freeChunks: number;
  /** Chunks that were unmapped and are not free yet. */
  readonly freeingChunks: number;
  /** Mapped chunks, in percent of all but the reserved ones. */
  readonly usedPercent: number;
  /** All but the reserved chunks, in percent of the virtual chunks. */
  readonly backingPercent: number;
  /** What a write does that needs a new chunk when none is free. */
  readonly onFull: FullPolicy;
  /** How long such a write waits at most, seconds; 0 for no limit. */
  readonly fullTimeoutSeconds: number;
  /** The writes that wait for space. */
  readonly delayed: DelayedStatus;
  /** Counters since the pool was opened. */
  readonly counters: Readonly<PoolCounters>;
  /** The components, in order. */
  readonly components: readonly ComponentStatus[];
  /** Warnings, one sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Computes a percentage, rounded to one decimal.
 *
 * @param part The part.
 * @param whole The whole.
 * @returns The part in percent of the whole; 0 if the whole is 0.
 */
export function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round(part / whole * 1000) / 10;
}

/** The sources of a status. */
export interface StatusSource {
  /** The pool's settings. */
  readonly settings: PoolSettings;
  /** The format's name, and the components. */
  readonly format: Pick<PoolFormat, "name" | "members">;
  /** Bytes of the virtual disk. */
  readonly virtualSize: number;
  /** The evacuation; undefined if no component is being evacuated. */
  readonly evacuation: EvacuationStatus | undefined;
  /** Chunks of the virtual disk that are mapped. */
  readonly mapped: number;
  /** The writes that wait for space. */
  readonly delayed: Pick<
    DelayedWrites,
    "size" | "bytes" | "oldestMs" | "total" | "timedOut" | "cancelled"
  >;
  /** Counters since the pool was opened. */
  readonly counters: PoolCounters;
  /** The pool's state. */
  readonly state: PoolStatus["state"];
  /** Why the pool takes no more writes; "" if it has not failed. */
  readonly reason: string;
}

/**
 * Describes a pool.
 *
 * @param source The sources of the status.
 * @returns A snapshot of the status.
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
