/**
 * Gathers the figures of a server and its pools, for the metrics and the page.
 *
 * @module
 */

import type { NbdServer } from "../../nbd/mod.ts";
import type { MetricsSource } from "../http/mod.ts";
import type { ServedPool } from "./served_pool.ts";
import type { ServedPools } from "./served_pools.ts";

/** Where the figures are. */
export interface FigureSources {
  /** The server. */
  readonly nbd: Pick<NbdServer, "clients" | "counters" | "load">;
  /** Its pools. */
  readonly pools: Pick<ServedPools, "live" | "presentName">;
  /** Counts the clients that `--allow` has kept out. */
  readonly deniedCount: () => number;
}

/**
 * Looks how much room the host's file systems have, which the figures show.
 *
 * @param sources Where the figures are.
 */
export async function lookAtHosts(
  { pools }: { readonly pools: Pick<ServedPools, "live"> },
): Promise<void> {
  await Promise.all(pools.live.map(({ pool }) => pool.lookAtHosts()));
}

/**
 * Gathers the figures, all of one moment.
 *
 * @param sources Where the figures are.
 * @returns The figures, with the free space of hosts as it was last seen.
 */
export function gatherFigures(sources: FigureSources): MetricsSource {
  const { nbd, pools, deniedCount } = sources;
  const counts = new Map<string, number>();
  const { clients, counters } = nbd;
  const load = nbd.load();
  for (const { exportName } of clients) {
    if (exportName === undefined) continue;
    const name = pools.presentName(exportName);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return {
    counters: {
      ...counters,
      connectionsRefused: counters.connectionsRefused + deniedCount(),
    },
    load,
    clients,
    pools: pools.live.map((served) => ({
      status: served.pool.status(),
      counters: served.pool.volumes.map((volume) => volume.counters),
      disks: served.pool.view.disks,
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
