/**
 * The exports of a pool: each volume under its name, and each snapshot,
 * read-only.
 *
 * @module
 */

import type { NbdExport } from "../../nbd/mod.ts";
import type { Pool, SnapshotDisk, Volume } from "../../pool/mod.ts";
import { nameOf } from "../control/mod.ts";

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
