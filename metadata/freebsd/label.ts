/**
 * The label of format 1, in the last sector of every component: byte for byte
 * that of FreeBSD's gvirstor (`g_virstor_md.h`). docs/format.md tables the
 * offsets; a test compares them with {@linkcode FREEBSD_LABEL_OFFSET}.
 *
 * The label is little-endian and has 92 bytes. Encoding zeroes the rest of the
 * sector. Decoding ignores it, because FreeBSD leaves old memory there.
 *
 * @module
 */

import { assert, counted, inBytes, VirstorError } from "../../errors.ts";
import { viewOf } from "../../device/block/mod.ts";
import { getUint64, setUint64 } from "../common/mod.ts";
import { FREEBSD_MAP_GRAIN } from "./map.ts";

/** The magic: the name of the GEOM class. */
const MAGIC = "GEOM::VIRSTOR";
const VERSION = 1;

/** Bytes of a sector of a file; also the bytes that a label's sector uses. */
export const SECTOR_SIZE = 512;
/**
 * Bytes of a sector of the disks that FreeBSD labels. The label is at the start
 * of the last sector.
 */
export const FREEBSD_SECTOR_SIZES: readonly number[] = [SECTOR_SIZE, 4096];
/** Bytes of a label. */
export const FREEBSD_LABEL_SIZE = 92;
/** The offset of each field of a label, bytes from the start of its sector. */
export const FREEBSD_LABEL_OFFSET: Readonly<
  Record<
    | "magic"
    | "version"
    | "name"
    | "virtualSize"
    | "chunkSize"
    | "id"
    | "count"
    | "hardcodedName"
    | "index"
    | "componentSize"
    | "chunkCount"
    | "chunkNext"
    | "chunkReserved"
    | "flags",
    number
  >
> = {
  magic: 0,
  version: 16,
  name: 20,
  virtualSize: 36,
  chunkSize: 44,
  id: 48,
  count: 52,
  hardcodedName: 54,
  index: 70,
  componentSize: 72,
  chunkCount: 80,
  chunkNext: 84,
  chunkReserved: 88,
  flags: 90,
};
/** Bytes of a name field, including the zero byte that ends the name. */
const NAME_SIZE = 16;
/** The maximum length of a name, bytes. */
export const FREEBSD_NAME_LENGTH_MAX = 15;
/** The maximum number of components of a pool, since the count is a u16. */
export const FREEBSD_COMPONENTS_MAX = 65_535;

/** Label flag: chunks of this component are mapped. */
export const COMPONENT_ALLOCATED = 1;
/** Label flag: the next chunk is allocated on this component. */
export const COMPONENT_CURRENT = 2;
/**
 * Label flag, unknown to FreeBSD: the component is joining. `add` sets it in
 * the first label that it writes, and clears it once the change is done. A
 * component with this flag holds no chunk.
 */
export const COMPONENT_JOINING = 4;

/** What a component of format 1 says about itself and about its pool. */
export interface FreebsdLabel {
  /** The pool's name, 1 to 15 bytes of ASCII. */
  readonly name: string;
  /** The pool's random id, u32, which distinguishes pools of the same name. */
  readonly id: number;
  /** Bytes of the virtual disk, whole chunks. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** How many components the pool has, 1 to 65,535. */
  readonly count: number;
  /** This component's index, from 0. */
  readonly index: number;
  /** The only file name that the component may have, or "" for any. */
  readonly hardcodedName: string;
  /** Bytes of this component, whole sectors, including that of the label. */
  readonly componentSize: number;
  /** Chunks on this component, reserved ones included. */
  readonly chunkCount: number;
  /** The next chunk to be allocated, as of the last clean stop. */
  readonly chunkNext: number;
  /** Chunks at its start that hold the map; 0 except on component 0. */
  readonly chunkReserved: number;
  /**
   * Bits: {@linkcode COMPONENT_ALLOCATED}, {@linkcode COMPONENT_CURRENT},
   * {@linkcode COMPONENT_JOINING}.
   */
  readonly flags: number;
}

/**
 * The position of a component's label.
 *
 * @param size Bytes of the file or device; it need not be whole sectors.
 * @param sectorSize Bytes of a sector; default 512.
 * @returns The offset of the last whole sector; below 0 if there is none.
 */
export function freebsdLabelOffset(
  size: number,
  sectorSize: number = SECTOR_SIZE,
): number {
  return Math.floor(size / sectorSize) * sectorSize - sectorSize;
}

/**
 * How many chunks fit on a component, with its last sector left free.
 *
 * @param size Bytes of the component.
 * @param chunkSize Bytes of a chunk.
 * @param sectorSize Bytes of a sector; default 512.
 * @returns The number of whole chunks.
 */
export function freebsdChunkCount(
  size: number,
  chunkSize: number,
  sectorSize: number = SECTOR_SIZE,
): number {
  const room = Math.max(0, freebsdLabelOffset(size, sectorSize));
  return Math.floor(room / chunkSize);
}

/**
 * Encodes a label.
 *
 * *Requires*: the label is sound, and its last chunk does not cover it.
 *
 * @param label The label.
 * @param sector The 512 bytes to overwrite.
 */
