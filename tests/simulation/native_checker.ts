/**
 * Checks stopped pools of format 2 from the tables of docs/format.md alone:
 * nothing here comes from `metadata/` or `pool/`.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import {
  ENTRY_TABLE,
  MEMBER_TABLE,
  PAGE_BYTES,
  PAGE_TABLE,
  type RawField,
  sizeOfType,
  SLOT_BYTES,
  SUPERBLOCK_TABLE,
} from "../helpers/native_raw.ts";
import { BLOCK, contentOf } from "./model_pool.ts";
import type { RawComponent, StoppedPool } from "./world_format.ts";

const MAGIC = "VIRSTOR::POOL";
const PAGE_MAGIC = "VCTP";
const SLOTS = 3;
const ENTRIES = 168;
const HEADER_BYTES = 512;
const MEMBER_BYTES = 32;
const ENTRY_BYTES = 24;
const ACTIVE = 2;
/** A page that was never written. */
const BLANK = new Uint8Array(PAGE_BYTES);

/** A superblock. */
interface RawSuperblock {
  readonly generation: number;
  readonly uuid: string;
  readonly isClean: boolean;
  readonly virtualSize: number;
  readonly chunkSize: number;
  readonly tableOffset: number;
  readonly chunkCount: number;
  readonly tablePages: number;
  readonly volumesSize: number;
  readonly members: readonly { uuid: string; state: number }[];
}

/** An allocated entry. */
interface RawEntry {
  readonly component: RawComponent;
  readonly chunk: number;
  readonly virtualChunk: number;
  readonly sequence: number;
  readonly volume: number;
  readonly birth: number;
}

/**
 * Whether a file carries a superblock.
 *
 * @param bytes All its bytes.
 * @returns Whether the magic is in one of the slots.
 */
export function hasNativeMagic(bytes: Uint8Array): boolean {
  return slotsOf(bytes).some((slot) => startsWith(slot, MAGIC));
}

/**
 * Checks a pool that was stopped cleanly.
 *
 * @param pool The pool.
 * @throws {Error} If anything is wrong, saying what.
 */
export function checkNative(pool: StoppedPool): void {
  const { members, status, found } = pool;
  const superblocks = members.map(newestSuperblock);
  checkSuperblocks(superblocks, pool);
  const entries = members.flatMap((component, index) => {
    const superblock = superblocks[index];
    if (superblock === undefined) return [];
    return entriesOf(component, superblock);
  });
  want(entries.length === status.usedChunks, "the tables hold other chunks");
  const versions = new Set(
    entries.map(({ volume, virtualChunk, birth }) =>
      [volume, virtualChunk, birth].join()
    ),
  );
  want(versions.size === entries.length, "a version of a chunk is there twice");
  // What the first volume sees: of each chunk the newest version.
  const places = new Map(
    entries.filter(({ volume }) => volume === 0)
      .sort((a, b) => a.birth - b.birth)
      .map((one) => [one.virtualChunk, one]),
  );
  if (superblocks.every(({ volumesSize }) => volumesSize === 0)) {
    want(entries.length === status.mappedChunks, "other chunks are mapped");
    want(places.size === entries.length, "a chunk is mapped twice");
  }
  const sequences = new Set(entries.map(({ sequence }) => sequence));
  want(sequences.size === entries.length, "two entries are of the same time");
  const { chunkSize } = status;
  for (const [block, content] of found.entries()) {
    const at = block * BLOCK;
    const place = places.get(Math.floor(at / chunkSize));
    const start = (place?.chunk ?? 0) * chunkSize + at % chunkSize;
    const raw = place?.component.bytes.subarray(start, start + BLOCK);
    const onDisk = raw === undefined ? 0 : contentOf(block, raw);
    want(onDisk === content, `block ${block} holds ${onDisk}, not ${content}`);
  }
}

/**
 * What opening and stopping a pool must not change of a component: its chunk
 * table, and the allocated chunks.
 *
 * @param component A member of a stopped pool.
 * @returns The same if nothing has changed.
 */
