/**
 * The allocation map of format 1: an array of 8-byte entries, one for each
 * virtual chunk, from byte 0 of component 0. It is that of FreeBSD's gvirstor
 * (`struct virstor_map_entry` in `g_virstor.h`), little-endian.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/** Bytes of a map entry. */
export const FREEBSD_MAP_ENTRY_SIZE = 8;
/** The offset of each field of an entry, bytes. */
export const FREEBSD_MAP_ENTRY_OFFSET: Readonly<
  Record<"flags" | "component" | "chunk", number>
> = { flags: 0, component: 2, chunk: 4 };
/** The number of virtual chunks is a multiple of this: whole map sectors. */
export const FREEBSD_MAP_GRAIN = 64;

/** Entry flag: the virtual chunk is mapped. */
const MAP_ALLOCATED = 1;

/** The place of a virtual chunk. */
export interface FreebsdMapEntry {
  /** Whether the virtual chunk is mapped. */
  readonly allocated: boolean;
  /** The component's index, u16. */
  readonly component: number;
  /** The chunk on that component, u32. */
  readonly chunk: number;
}

/**
 * The size of the map of a disk.
 *
 * @param virtualSize Bytes of the virtual disk.
 * @param chunkSize Bytes of a chunk.
 * @returns Bytes from byte 0 of component 0.
 */
export function freebsdMapSize(virtualSize: number, chunkSize: number): number {
  return virtualSize / chunkSize * FREEBSD_MAP_ENTRY_SIZE;
}

/**
 * How many chunks component 0 reserves for the map: twice the chunks that the
 * map needs, as `gvirstor label` does.
 *
 * @param virtualSize Bytes of the virtual disk.
 * @param chunkSize Bytes of a chunk.
 * @returns The number of chunks.
 */
export function freebsdReservedChunks(
  virtualSize: number,
  chunkSize: number,
): number {
  return 2 * Math.ceil(freebsdMapSize(virtualSize, chunkSize) / chunkSize);
}

/**
 * Encodes the entry of a mapped virtual chunk.
 *
 * @param component The component's index, u16.
 * @param chunk The chunk on that component, u32.
 * @param target The 8 bytes to overwrite.
 */
export function encodeFreebsdMapEntry(
  component: number,
  chunk: number,
  target: DataView,
): void {
  assert(component <= 0xffff && chunk <= 0xffff_ffff, "an entry fits");
  target.setUint16(FREEBSD_MAP_ENTRY_OFFSET.flags, MAP_ALLOCATED, true);
  target.setUint16(FREEBSD_MAP_ENTRY_OFFSET.component, component, true);
  target.setUint32(FREEBSD_MAP_ENTRY_OFFSET.chunk, chunk, true);
}

/**
 * Decodes an entry. The caller checks whether the place exists.
 *
 * @param source A piece of the map.
 * @param offset The offset of the entry in it, bytes.
 * @returns The entry.
 */
export function decodeFreebsdMapEntry(
  source: DataView,
  offset: number,
): FreebsdMapEntry {
  const at = FREEBSD_MAP_ENTRY_OFFSET;
  const flags = source.getUint16(offset + at.flags, true);
  return {
    allocated: (flags & MAP_ALLOCATED) !== 0,
    component: source.getUint16(offset + at.component, true),
    chunk: source.getUint32(offset + at.chunk, true),
  };
}
