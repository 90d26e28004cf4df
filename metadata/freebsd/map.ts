/**
 * The allocation map of format 1: an array of 8-byte entries from byte 0 of
 * component 0, one for each virtual chunk, as FreeBSD's gvirstor keeps it
 * (`struct virstor_map_entry` in `g_virstor.h`). Little-endian.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/** Bytes of a map entry. */
export const FREEBSD_MAP_ENTRY_SIZE = 8;
/** Where each field of an entry starts, bytes. */
export const FREEBSD_MAP_ENTRY_OFFSET: Readonly<
  Record<"flags" | "component" | "chunk", number>
> = { flags: 0, component: 2, chunk: 4 };
/** Virtual chunks are counted in multiples of this: a whole map sector. */
export const FREEBSD_MAP_GRAIN = 64;

/** Entry flag: the virtual chunk has a place on a component. */
const MAP_ALLOCATED = 1;

/** Where a virtual chunk is. */
export interface FreebsdMapEntry {
  /** Whether it has a place at all. */
  readonly allocated: boolean;
  /** The component's index, u16. */
  readonly component: number;
  /** The chunk on it, u32. */
  readonly chunk: number;
}

/**
 * Bytes that the map of a disk takes.
 *
 * @param virtualSize Bytes of the disk.
 * @param chunkSize Bytes of a chunk.
 * @returns Bytes from byte 0 of component 0.
 */
export function freebsdMapSize(virtualSize: number, chunkSize: number): number {
  return virtualSize / chunkSize * FREEBSD_MAP_ENTRY_SIZE;
}

/**
 * Chunks that component 0 keeps for the map: twice what it needs, as
 * `gvirstor label` does.
 *
 * @param virtualSize Bytes of the disk.
 * @param chunkSize Bytes of a chunk.
 * @returns Chunks.
 */
export function freebsdReservedChunks(
  virtualSize: number,
  chunkSize: number,
): number {
  return 2 * Math.ceil(freebsdMapSize(virtualSize, chunkSize) / chunkSize);
}

/**
 * Writes the entry of a chunk that has a place.
 *
 * @param component The component's index, u16.
 * @param chunk The chunk on it, u32.
 * @param target 8 bytes.
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
 * Reads an entry. Whether it points inside the pool is the caller's question.
 *
 * @param source A piece of the map.
 * @param offset Where the entry starts in it, bytes.
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
