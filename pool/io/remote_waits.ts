/**
 * The remote components of a pool: whether it has others, and writes that wait
 * for room in their journals.
 *
 * @module
 */

import type { PoolBase } from "./pool_parts.ts";

/**
 * Whether all components are on other machines. Then no thread may read or write
 * anything by itself, and a client is served sooner without one.
 *
 * @param parts The open pool.
 * @returns Whether that is so now.
 */
export function isAllRemote(
  { format: { members } }: Pick<PoolBase, "format">,
): boolean {
  return members.every(({ device }) => device.isRemote === true);
}

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
