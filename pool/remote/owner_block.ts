/**
 * The owner block of a far disk: how it is read, and given up, without the
 * ownership.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  decodeOwnerBlock,
  encodeOwnerBlock,
  NO_OWNER,
  OWNER_BLOCK_SIZE,
  type OwnerBlock,
  ownerBlockPosition,
} from "../../metadata/journal/mod.ts";
import type { FarDisk } from "./far_disk.ts";
import type { Span } from "./journal_record.ts";

/** The side of a far disk that ownership needs. */
export type OwnedDisk = Pick<FarDisk, "read" | "size" | "write">;

/**
 * Reads the owner block of a far disk.
 *
 * @param far The far disk.
 * @returns The block; undefined if there is none.
 * @throws {VirstorError} `corrupt` if it is damaged, `io`.
 */
export async function readOwnerBlock(
  far: OwnedDisk,
): Promise<OwnerBlock | undefined> {
  const position = ownerBlockPosition(far.size);
  if (position < 0) return undefined;
  const bytes = new Uint8Array(OWNER_BLOCK_SIZE);
  await far.read(bytes, position);
  const block = decodeOwnerBlock(bytes, position);
  if (typeof block !== "string") return block;
  if (block === NO_OWNER || block === "it holds no owner block") {
    return undefined;
  }
  throw new VirstorError(
    "corrupt",
    `Cannot use the owner block at byte ${position}: ${block}`,
  );
}

/**
 * Reads the sector of the owner block, whatever it holds.
 *
 * *Requires*: the far disk is large enough for a component.
 *
 * @param far The far disk.
 * @returns The sector.
 */
export async function readOwnerSector(far: OwnedDisk): Promise<Uint8Array> {
  const bytes = new Uint8Array(OWNER_BLOCK_SIZE);
  await far.read(bytes, ownerBlockPosition(far.size));
  return bytes;
}

/**
 * Gives a component up in place of its owner, durably.
 *
 * *Requires*: the owner has ended, and its journal is not needed.
 *
 * @param disk The component.
 * @param block Its owner block.
 */
export async function releaseOwner(
  disk: Pick<FarDisk, "flush" | "size" | "write">,
  block: OwnerBlock,
): Promise<void> {
  const position = ownerBlockPosition(disk.size);
  // A journal of before is of an older generation from now on.
  const generation = block.generation + 1;
  const free = { ...block, generation, isInUse: false };
  await disk.write(encodeOwnerBlock(free, position), position);
  await disk.flush();
}

/**
 * Finds the first part of a range that does not lie in the room of an owner
 * block.
 *
 * @param room The room; undefined if there is none.
 * @param start The first byte of the range.
 * @param length Bytes of the range.
 * @returns Bytes to pass over, and how many follow them.
 */
export function besideRoom(
  room: Span | undefined,
  start: number,
  length: number,
): { readonly skipped: number; readonly count: number } {
  if (room === undefined || start >= room.end) {
    return { skipped: 0, count: length };
  }
  if (start < room.start) {
    return { skipped: 0, count: Math.min(length, room.start - start) };
  }
  const skipped = Math.min(length, room.end - start);
  return { skipped, count: length - skipped };
}
