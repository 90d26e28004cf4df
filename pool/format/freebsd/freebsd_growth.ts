/**
 * The growth of a component of format 1. Its label moves to the new end, and
 * takes effect there with one sector.
 *
 * @module
 */

import { counted, inBytes, VirstorError } from "../../../errors.ts";
import { SECTOR_SIZE } from "../../../metadata/freebsd/mod.ts";
import { applied, type Component, inDoubt } from "../../core/mod.ts";
import type { PoolFormat } from "../mod.ts";

/**
 * Refuses a growth that format 1 does not allow: a component is used only when
 * all before it are full.
 *
 * @param format The format, with the components.
 * @param member The component that has grown.
 * @param size Bytes of it from now on.
 * @throws {VirstorError} `invalid`.
 */
export function assertMayGrow(
  { members }: Pick<PoolFormat, "members">,
  { index, device, geometry }: Component,
  size: number,
): void {
  const behind = members.find((one) => one.index > index && one.used > 0);
  const sectorSize = geometry.sectorSize ?? SECTOR_SIZE;
  const reason = behind !== undefined
    ? `${counted(behind.used, "chunk")} of "${behind.device.path}" behind it ` +
      "are in use, and format 1 fills components in order"
    : size - geometry.size < sectorSize
    ? `it has not grown by a sector, ${inBytes(sectorSize)}`
    : "";
  if (reason === "") return;
  throw new VirstorError(
    "invalid",
    `Cannot grow "${device.path}": ${reason}; give it its size again`,
  );
}

/**
 * Moves the label of a component to its new end, durably, and then erases the
 * former one, which lies where chunks will be.
 *
 * @param member The component.
 * @param geometry How it is divided from now on.
 * @param writeLabel Writes its label, durably.
 * @throws {VirstorError} `failed`: the state on disk is unknown.
 */
export async function moveLabel(
  member: Component,
  geometry: Component["geometry"],
  writeLabel: () => Promise<void>,
): Promise<void> {
  const { size, sectorSize = SECTOR_SIZE } = member.geometry;
  await inDoubt("The labels", async () => {
    member.geometry = geometry;
    await writeLabel();
    const erased = new Uint8Array(SECTOR_SIZE);
    applied(member.device.write(erased, size - sectorSize));
    await member.device.flush();
  });
}
