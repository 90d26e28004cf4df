/**
 * The label of a component that was cut or extended: it lies where the end was
 * when it was written. Such a component must not pass for a file without one.
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
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  superblockPosition,
} from "../../metadata/native/mod.ts";
import type { ComponentDevice } from "../core/mod.ts";

/** A label that is not at the end. */
export interface MovedLabel {
  /** The pool that it is of. */
  readonly name: string;
  /** Bytes of the component, says the label. */
  readonly size: number;
}

/**
 * How far to look: near the end, and near the last data of a file with holes;
 * or through the last data as well.
 */
export type Effort = "brief" | "thorough";

/** How the labels of the two formats begin. */
const [LETTER_G, LETTER_V] = [0x47, 0x56];

/** A part of a device that is wanted. */
interface Part {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Both slots of the superblock, twice: that much is always looked through. */
const WINDOW_BYTES = 2 * SUPERBLOCK_SLOTS * SUPERBLOCK_SLOT_SIZE;
/** Bytes that are read at a time. */
const PIECE_BYTES = 1 << 20;
/** Bytes of data that a thorough look reads. */
const THOROUGH_BYTES = 64 << 20;
/** Pieces that a thorough look passes over because they are holes. */
const HOLES_MAX = 4096;

/**
 * Looks for a label that is not at the end.
 *
 * @param device The open component, without a label at its end.
 * @param effort How far to look.
 * @returns The last label that was found, if any.
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
    device.read(value.bytes, value.offset);
  }
}

/**
 * The same, thoroughly and off the event loop where the device can.
 *
 * @param device The open component, without a label at its end.
 * @returns The last label that was found, if any.
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
 * Looks for a label where a component ends that has a number of chunks: other
 * members of its pool tell that number.
 *
 * @param device The open component, without a label at its end.
 * @param from The first byte where it may end.
 * @param to The last one.
 * @returns The label, if there is one.
 * @throws {VirstorError} `io`.
 */
export function findLabelBetween(
  device: ComponentDevice,
  from: number,
  to: number,
): MovedLabel | undefined {
  const start = Math.max(0, from - WINDOW_BYTES);
  const end = Math.min(to, device.size);
  if (end - start > THOROUGH_BYTES) return undefined;
  const search = lookThrough(device, start, end);
  for (;;) {
    const { done, value } = search.next();
    if (done === true) return value;
    device.read(value.bytes, value.offset);
  }
}

/**
 * What to say of a component whose label is not at its end.
 *
 * @param device The open component.
 * @param label Its label.
 * @returns For instance `the file is 4096 bytes longer than its label says
 *   (...)`.
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
    `${by < 0 ? "cut" : "extended"}, give it that size again`;
}

/** A component has its label where it ended before it was cut or extended. */
export class MovedLabelError extends VirstorError {
  /** The label. */
  readonly label: MovedLabel;

  /**
   * Creates an error.
   *
   * @param device The open component.
   * @param label Its label.
   * @param code `not-found`, or `corrupt` if there is a part of a label at the
   *   end, too.
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

/** Where the data of a file end, to a page; its size if that is unknown. */
function lastDataEnd(device: ComponentDevice): number {
  // There are data from `low` on, and none from `high` on.
  let [low, high] = [0, device.size];
  while (high - low > NATIVE_PAGE_SIZE) {
    const middle = low + Math.floor((high - low) / 2);
    const data = device.nextData?.(middle) ?? middle;
    if (data < high) low = data;
    else high = middle;
  }
  return high;
}

/** Looks through a range, backwards. */
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
      // Both begin with a letter, few other sectors do.
      if (bytes[at] !== LETTER_G && bytes[at] !== LETTER_V) continue;
      const found = yield* labelAt(device, bytes.subarray(at), start + at);
      if (found !== undefined) return found;
    }
    end = start;
  }
  return undefined;
}

/** The label at a place, if it is one and says that it belongs there. */
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
  const slot = new Uint8Array(SUPERBLOCK_SLOT_SIZE);
  const length = Math.min(slot.length, device.size - position);
  yield { offset: position, bytes: slot.subarray(0, length) };
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