export function encodeFreebsdLabel(
  label: FreebsdLabel,
  sector: Uint8Array,
): void {
  assert(sector.length === SECTOR_SIZE, "a label has a sector of its own");
  const finding = findingInLabel(label) || findingInCount(label);
  assert(finding === "", `the label to write is sound: ${finding}`);
  const at = FREEBSD_LABEL_OFFSET;
  const view = viewOf(sector);
  sector.fill(0);
  encodeText(MAGIC, sector, at.magic);
  view.setUint32(at.version, VERSION, true);
  encodeText(label.name, sector, at.name);
  setUint64(view, at.virtualSize, label.virtualSize);
  view.setUint32(at.chunkSize, label.chunkSize, true);
  view.setUint32(at.id, label.id, true);
  view.setUint16(at.count, label.count, true);
  encodeText(label.hardcodedName, sector, at.hardcodedName);
  view.setUint16(at.index, label.index, true);
  setUint64(view, at.componentSize, label.componentSize);
  view.setUint32(at.chunkCount, label.chunkCount, true);
  view.setUint32(at.chunkNext, label.chunkNext, true);
  view.setUint16(at.chunkReserved, label.chunkReserved, true);
  view.setUint16(at.flags, label.flags, true);
}

/**
 * Whether a sector holds a label of format 1, sound or damaged.
 *
 * @param sector 512 bytes.
 * @returns Whether the magic is there.
 */
export function isFreebsdLabel(sector: Uint8Array): boolean {
  return decodeText(sector, FREEBSD_LABEL_OFFSET.magic) === MAGIC;
}

/**
 * Decodes a label. The last chunk may cover the label, since FreeBSD's `add`
 * makes such labels on components of whole chunks.
 *
 * @param sector 512 bytes.
 * @param path The component's path, for messages.
 * @returns The label; its fields are consistent with each other.
 * @throws {VirstorError} `not-found` if there is no label, `unsupported` if it
 *   has another version, `corrupt` if a field is invalid.
 */
export function decodeFreebsdLabel(
  sector: Uint8Array,
  path: string,
): FreebsdLabel {
  assert(sector.length === SECTOR_SIZE, "a label has a sector of its own");
  const at = FREEBSD_LABEL_OFFSET;
  if (!isFreebsdLabel(sector)) {
    throw new VirstorError("not-found", `There is no label on "${path}"`);
  }
  const view = viewOf(sector);
  const version = view.getUint32(at.version, true);
  if (version !== VERSION) {
    throw new VirstorError(
      "unsupported",
      `Cannot use the label of "${path}": its version is ${version}, ` +
        `expected ${VERSION}`,
    );
  }
  const label: FreebsdLabel = {
    name: decodeText(sector, at.name),
    id: view.getUint32(at.id, true),
    virtualSize: getUint64(view, at.virtualSize),
    chunkSize: view.getUint32(at.chunkSize, true),
    count: view.getUint16(at.count, true),
    index: view.getUint16(at.index, true),
    hardcodedName: decodeText(sector, at.hardcodedName),
    componentSize: getUint64(view, at.componentSize),
    chunkCount: view.getUint32(at.chunkCount, true),
    chunkNext: view.getUint32(at.chunkNext, true),
    chunkReserved: view.getUint16(at.chunkReserved, true),
    flags: view.getUint16(at.flags, true),
  };
  const finding = findingInLabel(label);
  if (finding !== "") {
    throw new VirstorError(
      "corrupt",
      `The label of "${path}" is damaged: ${finding}`,
    );
  }
  return label;
}

/**
 * What is wrong with a label by itself; "" if nothing. `index` may be `count`
 * or more: such a component is leaving its pool (docs/architecture.md).
 */
function findingInLabel(label: FreebsdLabel): string {
  const { chunkSize, virtualSize, componentSize, chunkCount } = label;
  if (!/^[!-~]{1,15}$/.test(label.name)) {
    return `the pool's name is "${printable(label.name)}"`;
  }
  if (!/^[!-~]{0,15}$/.test(label.hardcodedName)) {
    return `the hardcoded name is "${printable(label.hardcodedName)}"`;
  }
  if (label.count < 1) return "the pool has no components";
  if (chunkSize < SECTOR_SIZE || chunkSize % SECTOR_SIZE !== 0) {
    return `the chunk size is ${inBytes(chunkSize)}, not whole sectors`;
  }
  if (!(virtualSize <= 2 ** 53)) {
    return "the virtual size is above 8 PiB";
  }
  if (virtualSize < chunkSize || virtualSize % chunkSize !== 0) {
    return `the virtual size is ${inBytes(virtualSize)}, not whole chunks`;
  }
  if (virtualSize / chunkSize % FREEBSD_MAP_GRAIN !== 0) {
    return `the virtual size is ${inBytes(virtualSize)}, not whole map sectors`;
  }
  if (!(componentSize % SECTOR_SIZE === 0)) {
    return `the component's size is ${componentSize}, not whole sectors`;
  }
  if (chunkCount * chunkSize > componentSize) {
    return `it counts ${counted(chunkCount, "chunk")}, more than fit on it`;
  }
  if (label.chunkReserved > chunkCount) {
    return `it counts ${counted(chunkCount, "chunk")}, and ` +
      `${label.chunkReserved} are reserved`;
  }
  return "";
}

/** What is wrong with the chunk count of a label to write; "" if nothing. */
function findingInCount(
  { chunkCount, chunkSize, componentSize }: FreebsdLabel,
): string {
  return chunkCount > freebsdChunkCount(componentSize, chunkSize)
    ? `it counts ${counted(chunkCount, "chunk")}, the last of which covers it`
    : "";
}

function encodeText(text: string, sector: Uint8Array, offset: number): void {
  const bytes = new TextEncoder().encode(text);
  assert(bytes.length < NAME_SIZE, "a name has at most 15 bytes");
  sector.set(bytes, offset);
}

/** Decodes each byte as one character; findingInLabel() checks the result. */
function decodeText(sector: Uint8Array, offset: number): string {
  const field = sector.subarray(offset, offset + NAME_SIZE);
  const end = field.indexOf(0);
  return String.fromCharCode(...(end < 0 ? field : field.subarray(0, end)));
}

function printable(text: string): string {
  return text.replaceAll(/[^ -~]/g, "?");
}
