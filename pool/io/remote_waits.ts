/**
 * Writes that wait for room in the journals of remote components.
 *
 * @module
 */

import type { PoolBase } from "./pool_parts.ts";

/**
 * The congestion of the remote components of a pool.
 *
 * @param parts The open pool.
 * @returns Set while too much waits for one of them; never rejects.
 */
export function remoteCongestion(
  { format: { members } }: Pick<PoolBase, "format">,
): Promise<void> | undefined {
  for (const { device: { isRemote, congestion } } of members) {
    if (isRemote === true && congestion !== undefined) return congestion;
  }
  return undefined;
}

/**
 * Counts writes that had to wait.
 *
 * @param parts The open pool.
 * @returns How many there were since its components were opened.
 */
export function remoteWaits(
  { format: { members } }: Pick<PoolBase, "format">,
): number {
  let count = 0;
  for (const { device: { waitingChanges } } of members) {
    count += waitingChanges?.total ?? 0;
  }
  return count;
}
