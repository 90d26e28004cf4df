/**
 * Component layouts: how a file is divided when it becomes a component.
 *
 * @module
 */

import {
  FREEBSD_COMPONENTS_MAX,
  freebsdChunkCount,
  freebsdLabelOffset,
  SECTOR_SIZE,
} from "../../metadata/freebsd/mod.ts";
import {
  NATIVE_PAGE_SIZE,
  nativeGeometry,
  newOverflowSize,
  SUPERBLOCK_MEMBERS_MAX,
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  TABLE_SLOTS_SIZE,
} from "../../metadata/native/mod.ts";

/** The fewest chunks on a component, as `gvirstor` requires. */
const FREEBSD_CHUNKS_MIN = 4;

/** A range of bytes in a file. */
export interface ByteRange {
  /** Offset of the first byte. */
  readonly offset: number;
  /** Length in bytes; 0 for an empty range. */
  readonly length: number;
}

/** How a format divides a component. */
export interface ComponentLayout {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The maximum number of components of a pool. */
  readonly componentsMax: number;
  /** The minimum number of chunks on a component. */
  readonly chunksMin: number;
  /** Bytes of the smallest file that holds `chunksMin` chunks. */
  readonly sizeMin: number;
  /** Whether a label can tie the component to its file name. */
  readonly canHardcode: boolean;

  /**
   * How many bytes of a file the pool uses.
   *
   * @param fileSize Bytes of the file.
   * @returns `fileSize` rounded down to whole sectors or pages, in bytes.
   */
  sizeOf(fileSize: number): number;

  /**
   * How many chunks fit on a file that becomes a component.
   *
   * @param fileSize Bytes of the file.
   * @returns The number of chunks; 0 if the file is too small.
   */
  chunkCountOf(fileSize: number): number;

  /**
   * Why a file cannot join an open pool, for another reason than its chunks.
   * Absent if there is no such reason.
   *
   * @param fileSize Bytes of the file.
   * @returns The reason, and what to do; "" if there is none.
   */
  faultOf?(fileSize: number): string;

  /**
   * The metadata region of a component. It starts out as zeroes.
   *
   * @param fileSize Bytes of the file.
   * @returns The region; empty in format 1, which has only a label.
   */
  metadataOf(fileSize: number): ByteRange;
}

/**
 * The layout of format 1: chunks, then a label in the last sector.
 *
 * @param chunkSize Bytes of a chunk.
 * @returns The layout.
 */
export function freebsdLayout(chunkSize: number): ComponentLayout {
  return {
    chunkSize,
    componentsMax: FREEBSD_COMPONENTS_MAX,
    chunksMin: FREEBSD_CHUNKS_MIN,
    sizeMin: FREEBSD_CHUNKS_MIN * chunkSize + SECTOR_SIZE,
    canHardcode: true,
    sizeOf: (fileSize) => freebsdLabelOffset(fileSize) + SECTOR_SIZE,
    chunkCountOf: (fileSize) => freebsdChunkCount(fileSize, chunkSize),
    metadataOf: () => ({ offset: 0, length: 0 }),
  };
}

/**
 * The layout of format 2: chunks, then the chunk table, then two superblocks.
 * It is that of new components; others may have smaller overflows.
 *
 * @param chunkSize Bytes of a chunk.
 * @returns The layout.
 */
export function nativeLayout(chunkSize: number): ComponentLayout {
  const geometryOf = (fileSize: number) =>
    nativeGeometry(fileSize, chunkSize, newOverflowSize(fileSize));
  return {
    chunkSize,
    componentsMax: SUPERBLOCK_MEMBERS_MAX,
    chunksMin: 1,
    sizeMin: nativeSizeMin(chunkSize),
    canHardcode: false,
    sizeOf: (fileSize) =>
      Math.floor(fileSize / NATIVE_PAGE_SIZE) * NATIVE_PAGE_SIZE,
    chunkCountOf: (fileSize) => geometryOf(fileSize).chunkCount,
    metadataOf: (fileSize) => {
      const { tableOffset, componentSize } = geometryOf(fileSize);
      return { offset: tableOffset, length: componentSize - tableOffset };
    },
  };
}

/** The size of the smallest component with a chunk, bytes. */
function nativeSizeMin(chunkSize: number): number {
  const least = chunkSize + TABLE_SLOTS_SIZE +
    SUPERBLOCK_SLOTS * SUPERBLOCK_SLOT_SIZE;
  let size = least;
  // The overflows grow with the component, but never as much as it does.
  for (let more = newOverflowSize(size); size < least + 2 * more;) {
    size = least + 2 * more;
    more = newOverflowSize(size);
  }
  return size;
}
