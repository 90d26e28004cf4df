/**
 * The growth of a component of format 2.
 *
 * The table and the superblocks lie at the end of a component, so they move to
 * the new end. Until a superblock there is durable, those at the former end
 * count: nothing of them may be overwritten, and entries go to both tables.
 *
 * @module
 */

import { inBytes, VirstorError } from "../../../errors.ts";
import {
  nativeGeometry,
  newOverflowSize,
  type Superblock,
  SUPERBLOCK_SLOTS,
  superblockPosition,
} from "../../../metadata/native/mod.ts";
import { SECTOR_SIZE } from "../../../metadata/freebsd/mod.ts";
import { applied, type Component, flushAll } from "../../core/mod.ts";
import { writeFirstSuperblock } from "../../member/mod.ts";
import { type NativeMember, tableOf } from "./native_member.ts";
import { TableCopy } from "./table_copy.ts";

/**
 * Copies the chunk table of a component to its new end, durably but for entries
 * that change meanwhile. From then on changes go to both tables.
 *
 * *Requires*: `device.length` has the new size already.
 *
 * @param component The component.
 * @param member Its state on disk.
 * @param chunkSize Bytes of a chunk.
 * @returns Its state on disk once a superblock at the new end is durable.
 * @throws {VirstorError} `invalid` if it has grown by too little, `io`,
 *   `no-space`, `corrupt`: nothing has changed.
 */
export async function copyTable(
  { device, geometry: { size: before } }: Component,
  { uuid, table }: NativeMember,
  chunkSize: number,
): Promise<NativeMember> {
  const { size } = device;
  const overflowSize = newOverflowSize(size);
  const { tableOffset, componentSize } = nativeGeometry(
    size,
    chunkSize,
    overflowSize,
  );
  if (tableOffset < before) {
    const least = before + componentSize - tableOffset;
    throw new VirstorError(
      "invalid",
      `Cannot grow "${device.path}": ${inBytes(size - before)} more are too ` +
        `little, its table needs ${inBytes(componentSize - tableOffset)} at ` +
        `the new end; give it ${inBytes(least)} or more, or ` +
        `${inBytes(before)} again`,
    );
  }
  const region = componentSize - tableOffset;
  await device.writeZeroes(tableOffset, region, { noHole: true });
  const label = { componentUuid: uuid, chunkSize, overflowSize };
  const next = tableOf(device, label);
  table.copy = new TableCopy(table, next);
  try {
    await table.copy.run();
    await device.flush();
  } catch (error) {
    table.copy = undefined;
    device.observer = table;
    throw error;
  }
  return { uuid, overflowSize, table: next, slot: 0 };
}

/**
 * Writes the superblock of a component at its new end, durably. From then on it
 * counts, with the table there.
 *
 * @param component The component.
 * @param superblock Its superblock, but for the size of its overflow.
 * @param states Its state so far, and from now on; `use` makes the pool use the
 *   latter, and awaits nothing.
 * @throws {VirstorError} `io`: the state on disk is unknown.
 */
export async function takeEffect(
  { device }: Component,
  superblock: Superblock,
  { former, grown, use }: {
    readonly former: NativeMember;
    readonly grown: NativeMember;
    readonly use: () => void;
  },
): Promise<void> {
  const { overflowSize, table } = grown;
  await writeFirstSuperblock(device, { ...superblock, overflowSize });
  // With no `await` in between: an entry that goes to the former table only
  // would be lost.
  table.succeed(former.table);
  use();
}

/**
 * Erases the superblocks at the former end of a component, durably. They lie
 * where chunks will be.
 *
 * @param component The component.
 * @param before Bytes of the component before.
 * @throws {VirstorError} `io`.
 */
export async function wipeFormerEnd(
  { device }: Component,
  before: number,
): Promise<void> {
  for (let slot = 0; slot < SUPERBLOCK_SLOTS; slot++) {
    const position = superblockPosition(before, slot);
    applied(device.write(new Uint8Array(SECTOR_SIZE), position));
  }
  await flushAll([device]);
}
