/**
 * The files of a pool in whose life volumes and snapshots come and go.
 *
 * @module
 */

import {
  encodeSuperblock,
  nativeGeometry,
  overflowPosition,
  superblockPosition,
  type VolumeTable,
} from "../../metadata/mod.ts";
import { SLOT_BYTES } from "../helpers/native_raw.ts";
import { BLOCK } from "./model_pool.ts";

/** Bytes of a chunk. */
export const CHUNK = 4096;
/** Blocks of a chunk. */
export const CHUNK_BLOCKS: number = CHUNK / BLOCK;
/** The name of the pool, and of its first volume. */
export const POOL = "life";
/** Chunks of the first volume. */
export const VIRTUAL_CHUNKS = 12;

const TABLE = 3 * 4096;
/** Bytes of an overflow of a superblock slot, if it has one. */
const OVERFLOW = SLOT_BYTES;
/** So many that no superblock fits in its slot; 8 bytes each. */
const DEAD_RANGES = 8300;
const UUIDS = [
  "11111111-1111-4111-8111-111111111111",
  "22222222-2222-4222-8222-222222222222",
] as const;

/**
 * The bytes of a file: a component, or rubbish.
 *
 * @param index The number of the file.
 * @param counts How many chunks each file has.
 * @param isLong Whether superblocks go on in the overflows of their slots.
 * @returns The bytes.
 */
export function contentOfFile(
  index: number,
  counts: readonly number[],
  isLong = false,
): Uint8Array {
  const overflowSize = isLong ? OVERFLOW : 0;
  const componentSize = (counts[index] ?? 0) * CHUNK + TABLE +
    2 * (overflowSize + SLOT_BYTES);
  const bytes = new Uint8Array(componentSize).fill(0xee);
  const componentUuid = UUIDS[index];
  if (componentUuid === undefined) return bytes;
  const geometry = nativeGeometry(componentSize, CHUNK, overflowSize);
  bytes.fill(0, geometry.tableOffset);
  for (let slot = 0; slot < 2; slot++) {
    const position = superblockPosition(componentSize, slot);
    const superblock = new Uint8Array(SLOT_BYTES + overflowSize);
    encodeSuperblock(
      {
        name: POOL,
        poolUuid: "00000000-0000-4000-8000-000000000001",
        componentUuid,
        generation: 1,
        clean: true,
        tableDigest: 0,
        compat: 0,
        readOnlyCompat: 0,
        virtualSize: VIRTUAL_CHUNKS * CHUNK,
        chunkSize: CHUNK,
        componentSize,
        members: UUIDS.map((uuid, member) => ({
          uuid,
          state: "active",
          chunkCount: counts[member] ?? 0,
        })),
        ...isLong ? { overflowSize, volumes: LONG_TABLE } : {},
      },
      position,
      superblock,
    );
    bytes.set(superblock.subarray(0, SLOT_BYTES), position);
    const more = overflowPosition(componentSize, slot, overflowSize);
    bytes.set(superblock.subarray(SLOT_BYTES), more);
  }
  return bytes;
}

/** The first volume, after so many rollbacks as no pool has had. */
const LONG_TABLE: VolumeTable = {
  bootId: "00000000-0000-0000-0000-000000000000",
  volumes: [{
    id: 0,
    name: POOL,
    size: VIRTUAL_CHUNKS * CHUNK,
    epoch: DEAD_RANGES,
    created: 0,
    parent: undefined,
    quota: 0,
    reserve: 0,
    isReadOnly: false,
    onFull: "",
    snapshots: [],
    dead: Array.from(
      { length: DEAD_RANGES },
      (_, epoch) => ({ first: epoch, last: epoch }),
    ),
  }],
};
