/**
 * Moved labels. When a component is cut or extended, its label stays where the
 * file ended before. Such a component must not pass for an unlabelled file.
 *
 * @module
 */

import { inBytes, VirstorError } from "../../errors.ts";
import {
  decodeFreebsdLabel,
  freebsdLabelOffset,
  isFreebsdLabel,
  SECTOR_SIZE,
} from "../../metadata/freebsd/mod.ts";
import {
  decodeSuperblock,
  isSuperblock,
  NATIVE_PAGE_SIZE,
  newOverflowSize,
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  superblockPosition,
  usedOverflow,
} from "../../metadata/native/mod.ts";
import { type ComponentDevice, finished } from "../core/mod.ts";

/** A label that is not at the end of its component. */
export interface MovedLabel {
  /** The name of the pool, from the label. */
  readonly name: string;
  /** Bytes of the component when the label was written. */
  readonly size: number;
}

/**
 * How far to search. `brief`: near the end, and near the last data of a sparse
 * file. `thorough`: also backwards through the last 64 MiB of data. On another
 * machine either is what lies from {@linkcode labelsStart} on.
 */
export type Effort = "brief" | "thorough";

/** The first bytes of a format 1 label and of a superblock: "G" and "V". */
const [LETTER_G, LETTER_V] = [0x47, 0x56];

/** A part of the device that the search needs; the caller fills `bytes`. */
interface Part {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Pages beside its place in which a label is looked for. */
const PAGES_BESIDE = 16;
/** Bytes that every search covers: twice the room of both superblock slots. */
const WINDOW_BYTES = 2 * SUPERBLOCK_SLOTS * SUPERBLOCK_SLOT_SIZE;
/** Bytes of one read. */
const PIECE_BYTES = 1 << 20;
/** Bytes of data that a thorough search reads at most. */
const THOROUGH_BYTES = 64 << 20;
/** How many pieces a thorough search may skip because they are holes. */
const HOLES_MAX = 4096;

/**
 * The first byte that is read to find a label at the end. On another machine,
 * that and what follows is in memory before a label is looked for.
 *
 * @param size Bytes of the component.
 * @returns The position.
 */
export function labelsStart(size: number): number {
  const slots = SUPERBLOCK_SLOTS * (SUPERBLOCK_SLOT_SIZE +
    newOverflowSize(size));
  return Math.max(0, size - slots - PAGES_BESIDE * NATIVE_PAGE_SIZE);
}

/**
 * Searches for a label that is not at the end.
 *
 * *Requires*: the component has no label at its end.
 *
 * @param device The open component.
 * @param effort How far to search.
 * @returns The label nearest to the end; undefined if none was found.
 * @throws {VirstorError} `io`.
 */
export function findMovedLabel(
  device: ComponentDevice,
  effort: Effort,
): MovedLabel | undefined {
  const search = lookNearData(device, effort);
  for (;;) {
    const { done, value } = search.next();
    if (done === true) return value;
    finished(device.read(value.bytes, value.offset));
  }
}

/**
 * Like {@linkcode findMovedLabel}, thoroughly, and reading off the event loop
 * where the device supports that.
 *
 * @param device The open component, without a label at its end.
 * @returns The label nearest to the end; undefined if none was found.
 * @throws {VirstorError} `io`.
 */
export async function findMovedLabelLater(
  device: ComponentDevice,
): Promise<MovedLabel | undefined> {
  const search = lookNearData(device, "thorough");
  for (;;) {
    const { done, value } = search.next();
    if (done === true) return value;
    const { bytes, offset } = value;
    await (device.readCold?.(bytes, offset) ?? device.read(bytes, offset));
  }
}

/**
 * Searches for a label in a range where the component may have ended. Other
 * members list its number of chunks, from which the range follows.
 *
 * @param device The open component, without a label at its end.
 * @param from The smallest size that the component may have had, bytes.
 * @param to The largest size, bytes.
 * @returns The label; undefined if there is none, or if the range is longer
 *   than 64 MiB.
 * @throws {VirstorError} `io`.
 */
export async function findLabelBetween(
  device: ComponentDevice,
  from: number,
  to: number,
): Promise<MovedLabel | undefined> {
  const start = Math.max(0, from - WINDOW_BYTES);
  const end = Math.min(to, device.size);
  if (end - start > THOROUGH_BYTES) return undefined;
  const search = lookThrough(device, start, end);
  for (;;) {
    const { done, value } = search.next();
    if (done === true) return value;
    await device.read(value.bytes, value.offset);
  }
}

/**
 * Describes a component whose label is not at its end.
 *
 * @param device The open component.
 * @param label Its label.
 * @returns For instance `the file is 4096 bytes longer than its label says
 *   (...)`, and what to do.
 */
export function movedText(
  { size }: ComponentDevice,
  label: MovedLabel,
): string {
  const by = size - label.size;
  const word = by < 0 ? "shorter" : "longer";
  return `the file is ${inBytes(Math.abs(by))} ${word} than its label says ` +
    `(it has ${inBytes(size)}, the label is of a component of ` +
    `${inBytes(label.size)} in pool "${label.name}"): it was ` +
    (by < 0 ? "cut, " : 'extended, take it in with "virstor grow", or ') +
    "give it that size again";
}

/** The label of a component lies at an earlier end: it was cut or extended. */
export class MovedLabelError extends VirstorError {
  /** The moved label. */
  readonly label: MovedLabel;

