/**
 * The entries of a page of the chunk table of format 2. docs/format.md tables the
 * offsets. An open examines millions of entries, so the functions allocate
 * nothing per entry.
 *
 * @module
 */

import { assert } from "../../errors.ts";
import { getUint64, setUint64 } from "../common/mod.ts";
import {
  CHUNK_ENTRY_OFFSET,
  CHUNK_ENTRY_SIZE,
  TABLE_PAGE_OFFSET,
} from "./chunk_layout.ts";
import { TABLE_PAGE_ENTRIES } from "./geometry.ts";

/** Numbers of virtual chunks are below this: they have 48 bits. */
export const VIRTUAL_CHUNKS_MAX: number = 2 ** 48;

/** The maximum number of volumes of a pool: their ids have 16 bits. */
export const VOLUMES_MAX: number = 2 ** 16;

/** The prime of the 32-bit FNV hash. */
const FNV_PRIME = 0x0100_0193;
/** Entry flag: the entry is allocated. */
const OWNED = 1;
/** Entry flag, only with OWNED: the chunk's data may not be durable. */
const PROVISIONAL = 2;

/** The volume that an entry belongs to, and since when. */
export interface EntryOwner {
  /** The volume's id, 0 to 65535. */
  readonly volume: number;
  /** The birth: the volume's epoch when the entry was written, u32. */
  readonly birth: number;
  /**
   * Whether the chunk's data may not be durable. An open after a power cut drops
   * such an entry, which brings the older version back.
   */
  readonly isProvisional: boolean;
}

/** The owner of the entries of a pool without a volume table. */
const FIRST_VOLUME: EntryOwner = { volume: 0, birth: 0, isProvisional: false };

/**
 * Allocates an entry: maps a virtual chunk to its chunk.
 *
 * *Requires*: the caller seals the page before writing it.
 *
 * @param page 4096 bytes.
 * @param index The entry of the page, 0 to 167.
 * @param virtualChunk The virtual chunk, below 2^48.
 * @param sequence The sequence number, 1 to 2^53-1. If two entries claim a
 *   virtual chunk, the higher number wins.
 * @param owner The volume and the birth; volume 0 and birth 0 if omitted.
 */
export function setEntry(
  page: DataView,
  index: number,
  virtualChunk: number,
  sequence: number,
  owner: EntryOwner = FIRST_VOLUME,
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
  const { volume, birth } = owner;
  assert((volume & 0xffff) === volume, "a volume's id is a u16");
  assert(birth >>> 0 === birth, "a birth is a u32");
  const start = entryOffset(index);
  const at = CHUNK_ENTRY_OFFSET;
  setUint64(page, start + at.sequence, sequence);
  // This zeroes the volume, which is the upper 16 of these 64 bits.
  setUint64(page, start + at.virtualChunk, virtualChunk);
  page.setUint16(start + at.volume, volume, true);
  page.setUint32(start + at.birthEpoch, birth, true);
  const flags = owner.isProvisional ? OWNED | PROVISIONAL : OWNED;
  page.setUint32(start + at.flags, flags, true);
}

/**
 * Marks an entry free, by zeroing it.
 *
 * *Requires*: the caller seals the page before writing it.
 *
 * @param page 4096 bytes.
 * @param index The entry of the page, 0 to 167.
 */
export function clearEntry(page: DataView, index: number): void {
  const start = entryOffset(index);
  for (let at = start; at < start + CHUNK_ENTRY_SIZE; at += 4) {
    page.setUint32(at, 0, true);
  }
}

/**
 * Whether an entry is allocated.
 *
 * @param page 4096 bytes, sound.
 * @param index The entry of the page, 0 to 167.
 * @returns Whether a virtual chunk is mapped to its chunk.
 */
export function isOwned(page: DataView, index: number): boolean {
  const at = entryOffset(index) + CHUNK_ENTRY_OFFSET.flags;
  return (page.getUint32(at, true) & OWNED) !== 0;
}

/**
 * The virtual chunk of an entry.
 *
 * @param page 4096 bytes, sound.
 * @param index The entry of the page, 0 to 167.
 * @returns Its number, below 2^48; 0 if the entry is free.
 */
export function entryVirtualChunk(page: DataView, index: number): number {
  const at = entryOffset(index) + CHUNK_ENTRY_OFFSET.virtualChunk;
  return page.getUint16(at + 4, true) * 2 ** 32 + page.getUint32(at, true);
}

/**
 * The sequence number of an entry.
 *
 * @param page 4096 bytes, sound.
 * @param index The entry of the page, 0 to 167.
 * @returns The number, 1 to 2^53-1; 0 if the entry is free.
 */
export function entrySequence(page: DataView, index: number): number {
  return getUint64(page, entryOffset(index) + CHUNK_ENTRY_OFFSET.sequence);
}

/**
 * The volume of an entry.
 *
 * @param page 4096 bytes, sound.
 * @param index The entry of the page, 0 to 167.
 * @returns The volume's id, 0 to 65535; 0 if the entry is free.
 */
