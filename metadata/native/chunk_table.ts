/**
 * A page of the chunk table of format 2: who owns each of up to 168 chunks of
 * the component it lies on. Offsets are tabled in docs/format.md and checked
 * against {@linkcode TABLE_PAGE_OFFSET} and {@linkcode CHUNK_ENTRY_OFFSET}.
 *
 * Little-endian. A page knows where it belongs (component, position, index)
 * and how old it is (generation), so that a page that is torn, damaged or in
 * the wrong place is told from a sound one by itself. That a slot is not sound
 * is nothing unusual, a power cut does it: so {@linkcode checkPage} does not
 * throw. Opening a pool looks at millions of entries, so nothing is allocated
 * for each of them.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import { viewOf } from "../../device/block/mod.ts";
import { assert } from "../../errors.ts";
import {
  areZeroes,
  checksumOf,
  getUint64,
  setUint64,
  UUID_SIZE,
} from "../common/mod.ts";
import {
  NATIVE_PAGE_SIZE,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS,
  TABLE_SLOTS_SIZE,
} from "./geometry.ts";

/** The bytes `VCTP`: virstor chunk table page. */
const MAGIC = 0x5054_4356;

/** Where each field of a page starts, bytes from the start of its slot. */
export const TABLE_PAGE_OFFSET: Readonly<
  Record<
    | "magic"
    | "checksum"
    | "generation"
    | "position"
    | "pageIndex"
    | "componentUuid"
    | "entries",
    number
  >
> = {
  magic: 0,
  checksum: 4,
  generation: 8,
  position: 16,
  pageIndex: 24,
  componentUuid: 32,
  entries: 48,
};
/** Bytes of an entry. */
export const CHUNK_ENTRY_SIZE = 24;
/** Where each field of an entry starts, bytes from its start. */
export const CHUNK_ENTRY_OFFSET: Readonly<
  Record<
    "sequence" | "virtualChunk" | "volume" | "birthEpoch" | "flags",
    number
  >
> = { sequence: 0, virtualChunk: 8, volume: 14, birthEpoch: 16, flags: 20 };
/** Virtual chunks are counted up to this, not included: a u48. */
export const VIRTUAL_CHUNKS_MAX: number = 2 ** 48;

/** Of the 32-bit FNV hash. */
const FNV_PRIME = 0x0100_0193;
/** Entry flag: the chunk holds a virtual chunk. */
const OWNED = 1;
/** A u32 that is reserved, after the page's index. */
const RESERVED_WORD = 28;
/** Where the last entry ends. */
const ENTRIES_END = TABLE_PAGE_OFFSET.entries +
  TABLE_PAGE_ENTRIES * CHUNK_ENTRY_SIZE;

/** A slot that was never written. */
const BLANK_PAGE = new Uint8Array(NATIVE_PAGE_SIZE);

/** What {@linkcode checkPage} says of a slot that holds only zeroes. */
export const NEVER_WRITTEN = "it was never written";

/**
 * Gives a chunk to a virtual chunk.
 *
 * @param page 4096 bytes, not sealed afterwards.
 * @param index Which entry of the page, 0 to 167.
 * @param virtualChunk Below 2^48.
 * @param sequence When this was decided, 1 to 2^53-1: of two chunks that claim
 *   a virtual chunk, the higher one wins.
 */
export function setEntry(
  page: DataView,
  index: number,
  virtualChunk: number,
  sequence: number,
): void {
  assert(
    Number.isInteger(virtualChunk) && virtualChunk >= 0 &&
      virtualChunk < VIRTUAL_CHUNKS_MAX,
    "a virtual chunk's number has 48 bits",
  );
  assert(
    Number.isSafeInteger(sequence) && sequence > 0,
    "a sequence number is 1 to 2^53-1",
  );
  const at = entryOffset(index);
  setUint64(page, at + CHUNK_ENTRY_OFFSET.sequence, sequence);
  // The upper 16 of these 64 bits are the volume: 0, there is only one.
  setUint64(page, at + CHUNK_ENTRY_OFFSET.virtualChunk, virtualChunk);
  page.setUint32(at + CHUNK_ENTRY_OFFSET.birthEpoch, 0, true);
  page.setUint32(at + CHUNK_ENTRY_OFFSET.flags, OWNED, true);
}

/**
 * Makes a chunk nobody's.
 *
 * @param page 4096 bytes, not sealed afterwards.
 * @param index Which entry of the page, 0 to 167.
 */
export function clearEntry(page: DataView, index: number): void {
  const start = entryOffset(index);
  for (let at = start; at < start + CHUNK_ENTRY_SIZE; at += 4) {
    page.setUint32(at, 0, true);
  }
}

/**
 * Whether a chunk holds a virtual chunk.
 *
 * @param page 4096 bytes, sound.
 * @param index Which entry of the page, 0 to 167.
 * @returns Whether it does.
 */
export function isOwned(page: DataView, index: number): boolean {
  const at = entryOffset(index) + CHUNK_ENTRY_OFFSET.flags;
  return (page.getUint32(at, true) & OWNED) !== 0;
}

