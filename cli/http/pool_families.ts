/**
 * The metrics of pools, their volumes and components.
 *
 * @module
 */

import type { ComponentStatus, PoolStatus } from "../../pool/mod.ts";
import type { PoolCounters } from "../../pool/core/mod.ts";
import type { Family, Labels, Sample } from "./metric_family.ts";
import type { MetricsSource, PoolFigures } from "./metrics_source.ts";

/**
 * The most volumes of a pool, and the most components and exports, that have
 * metrics of their own.
 */
const OWN_METRICS_MAX = 1000;

type PoolFamily = Family<MetricsSource>;

/** A value for each pool. */
function ofPools(
  type: PoolFamily["type"],
  name: string,
  help: string,
  value: (status: PoolStatus) => number,
): PoolFamily {
  return samplesOf(type, `virstor_pool_${name}`, help, ({ status }) => [
    [{ pool: status.name }, value(status)],
  ]);
}

/** Any number of values for each pool. */
function samplesOf(
  type: PoolFamily["type"],
  name: string,
  help: string,
  samples: (figures: PoolFigures) => Iterable<Sample>,
): PoolFamily {
  return {
    name,
    type,
    help,
    *samples({ pools }) {
      for (const figures of pools) yield* samples(figures);
    },
  };
}

type VolumeSummary = PoolStatus["volumes"][number];

/** Any number of values for each volume. */
function ofVolumes(
  type: PoolFamily["type"],
  name: string,
  help: string,
  values: (
    volume: VolumeSummary,
    counters: Readonly<PoolCounters>,
  ) => Iterable<Sample>,
): PoolFamily {
  const family = `virstor_volume_${name}`;
  return samplesOf(type, family, help, function* ({ status, counters }) {
    for (const [index, volume] of status.volumes.entries()) {
      const own = counters[index];
      if (index === OWN_METRICS_MAX || own === undefined) return;
      for (const [labels, value] of values(volume, own)) {
        yield [{ pool: status.name, volume: volume.name, ...labels }, value];
      }
    }
  });
}

/** Any number of values for each component. */
function ofComponents(
  name: string,
  help: string,
  values: (component: ComponentStatus) => Iterable<Sample>,
  type: PoolFamily["type"] = "gauge",
): PoolFamily {
  const family = `virstor_component_${name}`;
  return samplesOf(type, family, help, function* ({ status }) {
    for (const one of status.components.slice(0, OWN_METRICS_MAX)) {
      for (const [labels, value] of values(one)) {
        yield [{ pool: status.name, component: one.path, ...labels }, value];
      }
    }
  });
}

/** One sample for each key of an object, which becomes a label. */
function labelled(
  label: string,
  values: Readonly<Record<string, number>>,
): Sample[] {
  return Object.entries(values).map(([key, value]): Sample => [
    { [label]: key },
    value,
  ]);
}

const NO_LABELS: Labels = {};

const POOL_FAMILIES: readonly PoolFamily[] = [
  samplesOf(
    "gauge",
    "virstor_pool_info",
    "The id and the on-disk format of the pool, always 1.",
    ({ status: { name, id, format } }) => [[{ pool: name, id, format }, 1]],
  ),
  ofPools(
    "gauge",
    "failed",
    "Whether the pool takes no more writes since an error.",
    ({ state }) => Number(state === "failed"),
  ),
  ofPools(
    "gauge",
    "read_only",
    "Whether the pool is open read-only.",
    ({ readOnly }) => Number(readOnly),
  ),
  ofPools(
    "gauge",
    "missing_components",
    "Components that were not found.",
    ({ missing }) => missing.length,
  ),
  ofPools(
    "gauge",
    "warnings",
    "Warnings that the command status shows.",
    ({ warnings }) => warnings.length,
  ),
  ofPools(
    "gauge",
    "chunk_size_bytes",
    "Bytes of a chunk.",
    ({ chunkSize }) => chunkSize,
  ),
  ofPools(
    "gauge",
    "virtual_size_bytes",
    "Bytes of all volumes together.",
    ({ virtualSize }) => virtualSize,
  ),
  ofPools(
    "gauge",
    "volumes",
    "Volumes of the pool.",
    ({ volumes }) => volumes.length,
  ),
  ofPools(
    "gauge",
    "components",
    "Components of the pool that are present.",
    ({ components }) => components.length,
  ),
  samplesOf(
    "gauge",
    "virstor_pool_chunks",
    "Chunks on the components of the pool, by state.",
    ({ status }) =>
      labelled("state", {
        used: status.usedChunks,
        free: status.freeChunks,
        freeing: status.freeingChunks,
        reserved: status.reservedChunks,
      }).map(([labels, value]) => [{ pool: status.name, ...labels }, value]),
  ),
  ofPools(
    "gauge",
    "delayed_writes_pending",
    "Writes that wait for a free chunk.",
    ({ delayed }) => delayed.count,
  ),
  ofPools(
    "gauge",
    "delayed_pending_bytes",
    "Bytes of the writes that wait for a free chunk.",
    ({ delayed }) => delayed.bytes,
  ),
  ofPools(
    "gauge",
    "delayed_limit_bytes",
    "Bytes of delayed writes above which the server slows clients down.",
    ({ delayed }) => delayed.maxBytes,
  ),
  ofPools(
    "gauge",
    "delayed_oldest_seconds",
    "How long the oldest delayed write has waited.",
    ({ delayed }) => delayed.oldestSeconds,
  ),
  ofPools(
    "counter",
    "delayed_writes_total",
    "Writes that had to wait for a free chunk.",
    ({ delayed }) => delayed.total,
  ),
  ofPools(
    "counter",
    "delayed_writes_timed_out_total",
    "Delayed writes that failed because they timed out.",
    ({ delayed }) => delayed.timedOut,
  ),
  ofPools(
    "counter",
    "delayed_writes_cancelled_total",
    "Delayed writes that were cancelled because their client left.",
    ({ delayed }) => delayed.cancelled,
  ),
  samplesOf(
    "gauge",
    "virstor_pool_evacuation",
    "Whether an evacuation of components is in this state.",
    ({ status: { name, evacuation } }) =>
      ["moving", "waiting", "stopped"].map((state) => [
        { pool: name, state },
        Number(evacuation?.state === state),
      ]),
  ),
  ofPools(
    "gauge",
    "evacuation_moved_bytes",
    "Bytes that the evacuation has moved, 0 without one.",
    ({ evacuation }) => evacuation?.movedBytes ?? 0,
  ),
  ofPools(
    "gauge",
    "evacuation_left_bytes",
    "Bytes that the evacuation has still to move.",
    ({ evacuation }) => evacuation?.leftBytes ?? 0,
  ),
  samplesOf(
    "gauge",
    "virstor_pool_evacuation_left_seconds",
    "How long the evacuation takes at its rate, where that is known.",
    ({ status: { name, evacuation } }) => {
      const secondsLeft = evacuation?.secondsLeft ?? null;
      return secondsLeft === null ? [] : [[{ pool: name }, secondsLeft]];
    },
  ),
  samplesOf(
    "gauge",
    "virstor_export_connections",
    "Clients of each volume, and of each snapshot that has had clients.",
    function* ({ status: { name }, exports }) {
      for (const each of exports.slice(0, OWN_METRICS_MAX)) {
        yield [{ pool: name, export: each.name }, each.connections];
      }
    },
  ),
];

