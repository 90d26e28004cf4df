/**
 * A second implementation of format 1, from its tables, for tests only. It
 * imports nothing from `metadata/`, so that a bug there does not hide itself.
 *
 * @module
 */

import fs from "node:fs";

/** Every field of a label. */
export interface RawLabel {
  /** `GEOM::VIRSTOR`. */
  magic: string;
  /** 1. */
  version: number;
  /** The pool's name. */
  name: string;
  /** Bytes of the virtual disk. */
  virtualSize: number;
  /** Bytes of a chunk. */
  chunkSize: number;
  /** The pool's random number. */
  id: number;
  /** How many components. */
  count: number;
  /** The only name the component may have, or "". */
  hardcodedName: string;
  /** Which component this is. */
  index: number;
  /** Its bytes. */
  componentSize: number;
  /** Its chunks. */
  chunkCount: number;
  /** The next chunk to be allocated. */
  chunkNext: number;
  /** Chunks that hold the map. */
  chunkReserved: number;
  /** 1 allocated, 2 current. */
  flags: number;
}

/** One entry of the map. */
export interface RawEntry {
  /** 1 allocated. */
  flags: number;
  /** The component. */
  component: number;
  /** The chunk on it. */
  chunk: number;
}

type FieldType = "text" | "u16" | "u32" | "u64";

/** The table of a label: field, offset, type. Texts have 16 bytes. */
export const LABEL_TABLE: readonly (readonly [
  keyof RawLabel,
  number,
  FieldType,
])[] = [
  ["magic", 0, "text"],
  ["version", 16, "u32"],
  ["name", 20, "text"],
  ["virtualSize", 36, "u64"],
  ["chunkSize", 44, "u32"],
  ["id", 48, "u32"],
  ["count", 52, "u16"],
  ["hardcodedName", 54, "text"],
  ["index", 70, "u16"],
  ["componentSize", 72, "u64"],
  ["chunkCount", 80, "u32"],
  ["chunkNext", 84, "u32"],
  ["chunkReserved", 88, "u16"],
  ["flags", 90, "u16"],
];
/** Bytes of a label. */
export const LABEL_BYTES = 92;
/** Bytes of a sector. */
export const SECTOR_BYTES = 512;
/** Bytes of a map entry. */
export const ENTRY_BYTES = 8;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Writes fields of a label into a sector; the others stay as they are.
 *
 * @param sector 512 bytes.
 * @param fields What to write.
 */
export function putFields(
  sector: Uint8Array,
  fields: Partial<RawLabel>,
): void {
  const view = viewOf(sector);
  for (const [field, offset, type] of LABEL_TABLE) {
    const value = fields[field];
    if (value === undefined) continue;
    if (typeof value === "string") {
      const codes = Array.from(value, (letter) => letter.charCodeAt(0));
      sector.fill(0, offset, offset + 16);
      sector.set(codes, offset);
    } else if (type === "u16") view.setUint16(offset, value, true);
    else if (type === "u32") view.setUint32(offset, value, true);
    else view.setBigUint64(offset, BigInt(value), true);
  }
}

/**
 * Makes the sector of a label.
 *
 * @param label Its fields.
 * @returns 512 bytes.
 */
export function labelSector(label: RawLabel): Uint8Array {
  const sector = new Uint8Array(SECTOR_BYTES);
  putFields(sector, label);
  return sector;
}

/**
 * Reads every field of a label, whatever is in it.
 *
 * @param sector 512 bytes.
 * @returns The fields.
 */
export function takeFields(sector: Uint8Array): RawLabel {
  const view = viewOf(sector);
  function text(offset: number): string {
    const letters = String.fromCharCode(
      ...sector.subarray(offset, offset + 16),
    );
    const end = letters.indexOf("\0");
    return end < 0 ? letters : letters.slice(0, end);
  }
  return {
    magic: text(0),
    version: view.getUint32(16, true),
    name: text(20),
    virtualSize: Number(view.getBigUint64(36, true)),
    chunkSize: view.getUint32(44, true),
    id: view.getUint32(48, true),
    count: view.getUint16(52, true),
    hardcodedName: text(54),
    index: view.getUint16(70, true),
    componentSize: Number(view.getBigUint64(72, true)),
    chunkCount: view.getUint32(80, true),
    chunkNext: view.getUint32(84, true),
    chunkReserved: view.getUint16(88, true),
    flags: view.getUint16(90, true),
  };
}

