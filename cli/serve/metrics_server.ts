/**
 * Serves the metrics of pools over HTTP.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  type Address,
  isLocal,
  type OpenListener,
  openListener,
  type SocketRights,
} from "../../nbd/listen/mod.ts";
import type { NbdServer } from "../../nbd/mod.ts";
import { HttpServer, metricsPage, type MetricsSource } from "../http/mod.ts";
import { log, printInternalError, printNotices } from "../terminal/mod.ts";
import type { ServedPool } from "./served_pool.ts";
import type { ServedPools } from "./served_pools.ts";

/** The path of the page. */
const PATH = "/metrics";

/** Where the figures are. */
export interface MetricsParts {
  /** The server. */
  readonly nbd: Pick<NbdServer, "clients" | "counters" | "load">;
  /** Its pools. */
  readonly pools: Pick<ServedPools, "live">;
  /** Counts the clients that `--allow` has kept out. */
  readonly deniedCount: () => number;
}

/**
 * Starts to serve metrics, and logs where.
 *
 * @param address The address to listen on.
 * @param rights The permissions of a Unix socket.
 * @param parts Where the figures are.
 * @returns The server.
 * @throws {VirstorError} `busy`, `exists`, `invalid`, `io` if it cannot listen.
 */
export async function serveMetrics(
  address: Address,
  rights: SocketRights,
  parts: MetricsParts,
): Promise<HttpServer> {
  const { listener, address: found } = await open(address, rights);
  let isBugPrinted = false;
  const server = new HttpServer(listener, {
    pages: new Map([[PATH, metricsPage(() => gather(parts))]]),
    // Pools can be used without their metrics, so the process goes on.
    onBug: (error) => {
      if (!isBugPrinted) printInternalError(error);
      isBugPrinted = true;
    },
  });
  log("metrics", `Serves metrics on ${urlOf(found ?? address)}`);
  if (!isLocal(address)) {
    printNotices([
      "Any client that reaches the address of the metrics can read them: " +
      "there is no encryption and no password",
    ]);
  }
  return server;
}

/** Opens the listener. Names the option that chooses another port. */
async function open(
  address: Address,
  rights: SocketRights,
): Promise<OpenListener> {
  try {
    return await openListener(address, rights);
  } catch (error) {
    if ("path" in address || !(error instanceof VirstorError)) throw error;
    if (error.code !== "busy") throw error;
    const message = `${error.message} with --metrics HOST:PORT`;
    throw new VirstorError("busy", message, { cause: error });
  }
}

function urlOf(address: Address): string {
  if ("path" in address) return `${address.path} (a Unix socket)`;
  const { hostname, port } = address;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return `http://${host}:${port}${PATH}`;
}

async function gather(parts: MetricsParts): Promise<MetricsSource> {
  const { nbd, pools, deniedCount } = parts;
  await Promise.all(pools.live.map(({ pool }) => pool.lookAtHosts()));
  const counts = new Map<string, number>();
  const { clients, counters } = nbd;
  const load = nbd.load();
  for (const { exportName } of clients) {
    if (exportName === undefined) continue;
    counts.set(exportName, (counts.get(exportName) ?? 0) + 1);
  }
  return {
    counters: {
      ...counters,
      connectionsRefused: counters.connectionsRefused + deniedCount(),
    },
    load,
    connections: clients.length,
    pools: pools.live.map((served) => ({
      status: served.pool.status(),
      counters: served.pool.volumes.map((volume) => volume.counters),
      disks: served.pool.disks,
      exports: exportsOf(served, counts, load.byExport),
    })),
  };
}

/** The exports of the volumes, and the other ones that have had clients. */
function exportsOf(
  { pool: { volumes }, exports }: ServedPool,
  counts: ReadonlyMap<string, number>,
  used: Pick<ReadonlyMap<string, unknown>, "has">,
): MetricsSource["pools"][number]["exports"] {
  return exports
    .map(({ name }) => ({ name, connections: counts.get(name) ?? 0 }))
    .filter(({ name, connections }, index) =>
      index < volumes.length || connections > 0 || used.has(name)
    );
}