export function essenceOfNative(component: RawComponent): string {
  const { bytes } = component;
  const superblock = newestSuperblock(component);
  const { tableOffset, tablePages, chunkSize } = superblock;
  const end = tableOffset + tablePages * SLOTS * PAGE_BYTES;
  const chunks = entriesOf(component, superblock).map(({ chunk }) =>
    crc32(bytes.subarray(chunk * chunkSize, (chunk + 1) * chunkSize))
  );
  return `${crc32(bytes.subarray(tableOffset, end))} ${chunks.join()}`;
}

function checkSuperblocks(
  superblocks: readonly RawSuperblock[],
  { status }: StoppedPool,
): void {
  const first = superblocks[0];
  want(first !== undefined, "there are no members");
  for (const [index, one] of superblocks.entries()) {
    const other = status.components[index];
    want(one.isClean, `member ${index} was not stopped cleanly`);
    want(one.generation === first.generation, "generations differ");
    const [volume] = status.volumes;
    want(one.virtualSize === volume?.size, "the size is another");
    want(one.chunkCount === other?.chunks, "there are other chunks");
    want(
      JSON.stringify(one.members) === JSON.stringify(first.members) &&
        one.members.length === superblocks.length,
      `member ${index} lists others`,
    );
    want(one.members[index]?.uuid === one.uuid, "the order is another");
    const isActive = one.members[index]?.state === ACTIVE;
    want(isActive !== other?.evacuating, `member ${index} is in another state`);
  }
}

function newestSuperblock({ path, bytes }: RawComponent): RawSuperblock {
  const sound = slotsOf(bytes)
    .filter((slot) => isSoundSuperblock(slot, bytes.length))
    .map(readSuperblock)
    .sort((a, b) => b.generation - a.generation);
  const newest = sound[0];
  want(newest !== undefined, `"${path}" has no sound superblock`);
  want(newest.generation !== sound[1]?.generation, "two are of one generation");
  return newest;
}

function isSoundSuperblock(slot: Uint8Array, size: number): boolean {
  if (!startsWith(slot, MAGIC)) return false;
  const usedSize = get(slot, SUPERBLOCK_TABLE["usedSize"]);
  const end = slot.byteOffset + SLOT_BYTES;
  const isAtHome =
    get(slot, SUPERBLOCK_TABLE["position"]) === slot.byteOffset &&
    (end === size || end === size - SLOT_BYTES);
  return isAtHome && hasItsChecksum(
    slot.subarray(0, usedSize),
    SUPERBLOCK_TABLE["checksum"],
  );
}

function readSuperblock(slot: Uint8Array): RawSuperblock {
  const number = (name: string) => get(slot, SUPERBLOCK_TABLE[name]);
  const members = Array.from({ length: number("memberCount") }, (_, index) => {
    const start = HEADER_BYTES + index * MEMBER_BYTES;
    const member = slot.subarray(start, start + MEMBER_BYTES);
    return {
      uuid: text(member, MEMBER_TABLE["uuid"]),
      state: get(member, MEMBER_TABLE["state"]),
    };
  });
  return {
    generation: number("generation"),
    uuid: text(slot, SUPERBLOCK_TABLE["componentUuid"]),
    isClean: number("clean") === 1,
    virtualSize: number("virtualSize"),
    chunkSize: number("chunkSize"),
    tableOffset: number("tableOffset"),
    chunkCount: number("chunkCount"),
    tablePages: number("tablePages"),
    volumesSize: number("volumesSize"),
    members,
  };
}

