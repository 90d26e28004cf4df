/**
 * The metrics of the load: how long requests and disks took, how many requests
 * came together, and how many are in flight.
 *
 * @module
 */

import type { Durations } from "../../device/block/mod.ts";
import { TIMED_COMMANDS } from "../../nbd/server/export/mod.ts";
import type { NbdClientInfo } from "../../nbd/server/mod.ts";
import { batchSamples, durationSamples } from "./histogram.ts";
import type { Family } from "./metric_family.ts";
import type { MetricsSource, PoolFigures } from "./metrics_source.ts";

/**
 * The most exports and components of a pool that have histograms of their own:
 * a histogram has as many samples as many other metrics together.
 */
const OWN_HISTOGRAMS_MAX = 100;

/** The most clients that have counters of their own. */
const OWN_COUNTERS_MAX = 1000;

type LoadFamily = Family<MetricsSource>;

/** A histogram for each component; without those that have noted nothing. */
function ofComponents(
  name: string,
  help: string,
  durationsOf: (disk: PoolFigures["disks"][number]) => Durations | undefined,
): LoadFamily {
  return {
    name: `virstor_component_${name}`,
    type: "histogram",
    help,
    *samples({ pools }) {
      for (const { status, disks } of pools) {
        for (const disk of disks.slice(0, OWN_HISTOGRAMS_MAX)) {
          const durations = durationsOf(disk);
          if (durations === undefined || durations.count === 0) continue;
          const labels = { pool: status.name, component: disk.path };
          yield* durationSamples(labels, durations);
        }
      }
    },
  };
}

/** A counter for each client that has chosen an export. */
function ofClients(
  name: string,
  help: string,
  valueOf: (client: NbdClientInfo) => number,
): LoadFamily {
  return {
    name: `virstor_client_${name}`,
    type: "counter",
    help,
    *samples({ clients }) {
      for (const client of clients.slice(0, OWN_COUNTERS_MAX)) {
        const { id, peer, pid, exportName } = client;
        if (exportName === undefined) continue;
        const labels = {
          export: exportName,
          client: String(id),
          peer,
          pid: pid === null ? "" : String(pid),
        };
        yield [labels, valueOf(client)];
      }
    },
  };
}

/** The metrics of the load. */
export const LOAD_FAMILIES: readonly LoadFamily[] = [
  {
    name: "virstor_nbd_request_duration_seconds",
    type: "histogram",
    help: "From when a request had come to when its reply had left.",
    *samples({ load: { times } }) {
      for (const [command, number] of TIMED_COMMANDS) {
        yield* durationSamples({ command }, times.of(number));
      }
    },
  },
  {
    name: "virstor_nbd_batch_requests",
    type: "histogram",
    help: "Requests of one client that were answered together.",
    samples: ({ load: { times } }) => batchSamples({}, times),
  },
  {
    name: "virstor_export_request_duration_seconds",
    type: "histogram",
    help: "The same for each volume and each snapshot, by command.",
    *samples({ pools, load: { byExport } }) {
      for (const { status, exports } of pools) {
        let shown = 0;
        for (const { name } of exports) {
          const times = byExport.get(name);
          if (times === undefined) continue;
          for (const [command, number] of TIMED_COMMANDS) {
            const durations = times.of(number);
            if (durations.count === 0) continue;
            const labels = { pool: status.name, export: name, command };
            yield* durationSamples(labels, durations);
          }
          if (++shown === OWN_HISTOGRAMS_MAX) break;
        }
      }
    },
  },
  {
    name: "virstor_export_requests_in_flight",
    type: "gauge",
    help: "Requests that a disk, a flush or a full pool holds up.",
    *samples({ pools, load: { byExport, inFlight } }) {
      for (const { status, exports } of pools) {
        const known = exports.filter(({ name }) => byExport.has(name));
        for (const { name } of known.slice(0, OWN_HISTOGRAMS_MAX)) {
          const count = inFlight.get(name) ?? 0;
          yield [{ pool: status.name, export: name }, count];
        }
      }
    },
  },
  ofClients(
    "read_bytes_total",
    "Bytes that a client has read, as long as it is connected.",
    ({ bytesRead }) => bytesRead,
  ),
  ofClients(
    "written_bytes_total",
    "Bytes that a client has written, as long as it is connected.",
    ({ bytesWritten }) => bytesWritten,
  ),
  ofComponents(
    "flush_duration_seconds",
    "How long the disk took to make a component durable.",
    ({ durations }) => durations?.flushes,
  ),
  ofComponents(
    "cold_read_duration_seconds",
    "How long reads took that waited for the disk beside the event loop.",
    ({ durations }) => durations?.reads,
  ),
];
