/**
 * The geometry of a component of format 2:
 *
 * ```text
 * [chunk 0 .. n-1] [unused] [chunk table] [overflow 0] [1] [slot 0] [slot 1]
 * ```
 *
 * The superblock slots lie at the end of the component, so that the size of the
 * file alone locates them. Where a superblock is longer than its slot, it goes
 * on in the slot's overflow; components may have none. The table ends where the
 * overflows start. The component's size, the chunk size and the size of an
 * overflow determine the rest. docs/format.md tables it.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/** Bytes of a page: the unit of component sizes, and of writes to tables. */
export const NATIVE_PAGE_SIZE = 4096;
/** Bytes of a superblock slot. */
export const SUPERBLOCK_SLOT_SIZE = 65_536;
/** Superblock slots of a component, which are written alternately. */
export const SUPERBLOCK_SLOTS = 2;
/**
 * The maximum size of a slot's overflow, bytes. With it a superblock holds 4096
 * records of volumes and snapshots, whatever their names, and 2032 members.
 */
export const OVERFLOW_SIZE_MAX: number = 5 * 2 ** 18;
/** An overflow is a multiple of this, bytes. */
const OVERFLOW_STEP = 65_536;
/** A new component has this many times the bytes of one overflow, or more. */
const OVERFLOW_SHARE = 256;
/**
 * Slots of a page of the chunk table, next to each other. One holds the last
 * durable version, one may be part of a running flush, and the third takes
 * updates meanwhile. So no update waits for a flush, and a torn write never
 * hits the only durable version.
 */
export const TABLE_SLOTS = 3;
/** Bytes of all slots of a page of the chunk table. */
export const TABLE_SLOTS_SIZE: number = TABLE_SLOTS * NATIVE_PAGE_SIZE;
/** Chunks that a page of the chunk table describes. */
export const TABLE_PAGE_ENTRIES = 168;
/**
 * The minimum chunk size of new pools, bytes. The format allows smaller chunks,
 * down to a page, and tests use them. New pools do not, because each chunk
 * costs a table entry, and memory while the pool is open.
 */
export const NATIVE_CHUNK_SIZE_MIN = 65_536;
/** The maximum chunk size, bytes. */
export const NATIVE_CHUNK_SIZE_MAX: number = 2 ** 30;
/** The default chunk size of new pools, bytes. */
export const NATIVE_CHUNK_SIZE: number = 2 ** 18;
/** The maximum number of chunks of a component, since the count is a u32. */
export const NATIVE_CHUNKS_MAX: number = 2 ** 32 - 1;

/** The geometry of a component. All offsets are multiples of a page. */
export interface NativeGeometry {
  /** Bytes that the pool uses, whole pages. */
  readonly componentSize: number;
  /** Number of chunks; chunk `i` starts at byte `i * chunkSize`. */
  readonly chunkCount: number;
  /** Offset of the chunk table, bytes; it ends at the superblocks. */
  readonly tableOffset: number;
  /** Pages of the chunk table, {@linkcode TABLE_SLOTS} slots each. */
  readonly tablePages: number;
}

/**
 * Whether format 2 supports a chunk size: a power of two, 4 KiB (a page) to
 * 1 GiB. New pools have at least {@linkcode NATIVE_CHUNK_SIZE_MIN}.
 *
 * @param chunkSize Bytes, any number.
 * @returns Whether it is supported.
 */
export function isNativeChunkSize(chunkSize: number): boolean {
  return chunkSize >= NATIVE_PAGE_SIZE &&
    chunkSize <= NATIVE_CHUNK_SIZE_MAX &&
    Number.isInteger(chunkSize) && (chunkSize & (chunkSize - 1)) === 0;
}

/**
 * Divides a component: as many chunks as fit together with their table.
 *
 * @param size Bytes of the file or device, 0 to 2^53; it need not be whole
 *   pages.
 * @param chunkSize Bytes of a chunk, for which {@linkcode isNativeChunkSize}
 *   holds.
 * @param overflowSize Bytes of the overflow of a superblock slot; 0, the
 *   default, without one.
 * @returns The geometry. If `chunkCount` is 0, the component is too small, and
 *   `tableOffset` is meaningless.
 */
export function nativeGeometry(
  size: number,
  chunkSize: number,
  overflowSize = 0,
): NativeGeometry {
  assert(isNativeChunkSize(chunkSize), "format 2 supports the chunk size");
  const end = overflowPosition(size, 0, overflowSize);
  const room = Math.max(0, end);
  // A group is a full page of the table, with all chunks that it describes.
  const group = TABLE_PAGE_ENTRIES * chunkSize + TABLE_SLOTS_SIZE;
  const groups = Math.floor(room / group);
  // The rest holds less than a group, so it needs one more page at most.
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
 * The position of a superblock slot.
 *
 * @param size Bytes of the file or device; it need not be whole pages.
 * @param slot 0 or 1.
 * @returns Its offset; below 0 if the component is too small for two slots.
 */
export function superblockPosition(size: number, slot: number): number {
  assert(slot >= 0 && slot < SUPERBLOCK_SLOTS, "there are two slots");
  return wholePages(size) - (SUPERBLOCK_SLOTS - slot) * SUPERBLOCK_SLOT_SIZE;
}

/**
 * The position of the overflow of a superblock slot.
 *
 * @param size Bytes of the file or device; it need not be whole pages.
 * @param slot 0 or 1.
 * @param overflowSize Bytes of an overflow.
 * @returns Its offset; below 0 if the component is too small for it.
 */
export function overflowPosition(
  size: number,
  slot: number,
  overflowSize: number,
): number {
  assert(isOverflowSize(overflowSize), "format 2 supports the overflow's size");
  return superblockPosition(size, 0) -
    (SUPERBLOCK_SLOTS - slot) * overflowSize;
}

/**
 * Whether format 2 supports a size of overflows: a multiple of 64 KiB, up to
 * {@linkcode OVERFLOW_SIZE_MAX}.
 *
 * @param overflowSize Bytes, any number.
 * @returns Whether it is supported.
 */
export function isOverflowSize(overflowSize: number): boolean {
  return overflowSize >= 0 && overflowSize <= OVERFLOW_SIZE_MAX &&
    overflowSize % OVERFLOW_STEP === 0;
}

/**
 * The size of the overflows of a new component: both together take less than
 * 1/128 of it.
 *
 * @param size Bytes of the file or device.
 * @returns Bytes of an overflow; 0 if the component is smaller than 16 MiB.
 */
export function newOverflowSize(size: number): number {
  const steps = Math.floor(size / (OVERFLOW_SHARE * OVERFLOW_STEP));
  return Math.min(OVERFLOW_SIZE_MAX, steps * OVERFLOW_STEP);
}

/**
 * The position of a slot of a page of the chunk table.
 *
 * @param geometry The component's geometry.
 * @param pageIndex The page of the table, from 0.
 * @param slot 0, 1 or 2.
 * @returns Its offset on the component, bytes.
 */
export function tableSlotPosition(
  geometry: NativeGeometry,
  pageIndex: number,
  slot: number,
): number {
  assert(
    pageIndex >= 0 && pageIndex < geometry.tablePages,
    "the table has the page",
  );
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
