/**
 * The choice between the two superblocks of a component of format 2. They are
 * written alternately, so that a torn write leaves the older one.
 *
 * @module
 */

import { assert, inBytes, VirstorError } from "../../errors.ts";
import { viewOf } from "../../device/block/mod.ts";
import { getUint64 } from "../common/mod.ts";
import { SUPERBLOCK_SLOTS, superblockPosition } from "./geometry.ts";
import { type DecodedSuperblock, decodeSuperblock } from "./superblock.ts";
import { SUPERBLOCK_OFFSET } from "./superblock_layout.ts";

/** The result of {@linkcode newerSuperblock}. */
export interface NewerSuperblock {
  /** The current superblock. */
  readonly superblock: DecodedSuperblock;
  /** The slot of the current superblock, 0 or 1; the other is written next. */
  readonly slot: number;
  /** What is wrong with the other slot; undefined if it is sound. */
  readonly otherFault: VirstorError | undefined;
}

/**
 * Chooses the current superblock of a component.
 *
 * @param slots Both slots, each as {@linkcode decodeSuperblock} takes it.
 * @param size Bytes of the file or device; it need not be whole pages.
 * @param path The component's path, for messages.
 * @returns The sound superblock of the higher generation (slot 0 if both are
 *   equal), and what is wrong with the other slot.
 * @throws {VirstorError} As {@linkcode decodeSuperblock} if neither is sound.
 *   `corrupt` also if they are of two components. `unsupported` also if the
 *   newer one has an unknown version or unknown features: continuing with the
 *   older one would undo changes.
 */
export function newerSuperblock(
  slots: readonly Uint8Array[],
  size: number,
  path: string,
): NewerSuperblock {
  const [firstSlot, secondSlot] = slots;
  assert(firstSlot !== undefined && secondSlot !== undefined, "two slots");
  assert(slots.length === SUPERBLOCK_SLOTS, "two slots");
  const first = tryDecode(firstSlot, superblockPosition(size, 0), size, path);
  const second = tryDecode(secondSlot, superblockPosition(size, 1), size, path);
  if (first instanceof VirstorError) {
    if (second instanceof VirstorError) {
      throw rankOf(second) > rankOf(first) ? second : first;
    }
    refuseNewer(first, firstSlot, second);
    return { superblock: second, slot: 1, otherFault: first };
  }
  if (second instanceof VirstorError) {
    refuseNewer(second, secondSlot, first);
    return { superblock: first, slot: 0, otherFault: second };
  }
  refuseStranger(first, second, path);
  return second.generation > first.generation
    ? { superblock: second, slot: 1, otherFault: undefined }
    : { superblock: first, slot: 0, otherFault: undefined };
}

function tryDecode(
  slot: Uint8Array,
  position: number,
  size: number,
  path: string,
): DecodedSuperblock | VirstorError {
  try {
    const superblock = decodeSuperblock(slot, position, path);
    // The component may have been cut or extended by exactly one slot.
    const isHere = superblockPosition(superblock.componentSize, 0) ===
      superblockPosition(size, 0);
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

/** Throws if a write went to the wrong disk: choosing one would be a guess. */
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

/** Ranks faults: of two, the one with the higher rank explains more. */
function rankOf(fault: VirstorError): number {
  return ["not-found", "corrupt", "unsupported"].indexOf(fault.code);
}

/** Throws if the unsupported slot is the newer one. */
function refuseNewer(
  fault: VirstorError,
  slot: Uint8Array,
  other: DecodedSuperblock,
): void {
  if (fault.code !== "unsupported") return;
  const generation = getUint64(viewOf(slot), SUPERBLOCK_OFFSET.generation);
  if (generation > other.generation) throw fault;
}