export function entryVolume(page: DataView, index: number): number {
  return page.getUint16(entryOffset(index) + CHUNK_ENTRY_OFFSET.volume, true);
}

/**
 * The birth of an entry: the epoch of its volume when it was written.
 *
 * @param page 4096 bytes, sound.
 * @param index The entry of the page, 0 to 167.
 * @returns The epoch, u32; 0 if the entry is free.
 */
export function entryBirth(page: DataView, index: number): number {
  const at = entryOffset(index) + CHUNK_ENTRY_OFFSET.birthEpoch;
  return page.getUint32(at, true);
}

/**
 * Whether an entry is provisional: the data of its chunk may not be durable.
 *
 * @param page 4096 bytes, sound.
 * @param index The entry of the page, 0 to 167.
 * @returns Whether it is; false if the entry is free.
 */
export function isProvisional(page: DataView, index: number): boolean {
  const at = entryOffset(index) + CHUNK_ENTRY_OFFSET.flags;
  return (page.getUint32(at, true) & PROVISIONAL) !== 0;
}

/**
 * Settles an entry: it is not provisional any more.
 *
 * *Requires*: the entry is allocated, and the data of its chunk are durable. The
 * caller seals the page before writing it.
 *
 * @param page 4096 bytes.
 * @param index The entry of the page, 0 to 167.
 */
export function settleEntry(page: DataView, index: number): void {
  assert(isOwned(page, index), "an entry to settle is allocated");
  const at = entryOffset(index) + CHUNK_ENTRY_OFFSET.flags;
  page.setUint32(at, OWNED, true);
}

/**
 * The digest of an allocated entry. The XOR of the digests of a whole table
 * shows later whether the table has changed.
 *
 * It is FNV-1a over five words of 32 bits (chunk; virtual chunk, low and high;
 * sequence number, low and high), with a final mixing step. Two more words follow
 * (volume, plus 2^16 if the entry is provisional; birth) unless both are 0.
 *
 * @param chunk The chunk's number on its component.
 * @param virtualChunk The virtual chunk of the entry.
 * @param sequence The sequence number of the entry.
 * @param owner The volume and the birth; volume 0 and birth 0 if omitted.
 * @returns The digest, u32.
 */
export function entryDigest(
  chunk: number,
  virtualChunk: number,
  sequence: number,
  owner: EntryOwner = FIRST_VOLUME,
): number {
  let h = Math.imul(0x811c_9dc5 ^ chunk, FNV_PRIME);
  h = Math.imul(h ^ virtualChunk, FNV_PRIME);
  h = Math.imul(h ^ (virtualChunk / 2 ** 32), FNV_PRIME);
  h = Math.imul(h ^ sequence, FNV_PRIME);
  h = Math.imul(h ^ (sequence / 2 ** 32), FNV_PRIME);
  const volume = owner.volume + (owner.isProvisional ? 2 ** 16 : 0);
  if ((volume | owner.birth) !== 0) {
    h = Math.imul(h ^ volume, FNV_PRIME);
    h = Math.imul(h ^ owner.birth, FNV_PRIME);
  }
  h = Math.imul(h ^ h >>> 15, 0x2c1b_3c6d);
  h = Math.imul(h ^ h >>> 12, 0x297a_2d39);
  return (h ^ h >>> 15) >>> 0;
}

/**
 * Checks the entries of a page by themselves.
 *
 * @param page 4096 bytes.
 * @returns What is wrong, or "" if nothing is.
 */
export function findingInEntries(page: DataView): string {
  const at = CHUNK_ENTRY_OFFSET;
  let start = TABLE_PAGE_OFFSET.entries;
  for (let index = 0; index < TABLE_PAGE_ENTRIES; index++) {
    const flags = page.getUint32(start + at.flags, true);
    const sequenceLow = page.getUint32(start + at.sequence, true);
    const sequenceHigh = page.getUint32(start + at.sequence + 4, true);
    if ((flags & ~PROVISIONAL) === OWNED) {
      if ((sequenceLow | sequenceHigh) === 0 || sequenceHigh >= 2 ** 21) {
        return `the sequence number of entry ${index} is out of range`;
      }
    } else {
      if (flags !== 0) return `entry ${index} has unknown flags`;
      const chunk = page.getUint32(start + at.virtualChunk, true) |
        page.getUint16(start + at.virtualChunk + 4, true);
      const owner = page.getUint16(start + at.volume, true) |
        page.getUint32(start + at.birthEpoch, true);
      if ((sequenceLow | sequenceHigh | chunk | owner) !== 0) {
        return `entry ${index} is free and not zero`;
      }
    }
    start += CHUNK_ENTRY_SIZE;
  }
  return "";
}

function entryOffset(index: number): number {
  assert(index >= 0 && index < TABLE_PAGE_ENTRIES, "a page has 168 entries");
  return TABLE_PAGE_OFFSET.entries + index * CHUNK_ENTRY_SIZE;
}
