/**
 * The superblock of format 2: what each component says of itself, of its pool
 * and of all the members, in two slots at its end that are written in turn.
 * Offsets are tabled in docs/format.md and checked against
 * {@linkcode SUPERBLOCK_OFFSET} and {@linkcode SUPERBLOCK_MEMBER_OFFSET}.
 *
 * Little-endian. A superblock has a checksum over all of its own bytes and
 * knows its position, so that one that is torn, damaged or in the wrong place
 * can be recognised without other context. The rest of its slot is not looked at, so
 * {@linkcode superblockWriteSize} bytes of it are enough to write.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { viewOf } from "../../device/block/mod.ts";
import { assert, inBytes, VirstorError } from "../../errors.ts";
import {
  areZeroes,
  checksumOf,
  decodeUuid,
  encodeUuid,
  getUint64,
  setUint64,
} from "../common/mod.ts";
import {
  NATIVE_PAGE_SIZE,
  nativeGeometry,
  SUPERBLOCK_SLOT_SIZE,
  superblockPosition,
} from "./geometry.ts";
import {
  SUPERBLOCK_MEMBER_OFFSET,
  SUPERBLOCK_OFFSET,
} from "./superblock_layout.ts";
import {
  findingInSuperblock,
  NATIVE_NAME_SIZE_MAX,
  type Superblock,
  SUPERBLOCK_HEADER_SIZE,
  SUPERBLOCK_MEMBER_SIZE,
  SUPERBLOCK_MEMBERS_MAX,
  type SuperblockMember,
} from "./superblock_content.ts";

/** `GEOM::VIRSTOR`, the magic of format 1, turned around: no GEOM in here. */
const MAGIC = "VIRSTOR::POOL";
const VERSION = 2;

/** Reserved stretches: first byte, and the byte after the last. */
const RESERVED = [[133, 136], [140, 144], [400, 512]] as const;
const RESERVED_IN_MEMBER = [[17, 20], [24, 32]] as const;
/** Bytes of the name's field; one less fits. */
const NAME_FIELD_SIZE = NATIVE_NAME_SIZE_MAX + 1;
/** Features that this version knows and that no writer may ignore: none. */
const READ_ONLY_COMPAT_KNOWN = 0;
/** Features that this version knows and that no reader may ignore: none. */
const INCOMPAT_KNOWN = 0;

/** The states of a member, each at its number on disk. */
const MEMBER_STATES = [undefined, "joining", "active", "evacuating"] as const;
const ENCODER = new TextEncoder();
/** A byte order mark is a character of a name like any other. */
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/** A superblock as it was read. */
export interface DecodedSuperblock extends Superblock {
  /**
   * Whether the pool may be read only: it has a feature (in `readOnlyCompat`)
   * that this version does not know, and must not be written.
   */
  readonly readOnly: boolean;
}

/**
 * How much of a slot needs to be written.
 *
 * @param memberCount Members of the pool, 1 to 2032.
 * @returns Bytes from the slot's start: the used ones, in whole pages.
 */
export function superblockWriteSize(memberCount: number): number {
  assert(
    Number.isInteger(memberCount) && memberCount >= 1 &&
      memberCount <= SUPERBLOCK_MEMBERS_MAX,
    "a pool has 1 to 2032 members",
  );
  return Math.ceil(usedSizeOf(memberCount) / NATIVE_PAGE_SIZE) *
    NATIVE_PAGE_SIZE;
}

/**
 * Writes a superblock into a slot.
 *
 * @param superblock What to write.
 * @param position Where the slot is, bytes from the component's start.
 * @param slot 65,536 bytes, all of which are overwritten: zeroes follow.
 */
