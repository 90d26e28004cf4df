/**
 * What can be wrong with the bytes of a superblock of format 2.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { inBytes } from "../../errors.ts";
import { areZeroes, checksumOf, getUint64 } from "../common/mod.ts";
import {
  isOverflowSize,
  nativeGeometry,
  superblockPosition,
} from "./geometry.ts";
import { NATIVE_NAME_SIZE_MAX } from "./native_name.ts";
import {
  membersEnd,
  type Superblock,
  SUPERBLOCK_HEADER_SIZE,
} from "./superblock_content.ts";
import {
  SUPERBLOCK_MEMBER_OFFSET,
  SUPERBLOCK_OFFSET,
} from "./superblock_layout.ts";

/** The `incompat` feature VOLUMES: volume records lie behind the members. */
export const INCOMPAT_VOLUMES = 1;
/** The `incompat` feature OVERFLOW: the superblock slots have overflows. */
export const INCOMPAT_OVERFLOW = 2;
/** Reserved stretches: first byte, and the byte after the last. */
const RESERVED = [[133, 136], [420, 512]] as const;
/** Stretches of the fields of volumes, reserved without INCOMPAT_VOLUMES. */
const VOLUME_FIELDS = [[140, 144], [400, 416]] as const;
/** The field of overflows, reserved without INCOMPAT_OVERFLOW. */
const OVERFLOW_FIELD = [416, 420] as const;
const RESERVED_IN_MEMBER = [[17, 20], [24, 32]] as const;
/** Bytes of the name's field; one less fits. */
export const NAME_FIELD_SIZE = NATIVE_NAME_SIZE_MAX + 1;
/** The states of a member, each at its number on disk. */
export const MEMBER_STATES = [
  undefined,
  "joining",
  "active",
  "evacuating",
] as const;

/**
 * Checks the part that is the same in every version.
 *
 * @param slot The slot, with the used part of its overflow.
 * @param view The same bytes.
 * @param position Where they were read, bytes from the component's start.
 * @returns What is wrong, or "" if nothing is.
 */
export function findingInSlot(
  slot: Uint8Array,
  view: DataView,
  position: number,
): string {
  const at = SUPERBLOCK_OFFSET;
  const usedSize = view.getUint32(at.usedSize, true);
  if (usedSize < SUPERBLOCK_HEADER_SIZE || usedSize > slot.length) {
    return `its used size is ${inBytes(usedSize)}`;
  }
  const checksum = checksumOf(slot.subarray(0, usedSize), at.checksum);
  if (view.getUint32(at.checksum, true) !== checksum) {
    return "its checksum is wrong";
  }
  const home = getUint64(view, at.position);
  if (home !== position) return `its position is byte ${home}`;
  return "";
}

/**
 * Checks the bytes that a decoded superblock does not show.
 *
 * @param slot The slot, with the used part of its overflow; `findingInSlot()`
 *   finds nothing.
 * @param view The same bytes.
 * @returns What is wrong, or "" if nothing is.
 */
export function findingInBytes(slot: Uint8Array, view: DataView): string {
  const at = SUPERBLOCK_OFFSET;
  const usedSize = view.getUint32(at.usedSize, true);
  const memberCount = view.getUint16(at.memberCount, true);
  const isWithVolumes = hasVolumes(view);
  const volumesSize = isWithVolumes ? view.getUint32(at.volumesSize, true) : 0;
  if (membersEnd(memberCount) + volumesSize !== usedSize) {
    return `its member count is ${memberCount}` +
      (isWithVolumes ? ` and its volume records take ${volumesSize}` : "") +
      `, in a used size of ${usedSize}`;
  }
  const nameSize = view.getUint16(at.nameSize, true);
  if (nameSize < 1 || nameSize > NATIVE_NAME_SIZE_MAX) {
    return `the name size is ${inBytes(nameSize)}`;
  }
  const nameEnd = at.name + nameSize;
  if (!isUtf8(slot.subarray(at.name, nameEnd))) return "the name is not UTF-8";
  if (!areZeroes(slot, nameEnd, at.name + NAME_FIELD_SIZE)) {
    return "the name does not end where it should";
  }
  const clean = view.getUint8(at.clean);
  if (clean > 1) return `its mark of a clean stop is ${clean}`;
  const overflowSize = view.getUint32(at.overflowSize, true);
  const hasOverflow = hasFeature(view, INCOMPAT_OVERFLOW);
  if (hasOverflow && !(overflowSize > 0 && isOverflowSize(overflowSize))) {
    return `the size of its overflow is ${inBytes(overflowSize)}`;
  }
  const reserved = [
    ...RESERVED,
    ...isWithVolumes ? [] : VOLUME_FIELDS,
    ...hasOverflow ? [] : [OVERFLOW_FIELD],
  ];
  for (const [start, end] of reserved) {
    if (!areZeroes(slot, start, end)) return `byte ${start} on is not zero`;
  }
  return findingInMemberBytes(slot, memberCount);
}

function findingInMemberBytes(slot: Uint8Array, memberCount: number): string {
  for (let index = 0; index < memberCount; index++) {
    const member = membersEnd(index);
    const state = slot[member + SUPERBLOCK_MEMBER_OFFSET.state] ?? 0;
    if (MEMBER_STATES[state] === undefined) {
      return `the state of member ${index} is ${state}`;
    }
    for (const [start, end] of RESERVED_IN_MEMBER) {
      if (!areZeroes(slot, member + start, member + end)) {
        return `byte ${start} on of member ${index} is not zero`;
      }
    }
  }
  return "";
}

/**
 * Checks where things lie: all of it follows from the sizes.
 *
 * @param superblock The decoded superblock, sound.
 * @param view The slot.
 * @returns What is wrong, or "" if nothing is.
 */
export function findingInPlace(superblock: Superblock, view: DataView): string {
  const { componentSize, chunkSize, overflowSize } = superblock;
  const at = SUPERBLOCK_OFFSET;
  const geometry = nativeGeometry(componentSize, chunkSize, overflowSize);
  if (!isSlotOf(componentSize, getUint64(view, at.position))) {
    return "its position is no slot of a component of " +
      inBytes(componentSize);
  }
  if (getUint64(view, at.tableOffset) !== geometry.tableOffset) {
    return "the table offset does not follow from the sizes";
  }
  if (view.getUint32(at.chunkCount, true) !== geometry.chunkCount) {
    return "the chunk count does not follow from the sizes";
  }
  if (view.getUint32(at.tablePages, true) !== geometry.tablePages) {
    return "the number of table pages does not follow from the sizes";
  }
  return "";
}

/**
 * Whether a superblock has a volume table.
 *
 * @param view The slot.
 * @returns Whether the feature is set.
 */
export function hasVolumes(view: DataView): boolean {
  return hasFeature(view, INCOMPAT_VOLUMES);
}

/**
 * Whether a superblock has a feature that a reader must know.
 *
 * @param view The slot.
 * @param feature One of the `incompat` features.
 * @returns Whether it is set.
 */
export function hasFeature(view: DataView, feature: number): boolean {
  return (view.getUint32(SUPERBLOCK_OFFSET.incompat, true) & feature) !== 0;
}

/**
 * Whether a position is that of a superblock slot.
 *
 * @param componentSize Bytes of the component, whole pages.
 * @param position Any offset, bytes from the component's start.
 * @returns Whether it is.
 */
export function isSlotOf(componentSize: number, position: number): boolean {
  return position === superblockPosition(componentSize, 0) ||
    position === superblockPosition(componentSize, 1);
}