const VOLUME_FAMILIES: readonly PoolFamily[] = [
  ofVolumes(
    "gauge",
    "size_bytes",
    "Bytes of the volume.",
    ({ size }) => [[NO_LABELS, size]],
  ),
  ofVolumes(
    "gauge",
    "mapped_chunks",
    "Mapped chunks of the volume, without those of its snapshots.",
    ({ mappedChunks }) => [[NO_LABELS, mappedChunks]],
  ),
  ofVolumes(
    "gauge",
    "snapshots",
    "Snapshots of the volume.",
    ({ snapshots }) => [[NO_LABELS, snapshots.length]],
  ),
  ofVolumes(
    "counter",
    "requests_total",
    "Requests to the volume; a long NBD request may be several.",
    (_, counters) =>
      labelled("request", {
        read: counters.reads,
        write: counters.writes,
        flush: counters.flushes,
        discard: counters.discards,
        write_zeroes: counters.zeroes,
      }),
  ),
  ofVolumes(
    "counter",
    "read_bytes_total",
    "Bytes read from the volume.",
    (_, { bytesRead }) => [[NO_LABELS, bytesRead]],
  ),
  ofVolumes(
    "counter",
    "written_bytes_total",
    "Bytes written to the volume.",
    (_, { bytesWritten }) => [[NO_LABELS, bytesWritten]],
  ),
  ofVolumes(
    "counter",
    "first_writes_total",
    "Chunks that the pool has mapped for the volume.",
    (_, { firstWrites }) => [[NO_LABELS, firstWrites]],
  ),
];

const COMPONENT_FAMILIES: readonly PoolFamily[] = [
  ofComponents(
    "size_bytes",
    "Bytes that the pool uses of the component.",
    ({ size }) => [[NO_LABELS, size]],
  ),
  ofComponents(
    "chunks",
    "Chunks on the component, by state.",
    ({ used, free, freeing, reserved }) =>
      labelled("state", { used, free, freeing, reserved }),
  ),
  ofComponents(
    "evacuating",
    "Whether the component is being evacuated.",
    ({ evacuating }) => [[NO_LABELS, Number(evacuating)]],
  ),
  ofComponents(
    "host_free_bytes",
    "Free bytes of the file system of the component, where they are known.",
    ({ hostFree }) => hostFree === null ? [] : [[NO_LABELS, hostFree]],
  ),
  ofComponents(
    "errors_total",
    "Requests that the disk of the component has failed, by kind.",
    ({ errors }) =>
      errors === null ? [] : labelled("request", {
        read: errors.reads,
        write: errors.writes,
        flush: errors.flushes,
      }),
    "counter",
  ),
  ofComponents(
    "refused_since_timestamp_seconds",
    "Since when the full file system of the component refuses writes, or 0.",
    ({ refusedSince }) => [[
      NO_LABELS,
      refusedSince === null ? 0 : Date.parse(refusedSince) / 1000,
    ]],
  ),
  ofComponents(
    "connected",
    "Whether the far side of a component on another machine is connected.",
    ({ remote }) =>
      remote === null
        ? []
        : [[NO_LABELS, Number(remote.state === "connected")]],
  ),
  ofComponents(
    "reconnects",
    "How many times a component on another machine has connected again.",
    ({ remote }) => remote === null ? [] : [[NO_LABELS, remote.reconnects]],
  ),
  ofComponents(
    "journal_bytes",
    "Bytes in the journal of a component on another machine.",
    ({ remote }) => remote === null ? [] : [[NO_LABELS, remote.journalBytes]],
  ),
];

/** The metrics of pools, their volumes and components. */
export const POOLS_FAMILIES: readonly PoolFamily[] = [
  ...POOL_FAMILIES,
  ...VOLUME_FAMILIES,
  ...COMPONENT_FAMILIES,
];
