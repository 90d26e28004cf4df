/**
 * The exports of a pool: each volume under its name, and each snapshot,
 * read-only.
 *
 * @module
 */

import { nameOf } from "../../errors.ts";
import { type BlockDevice, joinParts } from "../../device/block/mod.ts";
import type { NbdExport, NbdServer } from "../../nbd/mod.ts";
import type { Pool, SnapshotDisk, Volume } from "../../pool/mod.ts";

/**
 * Makes the exports of a pool.
 *
 * @param pool The open pool.
 * @returns The volumes, then the snapshots. A device that was among them before
 *   is the same object. A volume that is being rolled back is missing.
 */
export function exportsOf(pool: Pool): NbdExport[] {
  const { volumes } = pool;
  const exports = volumes.map((volume) => {
    const name = nameOf(pool.name, volume.name);
    const kind = volume.number === 0 ? "pool" : "volume";
    return exportAs(volume, name, kind);
  });
  for (const volume of volumes) {
    for (const { name: snapshot } of volume.snapshots) {
      const name = nameOf(pool.name, volume.name, snapshot);
      const disk = pool.snapshotDisk(volume.name, snapshot);
      exports.push(exportAs(disk, name, "snapshot"));
    }
  }
  return exports;
}

/** A device that is exported no longer. */
export interface GoneExport {
  /** The device. */
  readonly device: BlockDevice;
  /** Why its clients are disconnected, for the log. */
  readonly reason: string;
}

/**
 * Compares the exports of a pool before and after a change.
 *
 * @param before The exports that the pool had.
 * @param now The exports that it has.
 * @param pool The open pool.
 * @returns The exports of before whose devices are exported no longer.
 */
export function goneFrom(
  before: readonly NbdExport[],
  now: readonly NbdExport[],
  pool: Pool,
): GoneExport[] {
  const devices = new Set(now.map(({ device }) => device));
  const names = new Set(now.map(({ name }) => name));
  const failure = pool.status().state === "failed"
    ? `pool "${pool.name}" has failed`
    : undefined;
  return before.filter(({ device }) => !devices.has(device))
    .map(({ device, name }) => ({
      device,
      // Only a rollback gives a volume another device.
      reason: failure ??
        `"${name}" was ${names.has(name) ? "rolled back" : "removed"}`,
    }));
}

/**
 * Ends the clients of devices that are exported no longer.
 *
 * @param nbd The server.
 * @param gone The former exports.
 * @param graceMs How long requests in flight may take, milliseconds.
 */
export async function retireAll(
  nbd: NbdServer,
  gone: readonly GoneExport[],
  graceMs: number,
): Promise<void> {
  await joinParts(
    gone,
    ({ device, reason }) => nbd.retire(device, { graceMs, reason }),
  );
}

function exportAs(
  device: Volume | SnapshotDisk,
  name: string,
  kind: string,
): NbdExport {
  return {
    name,
    description: `virstor ${kind} ${name}`,
    device,
    readOnly: device.capabilities.readOnly,
    contexts: () => device.contexts,
    contextFamilies: () => device.contextFamilies,
    rotational: device.rotational,
  };
}
