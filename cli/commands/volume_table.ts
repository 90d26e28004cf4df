/**
 * The volumes of pools as a table.
 *
 * @module
 */

import { nameInPool, nameOf, VirstorError } from "../../errors.ts";
import type { VolumeStatus } from "../../pool/mod.ts";
import { formatSize, textTable, withProgress } from "../terminal/mod.ts";
import { callPool } from "./call_pool.ts";
import type { ListedVolume } from "./describe_pools.ts";

/** The most volumes in the status of a pool. */
const VOLUMES_TOLD = 8;

/**
 * Describes the volumes of a pool, for its status.
 *
 * @param stateDirectory The state directory.
 * @param pool The name of the pool.
 * @returns The volumes; undefined if they cannot be listed.
 */
export async function volumesOf(
  stateDirectory: string,
  pool: string,
): Promise<readonly VolumeStatus[] | undefined> {
  try {
    return await withProgress(
      `Reading the volumes of pool "${pool}"`,
      callPool(stateDirectory, pool, "listVolumes", null),
    );
  } catch (error) {
    // The rest is known, and another command may have changed it by now.
    if (error instanceof VirstorError) return undefined;
    throw error;
  }
}

/**
 * Shows what the volumes of a pool take, behind its status.
 *
 * @param pool The name of the pool.
 * @param all The volumes; undefined if they cannot be listed.
 * @returns Two line ends and a table; "" if there is nothing to show.
 */
export function volumesText(
  pool: string,
  all: readonly VolumeStatus[] = [],
): string {
  if (all.length === 0) return "";
  const listed = all.slice(0, VOLUMES_TOLD)
    .map((status) => ({ pool, status }));
  const more = all.length - listed.length;
  return `\n\n${volumeTable(listed)}` +
    (more > 0 ? `\n${more} more: "virstor volume list ${pool}"` : "");
}

/**
 * Formats volumes.
 *
 * @param volumes The volumes, with their pools.
 * @returns A line of headings, and a line for each.
 */
export function volumeTable(volumes: readonly ListedVolume[]): string {
  // Most volumes have no limits, and then there is no column for them.
  const limits = (["quota", "reserve"] as const).filter((limit) =>
    volumes.some(({ status }) => status[limit] > 0)
  );
  const names = limits.map((limit) => limit === "quota" ? "Quota" : "Reserve");
  return textTable([
    ["Name", "Size", "Referenced", "Unique", ...names, "Snapshots", "Parent"],
    ...volumes.map(({ pool, status }) => [
      nameOf(pool, status.name),
      formatSize(status.size),
      formatSize(status.referencedBytes),
      formatSize(status.uniqueBytes),
      ...limits.map((limit) => formatLimit(status[limit])),
      String(status.snapshots.length),
      status.parent === null ? "-" : nameInPool(pool, status.parent),
    ]),
  ]);
}

function formatLimit(bytes: number): string {
  return bytes === 0 ? "-" : formatSize(bytes);
}
