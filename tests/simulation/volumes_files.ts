/**
 * The files of a pool in whose life volumes and snapshots come and go.
 *
 * @module
 */

import {
  encodeSuperblock,
  nativeGeometry,
  superblockPosition,
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
const UUIDS = [
  "11111111-1111-4111-8111-111111111111",
  "22222222-2222-4222-8222-222222222222",
] as const;

/**
 * The bytes of a file: a component, or rubbish.
 *
 * @param index The number of the file.
 * @param counts How many chunks each file has.
 * @returns The bytes.
 */
export function contentOfFile(
  index: number,
  counts: readonly number[],
): Uint8Array {
  const componentSize = (counts[index] ?? 0) * CHUNK + TABLE + 2 * SLOT_BYTES;
  const bytes = new Uint8Array(componentSize).fill(0xee);
  const componentUuid = UUIDS[index];
  if (componentUuid === undefined) return bytes;
  bytes.fill(0, nativeGeometry(componentSize, CHUNK).tableOffset);
  for (let slot = 0; slot < 2; slot++) {
    const position = superblockPosition(componentSize, slot);
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
      },
      position,
      bytes.subarray(position, position + SLOT_BYTES),
    );
  }
  return bytes;
}
