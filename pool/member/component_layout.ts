/**
 * How files are divided when they become components, in either format.
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
  SUPERBLOCK_MEMBERS_MAX,
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  TABLE_SLOTS_SIZE,
} from "../../metadata/native/mod.ts";

/** Fewer chunks than this are not worth a component, says `gvirstor`. */
const FREEBSD_CHUNKS_MIN = 4;

/** Some bytes of a file. */
export interface ByteRange {
  /** The first one. */
  readonly offset: number;
  /** How many. */
  readonly length: number;
}

/** How files are divided. */
export interface ComponentLayout {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The most components that a pool may have. */
  readonly componentsMax: number;
  /** The fewest chunks that a component may have. */
  readonly chunksMin: number;
  /** Bytes of the smallest file that is large enough. */
  readonly sizeMin: number;
  /** Whether a component can be tied to its file name. */
  readonly canHardcode: boolean;

  /**
   * How much of a file is used.
   *
   * @param fileSize Bytes of the file.
   * @returns Bytes, whole sectors or pages.
   */
  sizeOf(fileSize: number): number;

  /**
   * How many chunks a file has room for.
   *
   * @param fileSize Bytes of the file.
   * @returns Their number, 0 if it is too small.
   */
  chunkCountOf(fileSize: number): number;

  /**
   * Where every component has its metadata, which are zeroes at first.
   *
   * @param fileSize Bytes of the file.
   * @returns Where that is; nothing in format 1, apart from the label.
   */
  metadataOf(fileSize: number): ByteRange;
}

/**
 * The layout of format 1: chunks, and a label in the last sector.
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
 * The layout of format 2: chunks, their table, two superblocks.
 *
 * @param chunkSize Bytes of a chunk.
 * @returns The layout.
 */
export function nativeLayout(chunkSize: number): ComponentLayout {
  return {
    chunkSize,
    componentsMax: SUPERBLOCK_MEMBERS_MAX,
    chunksMin: 1,
    sizeMin: chunkSize + TABLE_SLOTS_SIZE +
      SUPERBLOCK_SLOTS * SUPERBLOCK_SLOT_SIZE,
    canHardcode: false,
    sizeOf: (fileSize) =>
      Math.floor(fileSize / NATIVE_PAGE_SIZE) * NATIVE_PAGE_SIZE,
    chunkCountOf: (fileSize) => nativeGeometry(fileSize, chunkSize).chunkCount,
    metadataOf: (fileSize) => {
      const { tableOffset, componentSize } = nativeGeometry(
        fileSize,
        chunkSize,
      );
      return { offset: tableOffset, length: componentSize - tableOffset };
    },
  };
}
