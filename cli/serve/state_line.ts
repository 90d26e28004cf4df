/**
 * The state of a server in one line, for a service manager.
 *
 * @module
 */

import { counted } from "../../errors.ts";
import type { PoolStatus } from "../../pool/mod.ts";
import { formatSize } from "../terminal/mod.ts";

/** What the line is made of. */
export interface ServerState {
  /** The pools that are served. */
  readonly pools: readonly PoolStatus[];
  /** The number of connected clients. */
  readonly clients: number;
}

/**
 * Describes a server.
 *
 * @param state The state of the server.
 * @returns For instance `vm: 42.5% used, 2 clients`.
 */
export function stateLine({ pools, clients }: ServerState): string {
  const texts = pools.map((pool) =>
    [`${pool.name}: ${usedText(pool)}`, ...conditionsOf(pool)].join(", ")
  );
  return `${texts.join("; ")}, ${counted(clients, "client")}`;
}

function usedText({ usedPercent, freeChunks }: PoolStatus): string {
  const percent = `${Math.floor(usedPercent * 10) / 10}% used`;
  return freeChunks === 0 ? `full, ${percent}` : percent;
}

function conditionsOf(pool: PoolStatus): string[] {
  const { delayed, evacuation, missing, readOnly, reason, state } = pool;
  const conditions: string[] = [];
  if (state === "failed") conditions.push(`failed: ${reason}`);
  if (delayed.count > 0) {
    const writes = counted(delayed.count, "write waits", "writes wait");
    conditions.push(`${writes} for space`);
  }
  if (missing.length > 0) {
    conditions.push(`${counted(missing.length, "component")} missing`);
  }
  if (readOnly) conditions.push("read-only");
  if (evacuation !== null) {
    conditions.push(`evacuating, ${formatSize(evacuation.leftBytes)} left`);
  }
  return conditions;
}
