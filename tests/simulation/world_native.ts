/**
 * Simulated pools of format 2.
 *
 * @module
 */

import {
  encodeSuperblock,
  nativeGeometry,
  type Superblock,
  superblockPosition,
} from "../../metadata/mod.ts";
import { SLOT_BYTES } from "../helpers/native_raw.ts";
import {
  checkNative,
  essenceOfNative,
  hasNativeMagic,
} from "./native_checker.ts";
import { NATIVE_STEPS } from "./steps.ts";
import { POOL, type WorldFormat } from "./world_format.ts";

/** The smallest there are: thousands of worlds are to end in a minute. */
const CHUNK = 4096;
const CHUNKS = 6;
const VIRTUAL_CHUNKS = 16;
const TABLE = 3 * 4096;
const COMPONENT = CHUNKS * CHUNK + TABLE + 2 * SLOT_BYTES;
const UUIDS = [
  "11111111-1111-4111-8111-111111111111",
  "22222222-2222-4222-8222-222222222222",
] as const;

/** Format 2. */
export const NATIVE_WORLD: WorldFormat = {
  name: "native",
  steps: NATIVE_STEPS,
  chunkSize: CHUNK,
  virtualChunks: VIRTUAL_CHUNKS,
  content,
  isComponent: hasNativeMagic,
  checkStopped: (pool) => Promise.resolve(checkNative(pool)),
  essence: essenceOfNative,
};

function content(index: number): Uint8Array {
  const bytes = new Uint8Array(COMPONENT).fill(0xee);
  const componentUuid = UUIDS[index];
  if (componentUuid === undefined) return bytes;
  bytes.fill(0, nativeGeometry(COMPONENT, CHUNK).tableOffset);
  const superblock: Superblock = {
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
    componentSize: COMPONENT,
    members: UUIDS.map((uuid) => ({
      uuid,
      state: "active",
      chunkCount: CHUNKS,
    })),
  };
  // One of them has lost its other slot.
  for (let slot = 0; slot <= index; slot++) {
    const position = superblockPosition(COMPONENT, slot);
    const end = position + SLOT_BYTES;
    encodeSuperblock(superblock, position, bytes.subarray(position, end));
  }
  return bytes;
}
