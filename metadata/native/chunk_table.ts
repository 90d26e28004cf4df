/**
 * A page of the chunk table of format 2: the entries of up to 168 chunks of its
 * component. docs/format.md tables the offsets; a test compares them with
 * {@linkcode TABLE_PAGE_OFFSET} and {@linkcode CHUNK_ENTRY_OFFSET}.
 *
 * The page is little-endian. It records where it belongs (component, position,
 * index) and how new it is (generation). So a page that is torn, damaged or
 * misplaced can be recognised without other context. An unsound slot is nothing
 * unusual after a power cut, so {@linkcode checkPage} does not throw. The entries
 * themselves are in `chunk_entry.ts`.
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
import { findingInEntries } from "./chunk_entry.ts";
import { CHUNK_ENTRY_SIZE, TABLE_PAGE_OFFSET } from "./chunk_layout.ts";
import {
  NATIVE_PAGE_SIZE,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS,
  TABLE_SLOTS_SIZE,
} from "./geometry.ts";

/** The bytes `VCTP`, for "virstor chunk table page". */
const MAGIC = 0x5054_4356;

/** The offset of a reserved u32 after the page's index. */
const RESERVED_WORD = 28;
/** The offset of the end of the last entry. */
const ENTRIES_END = TABLE_PAGE_OFFSET.entries +
  TABLE_PAGE_ENTRIES * CHUNK_ENTRY_SIZE;

/** A slot that was never written: all zeroes. */
const BLANK_PAGE = new Uint8Array(NATIVE_PAGE_SIZE);

/** The result of {@linkcode checkPage} for a slot that holds only zeroes. */
export const NEVER_WRITTEN = "it was never written";

/**
 * Copies all entries of a page to another one.
 *
 * *Requires*: the caller seals the target before writing it.
 *
 * @param from 4096 bytes.
 * @param to 4096 bytes; may be the same page.
 */
export function copyEntries(from: Uint8Array, to: Uint8Array): void {
  assert(to.length === NATIVE_PAGE_SIZE, "a page has 4096 bytes");
  to.set(entriesOf(from), TABLE_PAGE_OFFSET.entries);
}

/**
 * Whether two pages have equal entries; their other fields may differ.
 *
 * @param a 4096 bytes.
 * @param b 4096 bytes.
 * @returns Whether all entries are equal.
 */
export function sameEntries(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(entriesOf(a), entriesOf(b)) === 0;
}

/**
 * Seals a page: writes all fields but the entries, so that the page can be
 * written. A change after that needs another seal.
 *
 * @param page 4096 bytes; the reserved ones are zeroes.
 * @param position The offset of the slot that the page is for, bytes from the
 *   start of the component.
 * @param pageIndex The page of the table, from 0.
 * @param componentUuid The component's UUID, 16 bytes.
 * @param generation 1 to 2^53-1, higher than that of the page's other slots.
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
 * The generation of a page.
 *
 * @param page 4096 bytes, sound.
 * @returns The generation, 1 to 2^53-1.
 */
export function pageGeneration(page: DataView): number {
  return getUint64(page, TABLE_PAGE_OFFSET.generation);
}

/**
 * Checks whether a slot holds a sound page, and the right one.
 *
 * The caller checks whether the entries fit the component, the pool and its
 * volumes.
 *
 * @param bytes The slot, 4096 bytes.
 * @param position The slot's offset, bytes from the component's start.
 * @param pageIndex The page of the table that the slot is for.
 * @param componentUuid The component's UUID, 16 bytes.
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
 * Picks the newest sound slot of a page.
 *
 * @param bytes All three slots in their order on disk, 12,288 bytes.
 * @param position The offset of the first slot, bytes from the component's
 *   start.
 * @param pageIndex The page of the table.
 * @param componentUuid The component's UUID, 16 bytes.
 * @returns The slot of the highest generation that is sound, 0 to 2; -1 if none
 *   is sound: {@linkcode checkPage} returns why.
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
  // Slots are checked from the newest on, and mostly the first one is sound.
  for (;;) {
    let picked = -1;
    let newest = 0;
    for (let slot = 0; slot < TABLE_SLOTS; slot++) {
      const at = slot * NATIVE_PAGE_SIZE + TABLE_PAGE_OFFSET.generation;
      const generation = getUint64(view, at);
      // A slot that was never written has generation 0 and needs no check.
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

function entriesOf(page: Uint8Array): Uint8Array {
  assert(page.length === NATIVE_PAGE_SIZE, "a page has 4096 bytes");
  return page.subarray(TABLE_PAGE_OFFSET.entries, ENTRIES_END);
}