export function encodeSuperblock(
  superblock: Superblock,
  position: number,
  slot: Uint8Array,
): void {
  assert(slot.length === SUPERBLOCK_SLOT_SIZE, "a superblock fills a slot");
  const finding = findingInSuperblock(superblock);
  assert(finding === "", `the superblock to write is sound: ${finding}`);
  const { componentSize, chunkSize, members } = superblock;
  assert(isSlotOf(componentSize, position), "the slot is the component's");
  assert(!isReadOnly(superblock), "the pool's features are known");
  assert(superblock.compat >>> 0 === superblock.compat, "compat is a u32");
  const { tableDigest } = superblock;
  assert(tableDigest >>> 0 === tableDigest, "a digest is a u32");
  const at = SUPERBLOCK_OFFSET;
  const geometry = nativeGeometry(componentSize, chunkSize);
  const usedSize = usedSizeOf(members.length);
  const view = viewOf(slot);
  slot.fill(0);
  ENCODER.encodeInto(MAGIC, slot);
  view.setUint32(at.usedSize, usedSize, true);
  setUint64(view, at.position, position);
  setUint64(view, at.generation, superblock.generation);
  view.setUint32(at.version, VERSION, true);
  view.setUint32(at.compat, superblock.compat, true);
  view.setUint32(at.readOnlyCompat, superblock.readOnlyCompat, true);
  encodeUuid(superblock.poolUuid, slot, at.poolUuid);
  encodeUuid(superblock.componentUuid, slot, at.componentUuid);
  setUint64(view, at.virtualSize, superblock.virtualSize);
  setUint64(view, at.chunkSize, chunkSize);
  setUint64(view, at.componentSize, componentSize);
  setUint64(view, at.tableOffset, geometry.tableOffset);
  view.setUint32(at.chunkCount, geometry.chunkCount, true);
  view.setUint32(at.tablePages, geometry.tablePages, true);
  view.setUint16(at.memberCount, members.length, true);
  view.setUint8(at.clean, superblock.clean ? 1 : 0);
  view.setUint32(at.tableDigest, superblock.tableDigest, true);
  const nameField = slot.subarray(at.name, at.name + NAME_FIELD_SIZE);
  const { written } = ENCODER.encodeInto(superblock.name, nameField);
  view.setUint16(at.nameSize, written, true);
  for (const [index, member] of members.entries()) {
    encodeMember(member, slot, view, usedSizeOf(index));
  }
  const used = slot.subarray(0, usedSize);
  view.setUint32(at.checksum, checksumOf(used, at.checksum), true);
}

/**
 * Whether a slot holds a superblock of format 2, sound or not.
 *
 * @param slot The first 16 bytes of a slot, or more.
 * @returns Whether the magic is there.
 */
export function isSuperblock(slot: Uint8Array): boolean {
  for (let i = 0; i < SUPERBLOCK_OFFSET.checksum; i++) {
    const wanted = i < MAGIC.length ? MAGIC.charCodeAt(i) : 0;
    if (slot[i] !== wanted) return false;
  }
  return true;
}

/**
 * Reads a superblock.
 *
 * Whether the component has the size that it says is the caller's question.
 *
 * @param slot What was read: 65,536 bytes.
 * @param position Where it was read from, bytes from the component's start.
 * @param path The component, for messages.
 * @returns The superblock; it makes sense by itself.
 * @throws {VirstorError} `not-found` if there is none, `corrupt` if it is
 *   damaged, in the wrong place or makes no sense, `unsupported` if it is of
 *   another version or has features that cannot be ignored.
 */
export function decodeSuperblock(
  slot: Uint8Array,
  position: number,
  path: string,
): DecodedSuperblock {
  assert(slot.length === SUPERBLOCK_SLOT_SIZE, "a superblock fills a slot");
  if (!isSuperblock(slot)) {
    throw new VirstorError(
      "not-found",
      `There is no superblock on "${path}" at byte ${position}`,
    );
  }
  const view = viewOf(slot);
  refuse(findingInSlot(slot, view, position), path, position);
  refuseUnsupported(view, path, position);
  refuse(findingInBytes(slot, view), path, position);
  const superblock = decodeFields(slot, view);
  refuse(
    findingInSuperblock(superblock) || findingInPlace(superblock, view),
    path,
    position,
  );
  return superblock;
}

function refuse(finding: string, path: string, position: number): void {
  if (finding === "") return;
  throw new VirstorError(
    "corrupt",
    `Cannot use the superblock of "${path}" at byte ${position}: ${finding}`,
  );
}

