/**
 * The status of a pool as text.
 *
 * @module
 */

import { counted, nameOf, printable } from "../../errors.ts";
import type {
  ComponentStatus,
  HostStatus,
  PoolStatus,
} from "../../pool/mod.ts";
import type { ServerStatus, StatusReport } from "../control/mod.ts";
import { jobPair } from "./job_text.ts";
import { type PoolState, stateOf, stateWords } from "./pool_state.ts";
import { healthOf, healthText } from "./verdict.ts";
import {
  formatSeconds,
  formatSize,
  textPairs,
  textTable,
} from "../terminal/mod.ts";

/** The most volumes that the text names. */
const VOLUMES_TOLD = 8;

/**
 * Formats the full status of one pool.
 *
 * @param report The pool and its server.
 * @param state The pool's state; by default the one that the report gives.
 * @returns Several lines.
 */
export function statusText(
  report: StatusReport,
  state: PoolState = stateOf(report),
): string {
  const { pool, server } = report;
  const words = stateWords(state);
  const parts = [
    textPairs([
      ["Pool", pool.name],
      ["Health", healthText(healthOf(state, pool))],
      ["State", state.reason === "" ? words : `${words}: ${state.reason}`],
      ...serverPairs(server),
      ["Id", pool.id],
      ["Format", pool.format],
      [
        "Virtual size",
        `${formatSize(pool.virtualSize)} ` +
        `(${counted(pool.virtualChunks, "chunk")} of ` +
        `${formatSize(pool.chunkSize)}, ${pool.mappedChunks} mapped)`,
      ],
      ...volumePairs(pool),
      ["Physical", physicalText(pool)],
      ["Backing", `${percent(pool.backingPercent)} of the virtual size`],
      ["Used", `${percent(pool.usedPercent)} of the physical space`],
      ...pool.components.flatMap(remotePair),
      ...pool.hosts.map((host): [string, string] => ["Host", hostText(host)]),
      ...evacuationPairs(pool, server),
      ...pool.jobs.map((job) => jobPair(pool, job)),
      ...server === null ? [] : runPairs(pool),
    ]),
    "",
    componentTable(pool),
    ...clientTable(server),
  ];
  if (pool.warnings.length > 0) {
    parts.push(
      "",
      ...pool.warnings.map((warning) => `Warning: ${printable(warning)}`),
    );
  }
  return parts.join("\n");
}

/**
 * Formats a percentage, rounded down to one decimal.
 *
 * @param value Percent, 0 or more.
 * @returns For instance `42.5%`.
 */
export function percent(value: number): string {
  return `${Math.floor(value * 10) / 10}%`;
}

/** Volumes and snapshots, where there is more than the first volume. */
function volumePairs({ name, volumes }: PoolStatus): [string, string][] {
  const snapshots = volumes.flatMap((one) => one.snapshots).length;
  if (volumes.length === 1 && snapshots === 0) return [];
  const told = volumes.slice(0, VOLUMES_TOLD).map((one) =>
    `${nameOf(name, one.name)} ${formatSize(one.size)}` +
    (one.snapshots.length === 0
      ? ""
      : ` (${counted(one.snapshots.length, "snapshot")})`)
  );
  if (volumes.length > VOLUMES_TOLD) told.push("...");
  return [
    ["Volumes", `${volumes.length}: ${told.join(", ")}`],
    ["Snapshots", String(snapshots)],
  ];
}

function serverPairs(server: ServerStatus | null): [string, string][] {
  if (server === null) return [];
  return [
    ...server.uris.map((uri): [string, string] => ["URI", uri]),
    ["Server", `process ${server.pid}, since ${server.startedAt}`],
    [
      "Clients",
      `${server.clients.length} connected ` +
      `(${server.counters.connections} since the start)`,
    ],
  ];
}

/** The progress of an evacuation. */
function evacuationPairs(
  pool: PoolStatus,
  server: ServerStatus | null,
): [string, string][] {
  const { evacuation } = pool;
  if (evacuation === null) return [];
  const { state, reason, movedBytes, leftBytes, bytesPerSecond } = evacuation;
  const left = `${formatSize(leftBytes)} left`;
  if (server === null || pool.readOnly) {
    const text = `${left}; it continues when the pool is opened for writing`;
    return [["Evacuation", text]];
  }
  const parts = [`${formatSize(movedBytes)} moved`, left];
  if (state === "moving") {
    parts.push(`${formatSize(bytesPerSecond)}/s`);
    if (evacuation.secondsLeft !== null) {
      parts.push(`${formatSeconds(evacuation.secondsLeft)} to go`);
    }
  }
  const words = {
    moving: "moving",
    waiting: "waiting for free chunks",
    stopped: `stopped by an error (${reason})`,
  };
  return [["Evacuation", `${words[state]}: ${parts.join(", ")}`]];
}

/** The connection and the journal of a component on another machine. */
function remotePair({ index, remote }: ComponentStatus): [string, string][] {
  if (remote === null) return [];
  const { journalSize, reconnects, lastError } = remote;
  const parts = [
    `${remote.state}, ${remote.path}`,
    counted(reconnects, "reconnect"),
    `${remote.inFlight} in flight`,
    `${remote.queued} queued`,
    ...journalSize === 0 ? [] : [
      `journal ${formatSize(remote.journalBytes)} of ` +
      formatSize(journalSize),
    ],
    ...remote.delayedWrites === 0
      ? []
      : [counted(remote.delayedWrites, "write waits", "writes wait")],
    `round trip ${millis(remote.roundTripP50Ms)} ` +
    `(p99 ${millis(remote.roundTripP99Ms)})`,
    `oldest request ${millis(remote.oldestMs)}`,
    ...lastError === "" ? [] : [`last error: ${printable(lastError)}`],
  ];
  return [[`Remote ${index}`, parts.join(", ")]];
}