/**
 * Which virtual chunk a chunk holds.
 *
 * @param page 4096 bytes, sound.
 * @param index Which entry of the page, 0 to 167.
 * @returns Its number, below 2^48; 0 if the chunk is nobody's.
 */
export function entryVirtualChunk(page: DataView, index: number): number {
  const at = entryOffset(index) + CHUNK_ENTRY_OFFSET.virtualChunk;
  return page.getUint16(at + 4, true) * 2 ** 32 + page.getUint32(at, true);
}

/**
 * When a chunk was given to its virtual chunk.
 *
 * @param page 4096 bytes, sound.
 * @param index Which entry of the page, 0 to 167.
 * @returns The sequence number, 1 to 2^53-1; 0 if the chunk is nobody's.
 */
export function entrySequence(page: DataView, index: number): number {
  return getUint64(page, entryOffset(index) + CHUNK_ENTRY_OFFSET.sequence);
}

/**
 * Makes the entries of a page those of another one.
 *
 * @param from 4096 bytes.
 * @param to 4096 bytes, not sealed afterwards; may be the same page.
 */
export function copyEntries(from: Uint8Array, to: Uint8Array): void {
  assert(to.length === NATIVE_PAGE_SIZE, "a page has 4096 bytes");
  to.set(entriesOf(from), TABLE_PAGE_OFFSET.entries);
}

/**
 * Whether two pages have the same entries, whatever else they say.
 *
 * @param a 4096 bytes.
 * @param b 4096 bytes.
 * @returns Whether they have.
 */
export function sameEntries(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(entriesOf(a), entriesOf(b)) === 0;
}

/**
 * A digest of an entry: those of a whole table, together by exclusive or, tell
 * whether it is the one that it was.
 *
 * FNV-1a over five words of 32 bits (chunk; virtual chunk, low and high;
 * sequence, low and high), and a last mixing.
 *
 * @param chunk The chunk's number on its component.
 * @param virtualChunk Whose it is.
 * @param sequence Since when.
 * @returns A u32.
 */
export function entryDigest(
  chunk: number,
  virtualChunk: number,
  sequence: number,
): number {
  let h = Math.imul(0x811c_9dc5 ^ chunk, FNV_PRIME);
  h = Math.imul(h ^ virtualChunk, FNV_PRIME);
  h = Math.imul(h ^ (virtualChunk / 2 ** 32), FNV_PRIME);
  h = Math.imul(h ^ sequence, FNV_PRIME);
  h = Math.imul(h ^ (sequence / 2 ** 32), FNV_PRIME);
  h = Math.imul(h ^ h >>> 15, 0x2c1b_3c6d);
  h = Math.imul(h ^ h >>> 12, 0x297a_2d39);
  return (h ^ h >>> 15) >>> 0;
}

/**
 * Makes a page ready to be written: all but its entries. A change after this
 * needs another seal.
 *
 * @param page 4096 bytes; the reserved ones are zeroes.
 * @param position Where the slot is that it will be written to, bytes from the
 *   start of the component.
 * @param pageIndex Which page of the table it is, from 0.
 * @param componentUuid 16 bytes.
 * @param generation 1 to 2^53-1, above that of every other slot of the page.
 */
export function sealPage(
  page: DataView,
  position: number,
  pageIndex: number,
  componentUuid: Uint8Array,
  generation: number,
): void {
  const at = TABLE_PAGE_OFFSET;
  assert(page.byteLength === NATIVE_PAGE_SIZE, "a page has 4096 bytes");
  assert(
    Number.isSafeInteger(generation) && generation > 0,
    "a generation is 1 to 2^53-1",
  );
  assert(position % NATIVE_PAGE_SIZE === 0, "a slot starts at a whole page");
  assert(pageIndex >>> 0 === pageIndex, "a page's index is a u32");
  assert(componentUuid.length === UUID_SIZE, "a UUID has 16 bytes");
  page.setUint32(at.magic, MAGIC, true);
  page.setUint32(at.checksum, 0, true);
  setUint64(page, at.generation, generation);
  setUint64(page, at.position, position);
  page.setUint32(at.pageIndex, pageIndex, true);
  for (let i = 0; i < UUID_SIZE; i++) {
    page.setUint8(at.componentUuid + i, componentUuid[i] ?? 0);
  }
  page.setUint32(at.checksum, crc32(page), true);
}

/**
 * How new a page is.
 *
 * @param page 4096 bytes, sound.
 * @returns Its generation, 1 to 2^53-1.
 */
export function pageGeneration(page: DataView): number {
  return getUint64(page, TABLE_PAGE_OFFSET.generation);
}

/**
 * Whether a slot holds a sound page, and the right one.
 *
 * Whether its entries fit the component and the pool is the caller's question.
 *
 * @param bytes What was read: 4096 bytes.
 * @param position Where it was read from, bytes from the component's start.
 * @param pageIndex Which page of the table should be there.
 * @param componentUuid Of which component: 16 bytes.
 * @returns What is wrong, or "" if nothing is; {@linkcode NEVER_WRITTEN} for
 *   4096 zeroes.
 */
