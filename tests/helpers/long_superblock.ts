/**
 * Superblocks of stopped pools, rewritten: with more snapshots than a test
 * could take one by one, or as older versions of the program laid them out.
 *
 * @module
 */

import { assert } from "@std/assert";
import {
  encodeSuperblock,
  nativeGeometry,
  overflowPosition,
  type Superblock,
  superblockPosition,
  superblockWriteSize,
} from "../../metadata/mod.ts";
import { readLabel } from "../../pool/mod.ts";
import { readAt, writeAt } from "./freebsd_raw.ts";
import { SLOT_BYTES } from "./native_raw.ts";

/**
 * The superblock of a component.
 *
 * @param path The component.
 * @returns Its current superblock.
 */
export function superblockOn(path: string): Superblock {
  const label = readLabel(path);
  assert(label.format === "native");
  const { format: _, readOnly: __, ...superblock } = label;
  return superblock;
}

/**
 * Writes a superblock into both slots of a component, as it is.
 *
 * @param path The component.
 * @param superblock The superblock.
 */
export function putSuperblock(path: string, superblock: Superblock): void {
  const { componentSize, overflowSize = 0 } = superblock;
  for (const slot of [0, 1]) {
    const position = superblockPosition(componentSize, slot);
    const bytes = new Uint8Array(superblockWriteSize(superblock));
    encodeSuperblock(superblock, position, bytes);
    writeAt(path, position, bytes.subarray(0, SLOT_BYTES));
    const more = overflowPosition(componentSize, slot, overflowSize);
    writeAt(path, more, bytes.subarray(SLOT_BYTES));
  }
}

/**
 * Gives the first volume of a stopped pool snapshots, of when it was empty, and
 * the pool other volumes, which are as large and empty.
 *
 * @param paths The components; nothing was ever written to the pool.
 * @param count How many snapshots.
 * @param nameSize Bytes of each name.
 * @param others How many other volumes.
 */
export function addSnapshots(
  paths: readonly string[],
  count: number,
  nameSize: number,
  others = 0,
): void {
  for (const path of paths) {
    const superblock = superblockOn(path);
    const { name, virtualSize: size } = superblock;
    const snapshots = Array.from({ length: count }, (_, epoch) => ({
      name: String(epoch).padStart(nameSize, "s"),
      epoch,
      size,
      created: 1,
    }));
    const plain = {
      ...{ size, created: 0, parent: undefined, quota: 0, reserve: 0 },
      ...{ isReadOnly: false, onFull: "" as const, dead: [] },
    };
    const first = { ...plain, id: 0, name, epoch: count, snapshots };
    const rest = Array.from({ length: others }, (_, i) => ({
      ...{ ...plain, id: i + 1, epoch: 0, snapshots: [] },
      name: String(i).padStart(nameSize, "v"),
    }));
    const bootId = "00000000-0000-0000-0000-000000000000";
    const volumes = [first, ...rest];
    putSuperblock(path, { ...superblock, volumes: { bootId, volumes } });
  }
}

/**
 * Makes of a component one without overflows, as older versions made them.
 *
 * @param path The only component of a pool to which nothing was ever written.
 */
export function removeOverflows(path: string): void {
  const { overflowSize: _, ...superblock } = superblockOn(path);
  const { componentSize, chunkSize, members } = superblock;
  const { chunkCount } = nativeGeometry(componentSize, chunkSize);
  putSuperblock(path, {
    ...superblock,
    members: members.map((one) => ({ ...one, chunkCount })),
  });
}

/**
 * Turns a byte of the overflow of a slot.
 *
 * @param path The component.
 * @param slot The slot, 0 or 1.
 * @param at Which byte of the overflow.
 */
export function spoilOverflow(path: string, slot: number, at: number): void {
  const { componentSize, overflowSize = 0 } = superblockOn(path);
  const offset = overflowPosition(componentSize, slot, overflowSize) + at;
  const [byte = 0] = readAt(path, offset, 1);
  writeAt(path, offset, Uint8Array.of(byte ^ 1));
}
