/**
 * The status of a pool.
 *
 * @module
 */

import {
  type Component,
  type FullPolicy,
  type HostStatus,
  hostStatuses,
  hostWarnings,
  type MissingMember,
  newCounters,
  passedHostMarks,
  passedMarks,
  type PoolCounters,
  type PoolSettings,
  promiseWarnings,
  type RemoteStatus,
  type WaitingChanges,
} from "./core/mod.ts";
import { addCounts } from "../device/leases/mod.ts";
import { counted } from "../errors.ts";
import type { DelayedWrites } from "./io/mod.ts";
import {
  type EvacuationStatus,
  type JobStatus,
  type LossStatus,
  lossWarnings,
  type VolumeSummary,
} from "./change/mod.ts";
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
  /**
   * Requests that its disk has failed since the pool was opened; null if that
   * is not counted.
   */
  readonly errors: {
    /** Reads. */
    readonly reads: number;
    /** Writes, without those that a full file system has refused. */
    readonly writes: number;
    /** Flushes: one at most, since a failed flush is final. */
    readonly flushes: number;
  } | null;
  /** Its connection and its journal, on another machine; null on this one. */
  readonly remote: RemoteStatus | null;
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
  /** What evacuations have lost, since the pool was opened. */
  readonly lost: LossStatus;
  /** What goes on beside the requests for volumes and snapshots. */
  readonly jobs: readonly JobStatus[];
  /** The volumes, the first one first. */
  readonly volumes: readonly VolumeSummary[];
  /** Bytes of all volumes together. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Chunks of all volumes. */
  readonly virtualChunks: number;
  /** Chunks of the volumes that are mapped, without those of old versions. */
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
  /** The file systems under the components, as far as they are known. */
  readonly hosts: readonly HostStatus[];
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

type DelayedSource = Pick<
  DelayedWrites,
  "size" | "bytes" | "oldestMs" | "total" | "timedOut" | "cancelled"
>;

/** The sources of a status. */
export interface StatusSource {
  /** The pool's settings. */
  readonly settings: PoolSettings;
  /** The format's name, and the components. */
  readonly format: Pick<PoolFormat, "name" | "members">;
  /** What there is to say of the volumes, the first one first. */
  readonly summaries: readonly VolumeSummary[];
  /** The volumes of the pool. */
  readonly volumes: readonly {
    /** Bytes of the volume. */
    readonly size: number;
    /** Chunks that are mapped for the volume. */
    readonly mappedChunks: number;
    /** Its writes that wait for space. */
    readonly delayed: DelayedSource;
    /** Its counters since the pool was opened. */
    readonly counters: PoolCounters;
  }[];
  /** The evacuation; undefined if no component is being evacuated. */
  readonly evacuation: EvacuationStatus | undefined;
  /** What evacuations have lost. */
  readonly lost: LossStatus;
  /** What goes on for volumes and snapshots. */
  readonly jobs: readonly JobStatus[];
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
  const { settings, format, volumes, reason } = source;
  const components = format.members.map(describeComponent);
  const sum = (key: "chunks" | "reserved" | "used" | "free" | "freeing") =>
    components.reduce((total, one) => total + one[key], 0);
  const usable = sum("used") + sum("free") + sum("freeing");
  const virtualSize = volumes.reduce((total, { size }) => total + size, 0);
  const mappedChunks = volumes.reduce(
    (total, one) => total + one.mappedChunks,
    0,
  );
  const virtualChunks = virtualSize / settings.chunkSize;
  const { watermarks } = settings;
  const marks = passedMarks(format.members, watermarks, settings.chunkSize);
  const hosts = hostStatuses(format.members);
  const hostMarks = watermarks.host === undefined
    ? []
    : passedHostMarks(hosts, watermarks.host);
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
    lost: source.lost,
    jobs: source.jobs,
    volumes: source.summaries,
    virtualSize,
    chunkSize,
    virtualChunks,
    mappedChunks,
    physicalChunks: sum("chunks"),
    reservedChunks: sum("reserved"),
    usedChunks: sum("used"),
    freeChunks: sum("free"),
    freeingChunks: sum("freeing"),
    usedPercent: percent(sum("used"), usable),
    backingPercent: percent(usable, virtualChunks),
    onFull: settings.onFull,
    fullTimeoutSeconds: settings.fullTimeoutSeconds,
    delayed: describeDelayed(source),
    counters: sumCounters(volumes.map(({ counters }) => counters)),
    components,
    hosts,
    warnings: [
      ...reason === "" ? [] : [reason],
      ...settings.warnings,
      ...hostWarnings(
        format.members,
        settings.chunkSize,
        format.name === "freebsd",
      ),
      ...components.flatMap(errorWarnings),
      ...lossWarnings(source.settings.name, source.lost),
      ...promiseWarnings(hosts.filter((host) => !isFull(source, host))),
      ...[...hostMarks, ...marks].map(({ message }) => message),
    ],
  };
}

/** Says that a disk has failed requests. */
function errorWarnings({ path, errors }: ComponentStatus): string[] {
  const { reads = 0, writes = 0, flushes = 0 } = errors ?? {};
  if (reads + writes + flushes === 0) return [];
  const words = [
    ...reads > 0 ? [counted(reads, "read")] : [],
    ...writes > 0 ? [counted(writes, "write")] : [],
    ...flushes > 0 ? [counted(flushes, "flush", "flushes")] : [],
  ];
  return [
    `Component "${path}" has failed ${words.join(", ")}: look at its disk`,
  ];
}

/** Whether there is a warning of a full file system already. */
function isFull(
  { settings, format }: StatusSource,
  { freeBytes, paths }: HostStatus,
): boolean {
  return freeBytes < settings.chunkSize ||
    format.members.some(({ refusal, device }) =>
      refusal !== undefined && paths.includes(device.path)
    );
}

function describeDelayed(
  { volumes, settings, format: { members } }: StatusSource,
): DelayedStatus {
  const sum = (key: "size" | "bytes" | "total" | "timedOut" | "cancelled") =>
    volumes.reduce((total, { delayed }) => total + delayed[key], 0);
  const remote = (key: keyof WaitingChanges) =>
    members.reduce(
      (total, { device }) => total + (device.waitingChanges?.[key] ?? 0),
      0,
    );
  const oldestMs = Math.max(0, ...volumes.map((one) => one.delayed.oldestMs));
  return {
    count: sum("size") + remote("count"),
    bytes: sum("bytes") + remote("bytes"),
    maxBytes: settings.maxDelayedBytes,
    oldestSeconds: Math.round(oldestMs) / 1000,
    total: sum("total") + remote("total"),
    timedOut: sum("timedOut"),
    cancelled: sum("cancelled"),
  };
}

function sumCounters(all: readonly PoolCounters[]): PoolCounters {
  const total = newCounters();
  for (const counters of all) addCounts(total, counters);
  return total;
}

function describeComponent(component: Component): ComponentStatus {
  const { index, device, geometry, used, free, freeing } = component;
  const { host, refusal } = component;
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
    hostFree: host?.freeBytes ?? null,
    refusedSince: refusal === undefined
      ? null
      : new Date(refusal.since).toISOString(),
    errors: device.errors === undefined ? null : { ...device.errors },
    remote: device.remoteStatus?.() ?? null,
  };
}