/** The allocated chunks of a component. Its table has to be sound. */
function entriesOf(
  component: RawComponent,
  superblock: RawSuperblock,
): RawEntry[] {
  const entries: RawEntry[] = [];
  for (let index = 0; index < superblock.tablePages; index++) {
    const page = newestPage(component, superblock, index);
    for (let i = 0; page !== undefined && i < ENTRIES; i++) {
      const at = i * ENTRY_BYTES;
      const entry = entriesIn(page).subarray(at, at + ENTRY_BYTES);
      const number = (name: string) => get(entry, ENTRY_TABLE[name]);
      if (number("flags") === 0) {
        want(isBlank(entry), "a free entry is not blank");
        continue;
      }
      const chunk = index * ENTRIES + i;
      const virtualChunk = number("virtualChunk");
      want(number("flags") === 1, "an entry has other flags");
      want(chunk < superblock.chunkCount, "there is no such chunk");
      const volume = number("volume");
      const isInside = volume > 0 ||
        virtualChunk < superblock.virtualSize / superblock.chunkSize;
      want(isInside, `virtual chunk ${virtualChunk} is beyond the disk`);
      const sequence = number("sequence");
      const birth = number("birthEpoch");
      want(
        superblock.volumesSize > 0 || (volume | birth) === 0,
        "of no volume",
      );
      entries.push({
        ...{ component, chunk, virtualChunk, sequence },
        ...{ volume, birth },
      });
    }
  }
  return entries;
}

/** The newest slot of a page; undefined if it was never written. */
function newestPage(
  { path, bytes }: RawComponent,
  superblock: RawSuperblock,
  index: number,
): Uint8Array | undefined {
  const sound: Uint8Array[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    const at = superblock.tableOffset + (index * SLOTS + slot) * PAGE_BYTES;
    const page = bytes.subarray(at, at + PAGE_BYTES);
    if (isBlank(page)) continue;
    const isSound = startsWith(page, PAGE_MAGIC) &&
      get(page, PAGE_TABLE["position"]) === at &&
      get(page, PAGE_TABLE["pageIndex"]) === index &&
      text(page, PAGE_TABLE["componentUuid"]) === superblock.uuid &&
      hasItsChecksum(page, PAGE_TABLE["checksum"]);
    want(isSound, `slot ${slot} of page ${index} of "${path}" is not sound`);
    sound.push(page);
  }
  const generation = (page: Uint8Array) => get(page, PAGE_TABLE["generation"]);
  const [newest, other] = sound.sort((a, b) => generation(b) - generation(a));
  if (newest === undefined) return undefined;
  want(other !== undefined, `page ${index} of "${path}" has no second copy`);
  want(
    Buffer.compare(entriesIn(newest), entriesIn(other)) === 0,
    `the copies of page ${index} of "${path}" differ (generations ` +
      `${sound.map(generation).join(", ")})`,
  );
  return newest;
}

function entriesIn(page: Uint8Array): Uint8Array {
  const start = PAGE_TABLE["entries"]?.[0] ?? 0;
  return page.subarray(start, start + ENTRIES * ENTRY_BYTES);
}

function slotsOf(bytes: Uint8Array): Uint8Array[] {
  const end = bytes.length;
  return [
    bytes.subarray(end - 2 * SLOT_BYTES, end - SLOT_BYTES),
    bytes.subarray(end - SLOT_BYTES, end),
  ];
}

function hasItsChecksum(
  bytes: Uint8Array,
  field: RawField | undefined,
): boolean {
  const checksum = get(bytes, field);
  const copy = bytes.slice();
  copy.fill(0, field?.[0], (field?.[0] ?? 0) + 4);
  return crc32(copy) === checksum;
}

/** A number, little-endian, up to 2^53. */
function get(bytes: Uint8Array, field: RawField | undefined): number {
  const [offset, type] = field ?? [0, "u0"];
  let value = 0;
  for (let i = sizeOfType(type) - 1; i >= 0; i--) {
    value = value * 256 + (bytes[offset + i] ?? 0);
  }
  return value;
}

function text(bytes: Uint8Array, field: RawField | undefined): string {
  const [offset, type] = field ?? [0, "u0"];
  return bytes.subarray(offset, offset + sizeOfType(type)).toHex();
}

function startsWith(bytes: Uint8Array, magic: string): boolean {
  for (let i = 0; i < magic.length; i++) {
    if (bytes[i] !== magic.charCodeAt(i)) return false;
  }
  return true;
}

function isBlank(bytes: Uint8Array): boolean {
  if (bytes.length === PAGE_BYTES) return Buffer.compare(bytes, BLANK) === 0;
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

function want(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(`On the disks: ${otherwise}`);
}