export function checkPage(
  bytes: Uint8Array,
  position: number,
  pageIndex: number,
  componentUuid: Uint8Array,
): string {
  assert(bytes.length === NATIVE_PAGE_SIZE, "a page has 4096 bytes");
  assert(componentUuid.length === UUID_SIZE, "a UUID has 16 bytes");
  const at = TABLE_PAGE_OFFSET;
  const page = viewOf(bytes);
  if (page.getUint32(at.magic, true) !== MAGIC) {
    return Buffer.compare(bytes, BLANK_PAGE) === 0
      ? NEVER_WRITTEN
      : "it holds no page of a chunk table";
  }
  if (page.getUint32(at.checksum, true) !== checksumOf(bytes, at.checksum)) {
    return "its checksum is wrong";
  }
  for (let i = 0; i < UUID_SIZE; i++) {
    if (bytes[at.componentUuid + i] !== componentUuid[i]) {
      return "it belongs to another component";
    }
  }
  const found = page.getUint32(at.pageIndex, true);
  if (found !== pageIndex) return `it is page ${found}, not ${pageIndex}`;
  const home = getUint64(page, at.position);
  if (home !== position) return `it belongs at byte ${home}`;
  const generation = pageGeneration(page);
  if (generation < 1 || !Number.isSafeInteger(generation)) {
    return "its generation is out of range";
  }
  if (
    page.getUint32(RESERVED_WORD, true) !== 0 ||
    !areZeroes(bytes, ENTRIES_END, NATIVE_PAGE_SIZE)
  ) return "its reserved bytes are not zero";
  return findingInEntries(page);
}

/**
 * Which slot of a page counts.
 *
 * @param bytes All three slots, as they lie on the component: 12,288 bytes.
 * @param position Where the first one lies, bytes from the component's start.
 * @param pageIndex Which page of the table this is.
 * @param componentUuid Of which component: 16 bytes.
 * @returns The sound slot of the highest generation, 0 to 2; -1 if none is
 *   sound: {@linkcode checkPage} tells why.
 */
export function pickSlot(
  bytes: Uint8Array,
  position: number,
  pageIndex: number,
  componentUuid: Uint8Array,
): number {
  assert(bytes.length === TABLE_SLOTS_SIZE, "a page has three slots");
  const view = viewOf(bytes);
  const refused = [false, false, false];
  // Only the newest one needs a check, unless it is not sound.
  for (;;) {
    let picked = -1;
    let newest = 0;
    for (let slot = 0; slot < TABLE_SLOTS; slot++) {
      const at = slot * NATIVE_PAGE_SIZE + TABLE_PAGE_OFFSET.generation;
      const generation = getUint64(view, at);
      // A slot that was never written needs no check at all.
      if (generation <= newest || refused[slot]) continue;
      picked = slot;
      newest = generation;
    }
    if (picked === -1) return picked;
    const start = picked * NATIVE_PAGE_SIZE;
    const page = bytes.subarray(start, start + NATIVE_PAGE_SIZE);
    const home = position + start;
    if (checkPage(page, home, pageIndex, componentUuid) === "") return picked;
    refused[picked] = true;
  }
}

/** What is wrong with the entries of a page, each taken by itself. */
function findingInEntries(page: DataView): string {
  const at = CHUNK_ENTRY_OFFSET;
  let start = TABLE_PAGE_OFFSET.entries;
  for (let index = 0; index < TABLE_PAGE_ENTRIES; index++) {
    const flags = page.getUint32(start + at.flags, true);
    const sequenceLow = page.getUint32(start + at.sequence, true);
    const sequenceHigh = page.getUint32(start + at.sequence + 4, true);
    const volume = page.getUint16(start + at.volume, true);
    const birth = page.getUint32(start + at.birthEpoch, true);
    if (flags === OWNED) {
      if ((volume | birth) !== 0) return `entry ${index} is not of volume 0`;
      if ((sequenceLow | sequenceHigh) === 0 || sequenceHigh >= 2 ** 21) {
        return `the sequence number of entry ${index} is out of range`;
      }
    } else {
      if (flags !== 0) return `entry ${index} has unknown flags`;
      const chunk = page.getUint32(start + at.virtualChunk, true) |
        page.getUint16(start + at.virtualChunk + 4, true);
      if ((sequenceLow | sequenceHigh | chunk | volume | birth) !== 0) {
        return `entry ${index} is nobody's and not zero`;
      }
    }
    start += CHUNK_ENTRY_SIZE;
  }
  return "";
}

function entriesOf(page: Uint8Array): Uint8Array {
  assert(page.length === NATIVE_PAGE_SIZE, "a page has 4096 bytes");
  return page.subarray(TABLE_PAGE_OFFSET.entries, ENTRIES_END);
}

function entryOffset(index: number): number {
  assert(index >= 0 && index < TABLE_PAGE_ENTRIES, "a page has 168 entries");
  return TABLE_PAGE_OFFSET.entries + index * CHUNK_ENTRY_SIZE;
}