function refuseUnsupported(
  view: DataView,
  path: string,
  position: number,
): void {
  const version = view.getUint32(SUPERBLOCK_OFFSET.version, true);
  const features = view.getUint32(SUPERBLOCK_OFFSET.incompat, true);
  const unknown = (features & ~INCOMPAT_KNOWN) >>> 0;
  if (version === VERSION && unknown === 0) return;
  const what = version === VERSION
    ? `it has features (incompat 0x${unknown.toString(16)}) that this ` +
      "version of virstor does not know"
    : `its version is ${version}, expected ${VERSION}`;
  throw new VirstorError(
    "unsupported",
    `Cannot use the superblock of "${path}" at byte ${position}: ${what}`,
  );
}

/** What is wrong with the part that is the same in every version. */
function findingInSlot(
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

/** What is wrong with the bytes that a decoded superblock does not show. */
function findingInBytes(slot: Uint8Array, view: DataView): string {
  const at = SUPERBLOCK_OFFSET;
  const usedSize = view.getUint32(at.usedSize, true);
  const memberCount = view.getUint16(at.memberCount, true);
  if (usedSizeOf(memberCount) !== usedSize) {
    return `its member count is ${memberCount}, in a used size of ${usedSize}`;
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
  for (const [start, end] of RESERVED) {
    if (!areZeroes(slot, start, end)) return `byte ${start} on is not zero`;
  }
  for (let index = 0; index < memberCount; index++) {
    const member = usedSizeOf(index);
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

/** What is wrong with where things lie: all of it follows from the sizes. */
function findingInPlace(superblock: Superblock, view: DataView): string {
  const { componentSize, chunkSize } = superblock;
  const at = SUPERBLOCK_OFFSET;
  const geometry = nativeGeometry(componentSize, chunkSize);
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

function decodeFields(slot: Uint8Array, view: DataView): DecodedSuperblock {
  const at = SUPERBLOCK_OFFSET;
  const nameEnd = at.name + view.getUint16(at.nameSize, true);
  const memberCount = view.getUint16(at.memberCount, true);
  const superblock: Superblock = {
    name: DECODER.decode(slot.subarray(at.name, nameEnd)),
    poolUuid: decodeUuid(slot, at.poolUuid),
    componentUuid: decodeUuid(slot, at.componentUuid),
    generation: getUint64(view, at.generation),
    clean: view.getUint8(at.clean) === 1,
    tableDigest: view.getUint32(at.tableDigest, true),
    compat: view.getUint32(at.compat, true),
    readOnlyCompat: view.getUint32(at.readOnlyCompat, true),
    virtualSize: getUint64(view, at.virtualSize),
    chunkSize: getUint64(view, at.chunkSize),
    componentSize: getUint64(view, at.componentSize),
    members: Array.from(
      { length: memberCount },
      (_, index) => decodeMember(slot, view, usedSizeOf(index)),
    ),
  };
  return { ...superblock, readOnly: isReadOnly(superblock) };
}

function encodeMember(
  member: SuperblockMember,
  slot: Uint8Array,
  view: DataView,
  start: number,
): void {
  const at = SUPERBLOCK_MEMBER_OFFSET;
  const state = MEMBER_STATES.indexOf(member.state);
  assert(state > 0, "a member's state has a number");
  encodeUuid(member.uuid, slot, start + at.uuid);
  view.setUint8(start + at.state, state);
  view.setUint32(start + at.chunkCount, member.chunkCount, true);
}

function decodeMember(
  slot: Uint8Array,
  view: DataView,
  start: number,
): SuperblockMember {
  const at = SUPERBLOCK_MEMBER_OFFSET;
  const state = MEMBER_STATES[view.getUint8(start + at.state)];
  assert(state !== undefined, "findingInBytes looked at the states");
  return {
    uuid: decodeUuid(slot, start + at.uuid),
    state,
    chunkCount: view.getUint32(start + at.chunkCount, true),
  };
}

/** Where the members end; the next one starts there. */
function usedSizeOf(memberCount: number): number {
  return SUPERBLOCK_HEADER_SIZE + memberCount * SUPERBLOCK_MEMBER_SIZE;
}

function isSlotOf(componentSize: number, position: number): boolean {
  return position === superblockPosition(componentSize, 0) ||
    position === superblockPosition(componentSize, 1);
}

function isReadOnly(superblock: Superblock): boolean {
  return (superblock.readOnlyCompat & ~READ_ONLY_COMPAT_KNOWN) !== 0;
}
