/**
 * Where a superblock of format 2 goes on that is longer than its slot.
 *
 * @module
 */

import { viewOf } from "../../device/block/mod.ts";
import { assert } from "../../errors.ts";
import { getUint64 } from "../common/mod.ts";
import {
  isOverflowSize,
  overflowPosition,
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  superblockPosition,
} from "./geometry.ts";
import { isSuperblock } from "./superblock.ts";
import { hasFeature, INCOMPAT_OVERFLOW } from "./superblock_findings.ts";
import { SUPERBLOCK_OFFSET } from "./superblock_layout.ts";

/** The used part of the overflow of a slot. */
export interface UsedOverflow {
  /** Its offset on the component, bytes. */
  readonly offset: number;
  /** Its length, bytes. */
  readonly length: number;
}

/**
 * Finds the bytes of a superblock that its slot does not hold. Nothing that the
 * slot says is known to be true before they are read: the checksum covers them.
 *
 * @param slot A slot with a superblock, sound or not, or with anything else:
 *   65,536 bytes.
 * @returns Where they lie, before the slot; undefined if there are none.
 */
export function usedOverflow(slot: Uint8Array): UsedOverflow | undefined {
  assert(slot.length === SUPERBLOCK_SLOT_SIZE, "a slot has 64 KiB");
  if (!isSuperblock(slot)) return undefined;
  const at = SUPERBLOCK_OFFSET;
  const view = viewOf(slot);
  if (!hasFeature(view, INCOMPAT_OVERFLOW)) return undefined;
  const overflowSize = view.getUint32(at.overflowSize, true);
  const length = view.getUint32(at.usedSize, true) - SUPERBLOCK_SLOT_SIZE;
  const componentSize = getUint64(view, at.componentSize);
  const isPossible = length > 0 && length <= overflowSize &&
    isOverflowSize(overflowSize) && componentSize <= 2 ** 53;
  if (!isPossible) return undefined;
  const position = getUint64(view, at.position);
  for (let index = 0; index < SUPERBLOCK_SLOTS; index++) {
    if (superblockPosition(componentSize, index) !== position) continue;
    const offset = overflowPosition(componentSize, index, overflowSize);
    return offset < 0 ? undefined : { offset, length };
  }
  return undefined;
}