function millis(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : Math.round(ms)} ms`;
}

/** What has a value only while the pool is open. */
function runPairs(pool: PoolStatus): [string, string][] {
  return [
    ["When full", policyText(pool)],
    ["Delayed writes", delayedText(pool)],
    ["Requests", requestsText(pool)],
    ["Transferred", transferText(pool)],
  ];
}

function physicalText(pool: PoolStatus): string {
  return `${formatSize(pool.physicalChunks * pool.chunkSize)} ` +
    `(${counted(pool.physicalChunks, "chunk")}: ${pool.usedChunks} used, ` +
    `${pool.freeChunks} free, ` +
    (pool.freeingChunks === 0 ? "" : `${pool.freeingChunks} being freed, `) +
    `${pool.reservedChunks} reserved)`;
}

/** What the components may still take of a file system, and what it has. */
function hostText(host: HostStatus): string {
  const { paths, freeBytes, totalBytes, promisedBytes } = host;
  return `${formatSize(promisedBytes)} promised, ${formatSize(freeBytes)} ` +
    `free of ${formatSize(totalBytes)}, under ` +
    counted(paths.length, "component");
}

function policyText(pool: PoolStatus): string {
  if (pool.onFull === "error") return "writes fail (ENOSPC)";
  return pool.fullTimeoutSeconds === 0
    ? "writes wait"
    : `writes wait, at most ${formatSeconds(pool.fullTimeoutSeconds)}`;
}

function delayedText({ delayed }: PoolStatus): string {
  const now = delayed.count === 0
    ? "none"
    : `${delayed.count} (${formatSize(delayed.bytes)} of ` +
      `${formatSize(delayed.maxBytes)}), the oldest for ` +
      formatSeconds(delayed.oldestSeconds);
  return `${now}; ${delayed.total} in all, ${delayed.timedOut} timed out, ` +
    `${delayed.cancelled} cancelled`;
}

function requestsText({ counters }: PoolStatus): string {
  return [
    counted(counters.reads, "read"),
    counted(counters.writes, "write"),
    counted(counters.flushes, "flush", "flushes"),
    counted(counters.discards, "discard"),
    counted(counters.zeroes, "write of zeroes", "writes of zeroes"),
  ].join(", ");
}

function transferText({ counters }: PoolStatus): string {
  return `${formatSize(counters.bytesRead)} read, ` +
    `${formatSize(counters.bytesWritten)} written, ` +
    `${counted(counters.firstWrites, "chunk")} mapped`;
}

function componentTable(pool: PoolStatus): string {
  const { components, missing } = pool;
  // The column appears only if a component is not in the usual state.
  const hasStates = missing.length > 0 ||
    components.some((one) => wordOf(one) !== "in use");
  const state = (word: string) => hasStates ? [word] : [];
  // The same of disks that have failed requests.
  const hasErrors = components.some((one) => errorsOf(one) > 0);
  const errors = (word: string) => hasErrors ? [word] : [];
  const rows = [
    ...components.map((component) => ({
      index: component.index,
      cells: [
        ...figures(component),
        ...errors(String(errorsOf(component))),
        ...state(wordOf(component)),
        component.path,
      ],
    })),
    ...missing.map(({ index, uuid, chunkCount }) => ({
      index,
      cells: [
        ...["-", chunkCount === 0 ? "-" : String(chunkCount)],
        ...["-", "-", "-", "-"],
        ...errors("-"),
        ...state("missing"),
        uuid === "" ? "-" : uuid,
      ],
    })),
  ].toSorted((a, b) => a.index - b.index);
  return textTable([
    [
      ...["No", "Size", "Chunks", "Used", "Free", "Reserved", "Used%"],
      ...errors("Errors"),
      ...state("State"),
      "Path",
    ],
    ...rows.map(({ index, cells }) => [String(index), ...cells]),
  ]);
}

/** The clients, if there are any. */
function clientTable(server: ServerStatus | null): string[] {
  const { clients = [] } = server ?? {};
  if (clients.length === 0) return [];
  const rows = clients.map((client) => [
    String(client.id),
    client.peer,
    client.pid === null ? "-" : String(client.pid),
    client.exportName ?? "-",
    client.since,
    formatSize(client.bytesRead),
    formatSize(client.bytesWritten),
    String(client.inFlight),
  ]);
  const heading = [
    ...["Client", "Peer", "Pid", "Export", "Since"],
    ...["Read", "Written", "In flight"],
  ];
  return ["", textTable([heading, ...rows])];
}

/** Requests that the disk of a component has failed. */
function errorsOf({ errors }: ComponentStatus): number {
  return errors === null ? 0 : errors.reads + errors.writes + errors.flushes;
}

function wordOf({ evacuating, refusedSince }: ComponentStatus): string {
  if (refusedSince !== null) return "host full";
  return evacuating ? "evacuating" : "in use";
}

function figures(component: ComponentStatus): string[] {
  return [
    formatSize(component.size),
    String(component.chunks),
    String(component.used),
    String(component.free),
    String(component.reserved),
    percent(component.usedPercent),
  ];
}
