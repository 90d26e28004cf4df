/**
 * Where things lie on a component of format 2:
 *
 * ```text
 * [chunk 0 .. n-1] [unused] [chunk table] [superblock slot 0] [slot 1]
 * ```
 *
 * The end of the component is fixed, so that its superblocks are found without
 * knowing anything of it; the table ends where they start. All of it follows
 * from the component's size and the chunk size. Tabled in docs/format.md.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/** Bytes of a page: components are counted, and tables written, in these. */
export const NATIVE_PAGE_SIZE = 4096;
/** Bytes of a superblock slot. */
export const SUPERBLOCK_SLOT_SIZE = 65_536;
/** Superblock slots of a component: written alternately. */
export const SUPERBLOCK_SLOTS = 2;
/**
 * Slots of a page of the chunk table, next to each other: one holds the last
 * durable version, one may be in a flush that runs, the third takes updates
 * meanwhile. So no update waits for a flush, and a torn write never hits the
 * only durable version.
 */
export const TABLE_SLOTS = 3;
/** Bytes of all the slots of a page of the chunk table. */
export const TABLE_SLOTS_SIZE: number = TABLE_SLOTS * NATIVE_PAGE_SIZE;
/** Chunks that a page of the chunk table describes. */
export const TABLE_PAGE_ENTRIES = 168;
/**
 * The smallest chunk that new pools get, bytes. Pools with smaller ones, down
 * to a page, are sound as well; tests use them. They are not made because each
 * chunk costs an entry of the table, and memory while the pool is open.
 */
export const NATIVE_CHUNK_SIZE_MIN = 65_536;
/** The largest chunk, bytes. */
export const NATIVE_CHUNK_SIZE_MAX: number = 2 ** 30;
/** The chunk size unless another is asked for, bytes. */
export const NATIVE_CHUNK_SIZE: number = 2 ** 20;
/** The most chunks of a component: their count is a u32. */
export const NATIVE_CHUNKS_MAX: number = 2 ** 32 - 1;

/** Where things lie on one component. All offsets are multiples of a page. */
export interface NativeGeometry {
  /** Bytes in use: whole pages. */
  readonly componentSize: number;
  /** Chunks; chunk `i` starts at byte `i * chunkSize`. 0 if none fits. */
  readonly chunkCount: number;
  /** Where the chunk table starts, bytes. It ends at the superblocks. */
  readonly tableOffset: number;
  /** Pages of the chunk table, {@linkcode TABLE_SLOTS} slots each. */
  readonly tablePages: number;
}

/**
 * Whether format 2 has chunks of a size: a power of two, 4 KiB (a page) to
 * 1 GiB. New pools get no less than {@linkcode NATIVE_CHUNK_SIZE_MIN}.
 *
 * @param chunkSize Bytes, any number.
 * @returns Whether it has.
 */
export function isNativeChunkSize(chunkSize: number): boolean {
  return chunkSize >= NATIVE_PAGE_SIZE &&
    chunkSize <= NATIVE_CHUNK_SIZE_MAX &&
    Number.isInteger(chunkSize) && (chunkSize & (chunkSize - 1)) === 0;
}

/**
 * How a component is divided: as many chunks as fit with their table.
 *
 * @param size Bytes of the file or device, 0 to 2^53, not necessarily whole
 *   pages.
 * @param chunkSize Bytes of a chunk, for which {@linkcode isNativeChunkSize}
 *   holds.
 * @returns Where things lie. If `chunkCount` is 0, the component is too small,
 *   and `tableOffset` means nothing.
 */
export function nativeGeometry(
  size: number,
  chunkSize: number,
): NativeGeometry {
  assert(isNativeChunkSize(chunkSize), "the chunk size is one of format 2");
  const end = superblockPosition(size, 0);
  const room = Math.max(0, end);
  // A full page of the table, with all the chunks it describes.
  const group = TABLE_PAGE_ENTRIES * chunkSize + TABLE_SLOTS_SIZE;
  const groups = Math.floor(room / group);
  // What is left has room for less than a group, so for one page at most.
  const left = room - groups * group - TABLE_SLOTS_SIZE;
  const more = left < 0 ? 0 : Math.floor(left / chunkSize);
  const chunkCount = Math.min(
    NATIVE_CHUNKS_MAX,
    groups * TABLE_PAGE_ENTRIES + more,
  );
  const tablePages = Math.ceil(chunkCount / TABLE_PAGE_ENTRIES);
  return {
    componentSize: wholePages(size),
    chunkCount,
    tableOffset: end - tablePages * TABLE_SLOTS_SIZE,
    tablePages,
  };
}

/**
 * Where a superblock slot of a component lies.
 *
 * @param size Bytes of the file or device, not necessarily whole pages.
 * @param slot 0 or 1.
 * @returns Its offset, below 0 if the component is too small for two slots.
 */
export function superblockPosition(size: number, slot: number): number {
  assert(slot >= 0 && slot < SUPERBLOCK_SLOTS, "there are two slots");
  return wholePages(size) - (SUPERBLOCK_SLOTS - slot) * SUPERBLOCK_SLOT_SIZE;
}

/**
 * Where a slot of a page of the chunk table lies.
 *
 * @param geometry The component's.
 * @param pageIndex Which page of the table, from 0.
 * @param slot 0, 1 or 2.
 * @returns Its offset on the component, bytes.
 */
export function tableSlotPosition(
  geometry: NativeGeometry,
  pageIndex: number,
  slot: number,
): number {
  assert(pageIndex >= 0 && pageIndex < geometry.tablePages, "it has the page");
  assert(slot >= 0 && slot < TABLE_SLOTS, "a page has three slots");
  return geometry.tableOffset + pageIndex * TABLE_SLOTS_SIZE +
    slot * NATIVE_PAGE_SIZE;
}

function wholePages(size: number): number {
  assert(
    Number.isInteger(size) && size >= 0 && size <= 2 ** 53,
    "a component has 0 to 2^53 bytes",
  );
  return Math.floor(size / NATIVE_PAGE_SIZE) * NATIVE_PAGE_SIZE;
}
