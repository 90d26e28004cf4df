/**
 * Damages the components of a stopped pool of format 2. The bytes are changed
 * by the tables of docs/format.md alone: this file imports nothing from
 * `metadata/` or `pool/`.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import { crc32 } from "node:zlib";
import {
  ENTRY_TABLE,
  PAGE_BYTES,
  PAGE_TABLE,
  putRaw,
  type RawField,
  type RawValues,
  sizeOfType,
  SLOT_BYTES,
  SUPERBLOCK_TABLE,
  withFlippedBit,
} from "./native_raw.ts";

/** Entries of a page. */
export const PAGE_ENTRIES = 168;
/** Slots of a page. */
export const PAGE_SLOTS = 3;
/** Slots of a superblock. */
const SUPERBLOCK_SLOTS = 2;
const SECTOR = 512;
const ENTRY_BYTES = 24;

/** A place on a component that is written as a whole. */
export interface Slot {
  /** The component. */
  readonly path: string;
  /** Where it starts, bytes from the start of the component. */
  readonly position: number;
  /** Bytes of it that are used. */
  readonly length: number;
  /** What is in it. */
  readonly kind: "superblock" | "page";
}

/** What a chunk is made to say of itself. */
export interface Claim {
  /** Which chunk of the component. */
  readonly chunk: number;
  /** The virtual chunk that it claims to hold. */
  readonly virtualChunk: number;
  /** Since when. */
  readonly sequence: number;
}

/**
 * A number in a structure, little-endian.
 *
 * @param bytes The structure.
 * @param field Which field.
 * @returns The number, up to 2^53.
 */
export function getRaw(
  bytes: Uint8Array,
  field: RawField | undefined,
): number {
  if (field === undefined) throw new AssertionError("there is such a field");
  const [offset, type] = field;
  let value = 0;
  for (let i = sizeOfType(type) - 1; i >= 0; i--) {
    value = value * 256 + (bytes[offset + i] ?? 0);
  }
  return value;
}

/**
 * How new the content of a slot is.
 *
 * @param slot The slot.
 * @returns The generation, 0 if it was never written.
 */
export function generationOf(slot: Slot): number {
  const table = slot.kind === "page" ? PAGE_TABLE : SUPERBLOCK_TABLE;
  return getRaw(readSlot(slot), table["generation"]);
}

/**
 * The superblocks of a component.
 *
 * @param path The component; both of its superblocks are sound.
 * @returns Its two slots, the newer one first.
 */
export function superblockSlots(path: string): [Slot, Slot] {
  const { size } = Deno.statSync(path);
  const slots = Array.from({ length: SUPERBLOCK_SLOTS }, (_, index): Slot => {
    const position = size - (SUPERBLOCK_SLOTS - index) * SLOT_BYTES;
    const header = readAt(path, position, SECTOR);
    const length = getRaw(header, SUPERBLOCK_TABLE["usedSize"]);
    return { path, position, length, kind: "superblock" };
  });
  const [first, second] = newestFirst(slots);
  if (first === undefined || second === undefined) {
    throw new AssertionError("a superblock has two slots");
  }
  return [first, second];
}

/**
 * A page of the chunk table of a component.
 *
 * @param path The component; its superblock in slot 0 is sound.
 * @param page Which page.
 * @returns Its three slots, the newest first.
 */
export function pageSlots(path: string, page: number): [Slot, Slot, Slot] {
  const { size } = Deno.statSync(path);
  const header = readAt(path, size - SUPERBLOCK_SLOTS * SLOT_BYTES, SECTOR);
  const tableOffset = getRaw(header, SUPERBLOCK_TABLE["tableOffset"]);
  const slots = Array.from({ length: PAGE_SLOTS }, (_, index): Slot => {
    const position = tableOffset + (page * PAGE_SLOTS + index) * PAGE_BYTES;
    return { path, position, length: PAGE_BYTES, kind: "page" };
  });
  const [first, second, third] = newestFirst(slots);
  if (first === undefined || second === undefined || third === undefined) {
    throw new AssertionError("a page has three slots");
  }
  return [first, second, third];
}

/**
 * How many pages the chunk table of a component has.
 *
 * @param path The component; its superblock in slot 0 is sound.
 * @returns How many.
 */
export function tablePagesOf(path: string): number {
  const { size } = Deno.statSync(path);
  const header = readAt(path, size - SUPERBLOCK_SLOTS * SLOT_BYTES, SECTOR);
  return getRaw(header, SUPERBLOCK_TABLE["tablePages"]);
}

/**
 * What is in a slot.
 *
 * @param slot The slot.
 * @returns Its used bytes.
 */
export function readSlot({ path, position, length }: Slot): Uint8Array {
  return readAt(path, position, length);
}

/**
 * Writes to a slot from its start.
 *
 * @param slot The slot.
 * @param bytes What to write.
 */
export function writeSlot({ path, position }: Slot, bytes: Uint8Array): void {
  using file = Deno.openSync(path, { write: true });
  file.seekSync(position, Deno.SeekMode.Start);
  for (let done = 0; done < bytes.length;) {
    done += file.writeSync(bytes.subarray(done));
  }
}

