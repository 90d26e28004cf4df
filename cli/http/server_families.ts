/**
 * The metrics of the NBD server and of its process.
 *
 * @module
 */

import process from "node:process";
import config from "../../deno.json" with { type: "json" };
import { listNames, readSmallFile } from "../../device/linux/mod.ts";
import type { Family, Sample } from "./metric_family.ts";
import type { MetricsSource } from "./metrics_source.ts";

type ServerFamily = Family<MetricsSource>;

/** The limit of open descriptors: reading it takes most of a millisecond. */
let descriptorLimit: { readonly value: number | undefined } | undefined;

/** One value of the server. */
function ofServer(
  type: ServerFamily["type"],
  name: string,
  help: string,
  value: (source: MetricsSource) => number | undefined,
): ServerFamily {
  return {
    name,
    type,
    help,
    samples: (source): Sample[] => {
      const found = value(source);
      return found === undefined ? [] : [[{}, found]];
    },
  };
}

const NBD_FAMILIES: readonly ServerFamily[] = [
  ofServer(
    "gauge",
    "virstor_nbd_connections",
    "Connected clients.",
    ({ clients }) => clients.length,
  ),
  ofServer(
    "counter",
    "virstor_nbd_accepted_connections_total",
    "Connections that the server has accepted.",
    ({ counters }) => counters.connections,
  ),
  ofServer(
    "counter",
    "virstor_nbd_refused_connections_total",
    "Connections that the server has closed because of its limits.",
    ({ counters }) => counters.connectionsRefused,
  ),
  {
    name: "virstor_nbd_requests_total",
    type: "counter",
    help: "Requests of all clients that the server accepted, by command.",
    samples: ({ counters }) =>
      Object.entries({
        read: counters.reads,
        write: counters.writes,
        flush: counters.flushes,
        trim: counters.trims,
        write_zeroes: counters.writeZeroes,
        cache: counters.caches,
        block_status: counters.blockStatuses,
      }).map(([command, count]) => [{ command }, count]),
  },
  ofServer(
    "counter",
    "virstor_nbd_error_replies_total",
    "Requests of all clients that were answered with an error.",
    ({ counters }) => counters.errors,
  ),
  ofServer(
    "counter",
    "virstor_nbd_read_bytes_total",
    "Bytes of the read requests of all clients.",
    ({ counters }) => counters.bytesRead,
  ),
  ofServer(
    "counter",
    "virstor_nbd_written_bytes_total",
    "Bytes of the write requests of all clients.",
    ({ counters }) => counters.bytesWritten,
  ),
];

/** These have the names that all programs give them. */
const PROCESS_FAMILIES: readonly ServerFamily[] = [
  {
    name: "virstor_build_info",
    type: "gauge",
    help: "The version of virstor and of its runtime, always 1.",
    samples: () => [[
      { version: config.version, deno: Deno.version.deno },
      1,
    ]],
  },
  ofServer(
    "gauge",
    "process_start_time_seconds",
    "When the process started, seconds since 1970.",
    () => performance.timeOrigin / 1000,
  ),
  ofServer(
    "counter",
    "process_cpu_seconds_total",
    "CPU time of the process, in user and system mode.",
    () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  ),
  ofServer(
    "gauge",
    "process_resident_memory_bytes",
    "Memory of the process.",
    () => Deno.memoryUsage().rss,
  ),
  ofServer(
    "gauge",
    "process_open_fds",
    "Open descriptors of the process.",
    openDescriptors,
  ),
  ofServer(
    "gauge",
    "process_max_fds",
    "The limit of open descriptors, as of the first scrape.",
    mostDescriptors,
  ),
];

/** The metrics of the NBD server and of its process. */
export const SERVER_FAMILIES: readonly ServerFamily[] = [
  ...PROCESS_FAMILIES,
  ...NBD_FAMILIES,
];

/** @returns `undefined` if it is unknown. */
function openDescriptors(): number | undefined {
  // One of them is that of the directory itself.
  const count = listNames("/proc/self/fd").length - 1;
  return count > 0 ? count : undefined;
}

/** @returns `undefined` if it is unknown. */
function mostDescriptors(): number | undefined {
  descriptorLimit ??= { value: readDescriptorLimit() };
  return descriptorLimit.value;
}

function readDescriptorLimit(): number | undefined {
  const limits = readSmallFile("/proc/self/limits");
  const [, limit] = /^Max open files +(\d+) /m.exec(limits) ?? [];
  return limit === undefined ? undefined : Number(limit);
}
