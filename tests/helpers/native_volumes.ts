/**
 * Volume tables of format 2 for tests.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import {
  encodeSuperblock,
  type Superblock,
  type VolumeRecord,
  type VolumeTable,
} from "../../metadata/mod.ts";
import { putRaw, SLOT_BYTES, SUPERBLOCK_TABLE } from "./native_raw.ts";

/** The only component. */
const COMPONENT = "c0c0c0c0-0001-4002-8003-000000000001";
/** A boot id. */
export const BOOT = "0f1e2d3c-4b5a-4697-8879-6a5b4c3d2e1f";
/** Bytes of a chunk. */
export const CHUNK = 2 ** 20;
/** The position of the slot. */
export const POSITION = 2 ** 26 - 65_536;
/** Where the records lie behind one member. */
export const RECORDS = 512 + 32;

/**
 * A volume of 1 TiB with nothing special.
 *
 * @param id Its id.
 * @param change What is to differ.
 * @returns The volume.
 */
export function volume(
  id: number,
  change: Partial<VolumeRecord> = {},
): VolumeRecord {
  return {
    id,
    name: id === 0 ? "demo" : `volume-${id}`,
    size: 2 ** 40,
    epoch: 0,
    created: 0,
    parent: undefined,
    quota: 0,
    reserve: 0,
    isReadOnly: false,
    onFull: "",
    snapshots: [],
    dead: [],
    ...change,
  };
}

/** Values that fill their fields, and a clone of a clone. */
export const VOLUMES: readonly VolumeRecord[] = [
  volume(0, {
    epoch: 0x1234_5678,
    created: 0x19a_bcde_f012,
    onFull: "delay",
    snapshots: [
      { name: "monday", epoch: 0, size: CHUNK, created: 0x19a_0000_0001 },
      { name: "tuesday €", epoch: 7, size: 2 ** 53, created: 0 },
      { name: "x".repeat(255), epoch: 0x1234_5677, size: CHUNK, created: 1 },
    ],
    dead: [{ first: 1, last: 6 }, { first: 8, last: 8 }, {
      first: 9,
      last: 0x1234_5676,
    }],
  }),
  volume(0xffff, {
    name: "\u{feff}clone \u{1f4be}",
    size: CHUNK,
    epoch: 0xffff_ffff,
    created: 2 ** 53 - 1,
    parent: { volume: 0, epoch: 7 },
    quota: 2 ** 53,
    reserve: 0x1_2345_6789,
    isReadOnly: true,
    onFull: "error",
    snapshots: [
      { name: "s", epoch: 0xffff_fffe, size: 3 * CHUNK, created: 2 ** 53 - 1 },
    ],
    dead: [{ first: 0, last: 0xffff_fffd }],
  }),
  volume(1, {
    name: "y".repeat(255),
    parent: { volume: 0xffff, epoch: 0xffff_fffe },
  }),
];

/**
 * The superblock of a pool of one component.
 *
 * @param volumes The volumes.
 * @param bootId The boot id.
 * @returns The superblock.
 */
export function superblockOf(
  volumes: readonly VolumeRecord[],
  bootId = BOOT,
): Superblock & { volumes: VolumeTable } {
  return {
    name: "demo",
    poolUuid: "00112233-4455-6677-8899-aabbccddeeff",
    componentUuid: COMPONENT,
    generation: 5,
    clean: true,
    tableDigest: 0,
    compat: 0,
    readOnlyCompat: 0,
    virtualSize: 2 ** 40,
    chunkSize: CHUNK,
    componentSize: 2 ** 26,
    members: [{ uuid: COMPONENT, state: "active", chunkCount: 63 }],
    volumes: { bootId, volumes },
  };
}

/**
 * Encodes a superblock.
 *
 * @param superblock Any of {@linkcode superblockOf}.
 * @returns Its slot.
 */
export function encodedSuperblock(superblock: Superblock): Uint8Array {
  const slot = new Uint8Array(SLOT_BYTES).fill(0xee);
  encodeSuperblock(superblock, POSITION, slot);
  return slot;
}

/**
 * Gives a slot the checksum that its bytes ask for.
 *
 * @param slot The slot.
 * @param usedSize The bytes that the checksum covers.
 */
export function reseal(slot: Uint8Array, usedSize: number): void {
  putRaw(slot, SUPERBLOCK_TABLE, { checksum: 0 });
  const checksum = crc32(slot.subarray(0, usedSize));
  putRaw(slot, SUPERBLOCK_TABLE, { checksum });
}
