/**
 * Which of the two superblocks of a component of format 2 counts. They are
 * written in turn, so that a torn write leaves the older one.
 *
 * @module
 */

import { assert, inBytes, VirstorError } from "../../errors.ts";
import { viewOf } from "../../device/block/mod.ts";
import { getUint64 } from "../common/mod.ts";
import {
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  superblockPosition,
} from "./geometry.ts";
import {
  type DecodedSuperblock,
  decodeSuperblock,
  SUPERBLOCK_OFFSET,
} from "./superblock.ts";

/** What {@linkcode newerSuperblock} found. */
export interface NewerSuperblock {
  /** The one that counts. */
  readonly superblock: DecodedSuperblock;
  /** The slot that it is in, 0 or 1. The other one is written next. */
  readonly slot: number;
  /** What is wrong with the other slot, or nothing. */
  readonly otherFault: VirstorError | undefined;
}

/**
 * The superblock of a component: the newer one of its two slots.
 *
 * @param slots What was read: both slots, 131,072 bytes.
 * @param size Bytes of the file or device, not necessarily whole pages.
 * @param path The component, for messages.
 * @returns The sound one of the higher generation (slot 0 if they are alike),
 *   and what is wrong with the other one.
 * @throws {VirstorError} As {@linkcode decodeSuperblock} if neither is sound;
 *   `corrupt` also if they are of two components;
 *   `unsupported` also if the newer one is of a version or has features that
 *   cannot be used: going on with the older one would undo what they did.
 */
export function newerSuperblock(
  slots: Uint8Array,
  size: number,
  path: string,
): NewerSuperblock {
  assert(slots.length === SUPERBLOCK_SLOTS * SUPERBLOCK_SLOT_SIZE, "two slots");
  const first = tryDecode(slots, 0, size, path);
  const second = tryDecode(slots, 1, size, path);
  if (first instanceof VirstorError) {
    if (second instanceof VirstorError) {
      throw rankOf(second) > rankOf(first) ? second : first;
    }
    refuseNewer(first, slots, 0, second);
    return { superblock: second, slot: 1, otherFault: first };
  }
  if (second instanceof VirstorError) {
    refuseNewer(second, slots, 1, first);
    return { superblock: first, slot: 0, otherFault: second };
  }
  refuseStranger(first, second, path);
  return second.generation > first.generation
    ? { superblock: second, slot: 1, otherFault: undefined }
    : { superblock: first, slot: 0, otherFault: undefined };
}

function tryDecode(
  slots: Uint8Array,
  index: number,
  size: number,
  path: string,
): DecodedSuperblock | VirstorError {
  const start = index * SUPERBLOCK_SLOT_SIZE;
  const slot = slots.subarray(start, start + SUPERBLOCK_SLOT_SIZE);
  const position = superblockPosition(size, index);
  try {
    const superblock = decodeSuperblock(slot, position, path);
    // It may be the other slot of a component that was longer or shorter.
    const isHere =
      superblockPosition(superblock.componentSize, index) === position;
    if (isHere) return superblock;
    return new VirstorError(
      "corrupt",
      `Cannot use the superblock of "${path}" at byte ${position}: it is of ` +
        `a component of ${inBytes(superblock.componentSize)}, this has ${size}`,
    );
  } catch (error) {
    if (error instanceof VirstorError) return error;
    throw error;
  }
}

/** A write that went to the wrong disk: which of the two did is a guess. */
function refuseStranger(
  first: DecodedSuperblock,
  second: DecodedSuperblock,
  path: string,
): void {
  const isOne = first.poolUuid === second.poolUuid &&
    first.componentUuid === second.componentUuid;
  if (isOne) return;
  throw new VirstorError(
    "corrupt",
    `Cannot use the superblocks of "${path}": they are of two components, ` +
      `${first.componentUuid} and ${second.componentUuid}`,
  );
}

/** Of two faults the one that tells more. */
function rankOf(fault: VirstorError): number {
  return ["not-found", "corrupt", "unsupported"].indexOf(fault.code);
}

/** Throws if a slot was refused only because it is newer than this version. */
function refuseNewer(
  fault: VirstorError,
  slots: Uint8Array,
  index: number,
  other: DecodedSuperblock,
): void {
  if (fault.code !== "unsupported") return;
  const start = index * SUPERBLOCK_SLOT_SIZE;
  const at = start + SUPERBLOCK_OFFSET.generation;
  if (getUint64(viewOf(slots), at) > other.generation) throw fault;
}