/**
 * Where the label of a file lies.
 *
 * @param path The file.
 * @param sectorSize Bytes of a sector.
 * @returns The offset of its last whole sector.
 */
export function labelOffset(path: string, sectorSize = SECTOR_BYTES): number {
  const sectors = Math.floor(fs.statSync(path).size / sectorSize);
  return (sectors - 1) * sectorSize;
}

/**
 * Reads a piece of a file.
 *
 * @param path The file.
 * @param offset The first byte.
 * @param length How many.
 * @returns The bytes; fewer where the file ends.
 */
export function readAt(
  path: string,
  offset: number,
  length: number,
): Uint8Array {
  const bytes = new Uint8Array(length);
  const file = fs.openSync(path, "r");
  try {
    let done = 0;
    while (done < length) {
      const at = offset + done;
      const count = fs.readSync(file, bytes, done, length - done, at);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  } finally {
    fs.closeSync(file);
  }
}

/**
 * Writes a piece of a file.
 *
 * @param path The file.
 * @param offset The first byte.
 * @param bytes What to write.
 */
export function writeAt(path: string, offset: number, bytes: Uint8Array): void {
  const file = fs.openSync(path, "r+");
  try {
    fs.writeSync(file, bytes, 0, bytes.length, offset);
  } finally {
    fs.closeSync(file);
  }
}

/**
 * Reads the start of the last sector of a component.
 *
 * @param path The component.
 * @param sectorSize Bytes of a sector.
 * @returns 512 bytes.
 */
export function readSector(
  path: string,
  sectorSize = SECTOR_BYTES,
): Uint8Array {
  return readAt(path, labelOffset(path, sectorSize), SECTOR_BYTES);
}

/**
 * Reads the label of a component.
 *
 * @param path The component.
 * @returns The fields, whatever is in them.
 */
export function readRawLabel(path: string): RawLabel {
  return takeFields(readSector(path));
}

/**
 * Changes fields of the label on a component.
 *
 * @param path The component.
 * @param fields What to change; the rest stays.
 */
export function patchLabel(path: string, fields: Partial<RawLabel>): void {
  const sector = readSector(path);
  putFields(sector, fields);
  writeAt(path, labelOffset(path), sector);
}

/**
 * Makes the bytes of map entries.
 *
 * @param entries The entries.
 * @returns 8 bytes each.
 */
export function entryBytes(entries: readonly RawEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.length * ENTRY_BYTES);
  const view = viewOf(bytes);
  for (const [i, { flags, component, chunk }] of entries.entries()) {
    view.setUint16(i * ENTRY_BYTES, flags, true);
    view.setUint16(i * ENTRY_BYTES + 2, component, true);
    view.setUint32(i * ENTRY_BYTES + 4, chunk, true);
  }
  return bytes;
}

/**
 * Writes the map entry of a virtual chunk.
 *
 * @param path Component 0.
 * @param virtualChunk Which.
 * @param entry What to write.
 */
export function writeEntry(
  path: string,
  virtualChunk: number,
  entry: RawEntry,
): void {
  writeAt(path, virtualChunk * ENTRY_BYTES, entryBytes([entry]));
}

/**
 * Reads the map.
 *
 * @param path Component 0.
 * @param count How many entries.
 * @param start The virtual chunk of the first one.
 * @returns The entries; fewer where the file ends.
 */
export function readEntries(
  path: string,
  count: number,
  start = 0,
): RawEntry[] {
  const length = count * ENTRY_BYTES;
  const view = viewOf(readAt(path, start * ENTRY_BYTES, length));
  const entries: RawEntry[] = [];
  for (let at = 0; at + ENTRY_BYTES <= view.byteLength; at += ENTRY_BYTES) {
    entries.push({
      flags: view.getUint16(at, true),
      component: view.getUint16(at + 2, true),
      chunk: view.getUint32(at + 4, true),
    });
  }
  return entries;
}