  /**
   * Creates an error.
   *
   * @param device The open component.
   * @param label Its moved label.
   * @param code `corrupt` if the end holds a damaged label as well, else
   *   `not-found`.
   */
  constructor(
    device: ComponentDevice,
    label: MovedLabel,
    code: "not-found" | "corrupt",
  ) {
    super(
      code,
      `There is no label at the end of "${device.path}": ` +
        movedText(device, label),
    );
    this.label = label;
  }
}

function* lookNearData(
  device: ComponentDevice,
  effort: Effort,
): Generator<Part, MovedLabel | undefined> {
  const { size } = device;
  if (device.isRemote === true) {
    return yield* lookThrough(device, labelsStart(size), size);
  }
  const nearEnd = yield* lookThrough(device, size - WINDOW_BYTES, size);
  if (nearEnd !== undefined) return nearEnd;
  const dataEnd = lastDataEnd(device);
  const window = dataEnd - WINDOW_BYTES;
  const nearData = yield* lookThrough(device, window, dataEnd);
  if (nearData !== undefined || effort === "brief") return nearData;
  let [left, holes] = [THOROUGH_BYTES, HOLES_MAX];
  for (let end = dataEnd; end > 0 && left > 0 && holes > 0;) {
    const start = Math.max(0, end - PIECE_BYTES);
    if ((device.nextData?.(start) ?? start) >= end) {
      holes--;
    } else {
      const found = yield* lookThrough(device, start, end);
      if (found !== undefined) return found;
      left -= end - start;
    }
    end = start;
  }
  return undefined;
}

/** The end of a file's data, rounded to a page; its size if unknown. */
function lastDataEnd(device: ComponentDevice): number {
  // Invariant: data lie at or after `low`, and no data after `high`.
  let [low, high] = [0, device.size];
  while (high - low > NATIVE_PAGE_SIZE) {
    const middle = low + Math.floor((high - low) / 2);
    const data = device.nextData?.(middle) ?? middle;
    if (data < high) low = data;
    else high = middle;
  }
  return high;
}

/** Searches a range backwards, from `to` down to `from`. */
function* lookThrough(
  device: ComponentDevice,
  from: number,
  to: number,
): Generator<Part, MovedLabel | undefined> {
  const first = Math.floor(Math.max(0, from) / NATIVE_PAGE_SIZE) *
    NATIVE_PAGE_SIZE;
  for (let end = to; end > first;) {
    const start = Math.max(
      first,
      Math.ceil((end - PIECE_BYTES) / NATIVE_PAGE_SIZE) * NATIVE_PAGE_SIZE,
    );
    const bytes = new Uint8Array(end - start);
    yield { offset: start, bytes };
    const last = Math.floor(bytes.length / SECTOR_SIZE) - 1;
    for (let sector = last; sector >= 0; sector--) {
      const at = sector * SECTOR_SIZE;
      // Both labels begin with a letter that few other sectors begin with.
      if (bytes[at] !== LETTER_G && bytes[at] !== LETTER_V) continue;
      const found = yield* labelAt(device, bytes.subarray(at), start + at);
      if (found !== undefined) return found;
    }
    end = start;
  }
  return undefined;
}

/** Decodes a label, if it is sound and its size fits the position. */
function* labelAt(
  device: ComponentDevice,
  bytes: Uint8Array,
  position: number,
): Generator<Part, MovedLabel | undefined> {
  const sector = bytes.subarray(0, SECTOR_SIZE);
  if (isFreebsdLabel(sector)) {
    const label = decoded(() => decodeFreebsdLabel(sector, device.path));
    const size = position + SECTOR_SIZE;
    const isMoved = position !== freebsdLabelOffset(device.size);
    if (label?.componentSize === size && isMoved) {
      return { name: label.name, size };
    }
  }
  if (position % NATIVE_PAGE_SIZE !== 0 || !isSuperblock(sector)) {
    return undefined;
  }
  let slot = new Uint8Array(SUPERBLOCK_SLOT_SIZE);
  const length = Math.min(slot.length, device.size - position);
  yield { offset: position, bytes: slot.subarray(0, length) };
  const more = usedOverflow(slot);
  const first = device.isRemote === true ? labelsStart(device.size) : 0;
  const isThere = more !== undefined && more.offset >= first &&
    more.offset + more.length <= position;
  if (isThere) {
    const whole = new Uint8Array(SUPERBLOCK_SLOT_SIZE + more.length);
    whole.set(slot);
    slot = whole;
    const bytes = slot.subarray(SUPERBLOCK_SLOT_SIZE);
    yield { offset: more.offset, bytes };
  }
  const label = decoded(() => decodeSuperblock(slot, position, device.path));
  if (label === undefined) return undefined;
  const { name, componentSize: size } = label;
  const isMoved =
    superblockPosition(size, 0) !== superblockPosition(device.size, 0);
  return isMoved ? { name, size } : undefined;
}

function decoded<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof VirstorError) return undefined;
    throw error;
  }
}
