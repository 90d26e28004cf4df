/**
 * Describes changes of volumes and snapshots, for the log.
 *
 * @module
 */

import { nameOf } from "../../errors.ts";
import type { VolumeCalls } from "../control/mod.ts";

/** The calls that change what a pool exports. */
export type VolumeChange = Exclude<
  keyof VolumeCalls,
  "listVolumes" | "planRemoveSnapshots" | "diff"
>;

/** Describes each change of a pool that is done. */
const TEXTS: {
  readonly [Change in VolumeChange]: (
    pool: string,
    request: VolumeCalls[Change]["request"],
  ) => string;
} = {
  createVolume: (pool, { volume }) => `Created ${quoted(pool, volume)}`,
  removeVolume: (pool, { volume }) => `Removed ${quoted(pool, volume)}`,
  renameVolume: (pool, { volume, to }) =>
    `Renamed ${quoted(pool, volume)} to ${quoted(pool, to)}`,
  setVolume: (pool, { volume }) => `Set limits of ${quoted(pool, volume)}`,
  flattenVolume: (pool, { volume }) => `Flattened ${quoted(pool, volume)}`,
  cloneSnapshot: (pool, { volume, snapshot, to }) =>
    `Cloned ${quoted(pool, volume, snapshot)} as ${quoted(pool, to)}`,
  takeSnapshots: (pool, { snapshots }) =>
    `Took ${listed(pool, snapshots)}, at one instant`,
  removeSnapshots: (pool, { snapshots }) =>
    `Removed ${listed(pool, snapshots)}`,
  rollback: (pool, { volume, snapshot }) =>
    `Rolled ${quoted(pool, volume)} back to ` +
    quoted(pool, volume, snapshot),
};

/**
 * Tells whether a call changes what a pool exports.
 *
 * @param call The name of the call.
 * @returns True if it does.
 */
export function isVolumeChange(call: string): call is VolumeChange {
  return Object.hasOwn(TEXTS, call);
}

/**
 * Describes a change that is done.
 *
 * @param pool The name of the pool.
 * @param call The call.
 * @param request The request of that call.
 * @returns A sentence, without a period.
 */
export function changeText<Change extends VolumeChange>(
  pool: string,
  call: Change,
  request: VolumeCalls[Change]["request"],
): string {
  return TEXTS[call](pool, request);
}

function quoted(...names: Parameters<typeof nameOf>): string {
  return `"${nameOf(...names)}"`;
}

function listed(
  pool: string,
  snapshots: VolumeCalls["takeSnapshots"]["request"]["snapshots"],
): string {
  return snapshots.map(({ volume, snapshot }) => quoted(pool, volume, snapshot))
    .join(", ");
}
