/**
 * The exports of a pool: each volume under its name, and each snapshot,
 * read-only.
 *
 * @module
 */

import { exportOf, type NbdExport } from "../../nbd/mod.ts";
import type { Pool } from "../../pool/mod.ts";
import { nameOf } from "../control/mod.ts";

/**
 * Makes the exports of a pool.
 *
 * @param pool The open pool.
 * @returns The first volume, the other volumes, then the snapshots. A device
 *   that was among them before is the same object.
 */
export function exportsOf(pool: Pool): NbdExport[] {
  const { volumes } = pool;
  const exports = volumes.map((volume, index) => {
    const name = nameOf(pool.name, index === 0 ? "" : volume.name);
    const kind = index === 0 ? "pool" : "volume";
    return exportOf(volume, { name, description: `virstor ${kind} ${name}` });
  });
  for (const [index, volume] of volumes.entries()) {
    for (const { name: snapshot } of volume.snapshots) {
      const first = index === 0 ? "" : volume.name;
      const name = nameOf(pool.name, first, snapshot);
      const disk = pool.snapshotDisk(volume.name, snapshot);
      const description = `virstor snapshot ${name}`;
      exports.push(exportOf(disk, { name, description }));
    }
  }
  return exports;
}
