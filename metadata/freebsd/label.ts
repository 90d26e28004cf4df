/**
 * The label of format 1: the last sector of every component, byte for byte as
 * FreeBSD's gvirstor keeps it (`g_virstor_md.h`). Offsets are tabled in
 * docs/format.md and checked against {@linkcode FREEBSD_LABEL_OFFSET}.
 *
 * Little-endian. The 92 bytes are all there is; what follows them in the
 * sector is written as zeroes and not looked at, because FreeBSD leaves old
 * memory there.
 *
 * @module
 */

import { assert, counted, inBytes, VirstorError } from "../../errors.ts";
import { viewOf } from "../../device/block/mod.ts";
import { getUint64, setUint64 } from "../common/mod.ts";
import { FREEBSD_MAP_GRAIN } from "./map.ts";

/** `GEOM::VIRSTOR`, the name of the GEOM class. */
const MAGIC = "GEOM::VIRSTOR";
const VERSION = 1;

/** Bytes of a sector of a file, and of the sector that holds a label. */
export const SECTOR_SIZE = 512;
/**
 * Bytes of a sector of the disks that FreeBSD puts labels on: the label is at
 * the start of the last sector.
 */
export const FREEBSD_SECTOR_SIZES: readonly number[] = [SECTOR_SIZE, 4096];
/** Bytes of a label. */
export const FREEBSD_LABEL_SIZE = 92;
/** Where each field of a label starts, bytes from the start of its sector. */
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
/** Bytes of a name field; one less fits, a zero byte ends it. */
const NAME_SIZE = 16;
/** The longest name, bytes. */
export const FREEBSD_NAME_LENGTH_MAX = 15;
/** The most components a pool has: their number is a u16. */
export const FREEBSD_COMPONENTS_MAX = 65_535;

/** Label flag: chunks of this component are in use. */
export const COMPONENT_ALLOCATED = 1;
/** Label flag: the next chunk comes from this component. */
export const COMPONENT_CURRENT = 2;
/**
 * Label flag, ours: the component is joining. It is there from the first label
 * that `add` writes until the change is done, and FreeBSD does not know it. A
 * component that carries it holds no chunk.
 */
export const COMPONENT_JOINING = 4;

/** What a component of format 1 says of itself and of its pool. */
export interface FreebsdLabel {
  /** The pool's name, 1 to 15 bytes of ASCII. */
  readonly name: string;
  /** The pool's random number, u32: tells pools of one name apart. */
  readonly id: number;
  /** Bytes of the virtual disk, whole chunks. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** Components of the pool, 1 to 65,535. */
  readonly count: number;
  /** This component's place among them, from 0. */
  readonly index: number;
  /** The only file name it may have, or "" for any. */
  readonly hardcodedName: string;
  /** Bytes of this component, whole sectors, the label's included. */
  readonly componentSize: number;
  /** Chunks on it. */
  readonly chunkCount: number;
  /** The next chunk to be allocated, as of the last clean stop. */
  readonly chunkNext: number;
  /** Chunks at the start that hold the map; 0 but on component 0. */
  readonly chunkReserved: number;
  /**
   * {@linkcode COMPONENT_ALLOCATED}, {@linkcode COMPONENT_CURRENT},
   * {@linkcode COMPONENT_JOINING}.
   */
  readonly flags: number;
}

/**
 * Where the label of a component lies.
 *
 * @param size Bytes of the file or device, not necessarily whole sectors.
 * @param sectorSize Bytes of a sector.
 * @returns The offset of its last whole sector, below 0 if it has none.
 */
export function freebsdLabelOffset(
  size: number,
  sectorSize: number = SECTOR_SIZE,
): number {
  return Math.floor(size / sectorSize) * sectorSize - sectorSize;
}

/**
 * How many chunks a component has room for, its last sector left free.
 *
 * @param size Bytes of the component.
 * @param chunkSize Bytes of a chunk.
 * @param sectorSize Bytes of a sector.
 * @returns Whole chunks.
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
 * Writes a label into a sector.
 *
 * @param label What to write.
 * @param sector 512 bytes, all of which are overwritten.
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
 * Whether a sector holds a label of format 1, sound or not.
 *
 * @param sector 512 bytes.
 * @returns Whether the magic is there.
 */
export function isFreebsdLabel(sector: Uint8Array): boolean {
  return decodeText(sector, FREEBSD_LABEL_OFFSET.magic) === MAGIC;
}

/**
 * Reads a label. The last chunk that it counts may cover the label: so does the
 * one of FreeBSD's `add`, on a component of whole chunks.
 *
 * @param sector 512 bytes.
 * @param path The component, for messages.
 * @returns The label; it makes sense by itself.
 * @throws {VirstorError} `not-found` if there is no label, `unsupported` if it
 *   is of another version, `corrupt` if it makes no sense.
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
      `The label of "${path}" makes no sense: ${finding}`,
    );
  }
  return label;
}

/**
 * What is wrong with a label, taken by itself. `index` may be `count` or more:
 * such a component is on its way out of its pool (docs/architecture.md).
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

/** We never write a label that the last chunk covers. */
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

/** Each byte as one character: what it is not, findingInLabel tells. */
function decodeText(sector: Uint8Array, offset: number): string {
  const field = sector.subarray(offset, offset + NAME_SIZE);
  const end = field.indexOf(0);
  return String.fromCharCode(...(end < 0 ? field : field.subarray(0, end)));
}

function printable(text: string): string {
  return text.replaceAll(/[^ -~]/g, "?");
}
