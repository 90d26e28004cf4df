/**
 * Superblock I/O: reads and writes the two superblock slots of a component of
 * format 2.
 *
 * @module
 */

import {
  type DecodedSuperblock,
  decodeSuperblock,
  encodeSuperblock,
  isSuperblock,
  type NewerSuperblock,
  newerSuperblock,
  overflowPosition,
  type Superblock,
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  superblockPosition,
  superblockWriteSize,
  usedOverflow,
} from "../../metadata/native/mod.ts";
import { SECTOR_SIZE } from "../../metadata/freebsd/mod.ts";
import { VirstorError } from "../../errors.ts";
import { applied, type ComponentDevice, finished } from "../core/mod.ts";

/** Bytes of a slot that identify a superblock. */
const MAGIC_BYTES = 16;

/**
 * Whether a component carries a superblock, sound or damaged.
 *
 * @param device The open component.
 * @returns Whether one of the slots holds the magic.
 */
export function hasSuperblock(device: ComponentDevice): boolean {
  if (superblockPosition(device.size, 0) < 0) return false;
  const start = new Uint8Array(MAGIC_BYTES);
  for (let slot = 0; slot < SUPERBLOCK_SLOTS; slot++) {
    finished(device.read(start, superblockPosition(device.size, slot)));
    if (isSuperblock(start)) return true;
  }
  return false;
}

/**
 * Reads the current superblock of a component.
 *
 * @param device The open component.
 * @returns The newer of the two superblocks, and what is wrong with the other.
 * @throws {VirstorError} `not-found` if there is none, `corrupt`,
 *   `unsupported`, `io`.
 */
export function readSuperblock(device: ComponentDevice): NewerSuperblock {
  const position = superblockPosition(device.size, 0);
  if (position < 0) {
    throw new VirstorError(
      "not-found",
      `There is no superblock on "${device.path}": it is too small for one`,
    );
  }
  const slots = Array.from(
    { length: SUPERBLOCK_SLOTS },
    (_, slot) => readSlot(device, superblockPosition(device.size, slot)),
  );
  return newerSuperblock(slots, device.size, device.path);
}

/** Reads a slot, and the used part of its overflow. */
function readSlot(device: ComponentDevice, position: number): Uint8Array {
  const slot = new Uint8Array(SUPERBLOCK_SLOT_SIZE);
  finished(device.read(slot, position));
  const more = usedOverflow(slot);
  // In doubt the slot alone: then its size is wrong, and it is damaged.
  if (more === undefined || more.offset + more.length > position) return slot;
  const bytes = new Uint8Array(SUPERBLOCK_SLOT_SIZE + more.length);
  bytes.set(slot);
  finished(device.read(bytes.subarray(SUPERBLOCK_SLOT_SIZE), more.offset));
  return bytes;
}

/**
 * Reads the superblock in the older slot of a component.
 *
 * @param device The open component.
 * @param slot The slot that is not current, 0 or 1.
 * @returns The superblock; undefined if it is damaged.
 * @throws {VirstorError} `io`.
 */
export function readOlderSuperblock(
  device: ComponentDevice,
  slot: number,
): DecodedSuperblock | undefined {
  const position = superblockPosition(device.size, slot);
  try {
    return decodeSuperblock(readSlot(device, position), position, device.path);
  } catch (error) {
    if (error instanceof VirstorError) return undefined;
    throw error;
  }
}

/**
 * Writes a superblock into the page cache; the caller flushes.
 *
 * *Requires*: the other slot holds a sound superblock and is durable, so that a
 * torn write loses nothing.
 *
 * @param device The open component.
 * @param superblock The superblock to write.
 * @param slot The slot that is not current, 0 or 1.
 * @throws {VirstorError} `io`.
 */
export function writeSuperblock(
  device: ComponentDevice,
  superblock: Superblock,
  slot: number,
): void {
  const { position, bytes, more } = encoded(superblock, slot);
  if (more.bytes.length > 0) {
    applied(device.write(more.bytes, more.position));
  }
  applied(device.write(bytes, position));
}

/** The used bytes of a slot and of its overflow, and where they go. */
function encoded(superblock: Superblock, slot: number) {
  const { componentSize, overflowSize = 0 } = superblock;
  const position = superblockPosition(componentSize, slot);
  const all = new Uint8Array(superblockWriteSize(superblock));
  encodeSuperblock(superblock, position, all);
  return {
    position,
    bytes: all.subarray(0, SUPERBLOCK_SLOT_SIZE),
    more: {
      position: overflowPosition(componentSize, slot, overflowSize),
      bytes: all.subarray(SUPERBLOCK_SLOT_SIZE),
    },
  };
}

/**
 * Writes the first superblock of a component into both slots, durably. The
 * sector with the magic is written last, so that a crash at any point leaves a
 * sound superblock or none.
 *
 * *Requires*: the component carries no superblock.
 *
 * @param device The open component.
 * @param superblock The superblock to write.
 * @throws {VirstorError} `io`.
 */
export async function writeFirstSuperblock(
  device: ComponentDevice,
  superblock: Superblock,
): Promise<void> {
  const slots = Array.from(
    { length: SUPERBLOCK_SLOTS },
    (_, slot) => encoded(superblock, slot),
  );
  for (const { position, bytes, more } of slots) {
    if (more.bytes.length > 0) {
      applied(device.write(more.bytes, more.position));
    }
    applied(device.write(bytes.subarray(SECTOR_SIZE), position + SECTOR_SIZE));
  }
  await device.flush();
  for (const { position, bytes } of slots) {
    applied(device.write(bytes.subarray(0, SECTOR_SIZE), position));
  }
  await device.flush();
}

/**
 * Erases the superblocks of a component in the page cache; the caller flushes.
 * Only the sector with the magic is zeroed: a crash leaves each superblock
 * sound or gone.
 *
 * @param device The open component.
 * @throws {VirstorError} `io`.
 */
export function wipeSuperblocks(device: ComponentDevice): void {
  if (superblockPosition(device.size, 0) < 0) return;
  for (let slot = 0; slot < SUPERBLOCK_SLOTS; slot++) {
    const position = superblockPosition(device.size, slot);
    applied(device.write(new Uint8Array(SECTOR_SIZE), position));
  }
}
