/**
 * Reads of a far side that must be our own: what another owner has written
 * there is not what the tables in memory say, and may be of another volume.
 *
 * @module
 */

import type { FarDisk } from "./far_disk.ts";
import type { FarOwner } from "./far_owner.ts";

/**
 * Guards the reads of a far side.
 *
 * @param far The far side.
 * @param owner Its ownership.
 * @returns Reads that fail with `busy` if another process has taken the far
 *   side, however long a read was on its way.
 */
export function ownedReads(
  far: Pick<FarDisk, "read">,
  owner: Pick<FarOwner, "admit">,
): Pick<FarDisk, "read"> {
  const admit = () => owner.admit();
  async function readLater(
    admitted: Promise<void>,
    target: Uint8Array,
    offset: number,
  ): Promise<void> {
    await admitted;
    await far.read(target, offset);
    await admit();
  }
  return {
    read: (target, offset) => {
      const admitted = admit();
      return admitted === undefined
        ? far.read(target, offset)?.then(admit)
        : readLater(admitted, target, offset);
    },
  };
}