/**
 * Turns one bit.
 *
 * @param slot Where.
 * @param bit Which one of the slot, from the lowest of its first byte.
 */
export function flipBit(slot: Slot, bit: number): void {
  writeSlot(slot, withFlippedBit(readSlot(slot), bit));
}

/**
 * Fills slots with zeroes, as if they had never been written.
 *
 * @param slots Which.
 */
export function zeroSlots(slots: readonly Slot[]): void {
  for (const slot of slots) writeSlot(slot, new Uint8Array(slot.length));
}

/**
 * Fills slots with what never was in them.
 *
 * @param slots Which.
 */
export function spoilSlots(slots: readonly Slot[]): void {
  for (const slot of slots) {
    writeSlot(slot, new Uint8Array(slot.length).fill(0xe5));
  }
}

/**
 * Makes of a slot what an interrupted write leaves: every other sector
 * holds what was there before.
 *
 * @param slot The slot.
 * @param before What was there; zeroes follow.
 * @param first The first sector that was not written, 0 or 1.
 */
export function tearSlot(slot: Slot, before: Uint8Array, first: 0 | 1): void {
  const bytes = readSlot(slot);
  for (let at = first * SECTOR; at < bytes.length; at += 2 * SECTOR) {
    const end = Math.min(at + SECTOR, bytes.length);
    bytes.fill(0, at, end);
    bytes.set(before.subarray(at, end), at);
  }
  writeSlot(slot, bytes);
}

/**
 * A write that went to the wrong place, or to the wrong disk.
 *
 * @param from What was to be written.
 * @param to Where it went.
 */
export function misdirect(from: Slot, to: Slot): void {
  writeSlot(to, readSlot(from));
}

/**
 * Cuts a component short, or extends it by zeroes.
 *
 * @param path The component.
 * @param bytes By how many; below 0 it is cut short.
 */
export function resizeComponent(path: string, bytes: number): void {
  Deno.truncateSync(path, Deno.statSync(path).size + bytes);
}

/**
 * Writes fields of a superblock and seals it.
 *
 * @param slot Its slot.
 * @param values What to write.
 */
export function rewriteSuperblock(slot: Slot, values: RawValues): void {
  const bytes = readSlot(slot);
  putRaw(bytes, SUPERBLOCK_TABLE, { ...values, checksum: 0 });
  putRaw(bytes, SUPERBLOCK_TABLE, { checksum: crc32(bytes) });
  writeSlot(slot, bytes);
}

/**
 * Makes of a pool one that was not stopped cleanly.
 *
 * @param paths Its components.
 */
export function markInUse(paths: readonly string[]): void {
  for (const slot of paths.flatMap(superblockSlots)) {
    rewriteSuperblock(slot, { clean: 0, tableDigest: 0 });
  }
}

/**
 * Writes an entry of a chunk table, sealed as the newest version, to the two
 * slots of its page that do not count, as a clean stop would.
 *
 * @param path The component.
 * @param claim The entry.
 */
export function claimChunk(path: string, claim: Claim): void {
  const { chunk, virtualChunk, sequence } = claim;
  const slots = pageSlots(path, Math.floor(chunk / PAGE_ENTRIES));
  const [newest, ...others] = slots;
  const bytes = readSlot(newest);
  let generation = generationOf(newest);
  if (generation === 0) throw new AssertionError("the page is in use");
  const entry = entryOffset(chunk);
  putRaw(bytes, ENTRY_TABLE, { sequence, virtualChunk, flags: 1 }, entry);
  for (const slot of others) {
    const { position } = slot;
    generation++;
    putRaw(bytes, PAGE_TABLE, { generation, position, checksum: 0 });
    putRaw(bytes, PAGE_TABLE, { checksum: crc32(bytes) });
    writeSlot(slot, bytes);
  }
}

/**
 * What the newest version of a chunk's entry says.
 *
 * @param path The component.
 * @param chunk Which chunk.
 * @returns The entry; `undefined` if the chunk is free.
 */
export function claimOf(path: string, chunk: number): Claim | undefined {
  const [newest] = pageSlots(path, Math.floor(chunk / PAGE_ENTRIES));
  const at = entryOffset(chunk);
  const entry = readSlot(newest).subarray(at, at + ENTRY_BYTES);
  if (getRaw(entry, ENTRY_TABLE["flags"]) === 0) return undefined;
  const sequence = getRaw(entry, ENTRY_TABLE["sequence"]);
  const virtualChunk = getRaw(entry, ENTRY_TABLE["virtualChunk"]);
  return { chunk, virtualChunk, sequence };
}

function entryOffset(chunk: number): number {
  const start = PAGE_TABLE["entries"]?.[0] ?? 0;
  return start + (chunk % PAGE_ENTRIES) * ENTRY_BYTES;
}

function newestFirst(slots: readonly Slot[]): Slot[] {
  return slots.toSorted((a, b) => generationOf(b) - generationOf(a));
}

function readAt(path: string, position: number, length: number): Uint8Array {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(length);
  file.seekSync(position, Deno.SeekMode.Start);
  for (let done = 0; done < length;) {
    const count = file.readSync(bytes.subarray(done));
    if (count === null) throw new AssertionError("the slot is in the file");
    done += count;
  }
  return bytes;
}
