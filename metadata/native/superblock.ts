/**
 * The superblock of format 2: what each component says of itself, of its pool
 * and of all the members, in two slots at its end that are written in turn.
 * Offsets are tabled in docs/format.md and checked against
 * {@linkcode SUPERBLOCK_OFFSET} and {@linkcode SUPERBLOCK_MEMBER_OFFSET}.
 *
 * Little-endian. A superblock has a checksum over all of its own bytes and
 * knows its position, so that one that is torn, damaged or in the wrong place
 * can be recognised without other context. The rest of its slot is not looked at, so
 * {@linkcode superblockWriteSize} bytes of it are enough to write. What exceeds
 * the slot goes on in the slot's overflow; the functions here take both as one.
 *
 * @module
 */

import { viewOf } from "../../device/block/mod.ts";
import { assert, VirstorError } from "../../errors.ts";
import {
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
} from "./geometry.ts";
import {
  SUPERBLOCK_MEMBER_OFFSET,
  SUPERBLOCK_OFFSET,
} from "./superblock_layout.ts";
import {
  findingInBytes,
  findingInPlace,
  findingInSlot,
  hasFeature,
  hasVolumes,
  INCOMPAT_OVERFLOW,
  INCOMPAT_VOLUMES,
  isSlotOf,
  MEMBER_STATES,
  NAME_FIELD_SIZE,
} from "./superblock_findings.ts";
import {
  decodeVolumeRecords,
  encodeVolumeRecords,
  volumeRecordsSize,
} from "./volume_records.ts";
import type { VolumeTable } from "./volume_table.ts";
import {
  findingInSuperblock,
  membersEnd,
  type Superblock,
  SUPERBLOCK_MEMBERS_MAX,
  type SuperblockMember,
} from "./superblock_content.ts";

/** `GEOM::VIRSTOR`, the magic of format 1, turned around: no GEOM in here. */
const MAGIC = "VIRSTOR::POOL";
const VERSION = 2;

/** Features that this version knows and that no writer may ignore: none. */
const READ_ONLY_COMPAT_KNOWN = 0;
/** Features that this version knows and that no reader may ignore. */
const INCOMPAT_KNOWN = INCOMPAT_VOLUMES | INCOMPAT_OVERFLOW;

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
 * How much of a slot and its overflow needs to be written.
 *
 * @param superblock The superblock, with 1 to 2032 members.
 * @returns Bytes from the slot's start, going on in the overflow: the used ones,
 *   in whole pages.
 */
export function superblockWriteSize(superblock: Superblock): number {
  const { length } = superblock.members;
  assert(
    length >= 1 && length <= SUPERBLOCK_MEMBERS_MAX,
    "a pool has 1 to 2032 members",
  );
  const used = usedSizeOf(superblock);
  const room = SUPERBLOCK_SLOT_SIZE + (superblock.overflowSize ?? 0);
  assert(used <= room, "a superblock fits in a slot with its overflow");
  return Math.ceil(used / NATIVE_PAGE_SIZE) * NATIVE_PAGE_SIZE;
}

/**
 * Writes a superblock into a slot.
 *
 * @param superblock What to write.
 * @param position Where the slot is, bytes from the component's start.
 * @param slot The slot, followed by its overflow: {@linkcode superblockWriteSize}
 *   bytes or more, all of which are overwritten: zeroes follow.
 */
export function encodeSuperblock(
  superblock: Superblock,
  position: number,
  slot: Uint8Array,
): void {
  const finding = findingInSuperblock(superblock);
  assert(finding === "", `the superblock to write is sound: ${finding}`);
  const { componentSize, chunkSize, members, overflowSize = 0 } = superblock;
  assert(isSlotOf(componentSize, position), "the slot is the component's");
  assert(!isReadOnly(superblock), "the pool's features are known");
  assert(superblock.compat >>> 0 === superblock.compat, "compat is a u32");
  const { tableDigest } = superblock;
  assert(tableDigest >>> 0 === tableDigest, "a digest is a u32");
  const at = SUPERBLOCK_OFFSET;
  const geometry = nativeGeometry(componentSize, chunkSize, overflowSize);
  const usedSize = usedSizeOf(superblock);
  assert(slot.length >= usedSize, "a superblock fits in its slot");
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
  view.setUint32(at.overflowSize, overflowSize, true);
  view.setUint32(at.incompat, featuresOf(superblock), true);
  const nameField = slot.subarray(at.name, at.name + NAME_FIELD_SIZE);
  const { written } = ENCODER.encodeInto(superblock.name, nameField);
  view.setUint16(at.nameSize, written, true);
  for (const [index, member] of members.entries()) {
    encodeMember(member, slot, view, membersEnd(index));
  }
  const used = slot.subarray(0, usedSize);
  if (superblock.volumes !== undefined) {
    const records = used.subarray(membersEnd(members.length));
    encodeVolumes(superblock.volumes, slot, view, records);
  }
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
 * @param slot What was read: 65,536 bytes, followed by what
 *   {@linkcode usedOverflow} finds.
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
  assert(slot.length >= SUPERBLOCK_SLOT_SIZE, "a slot has 64 KiB");
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
  if (typeof superblock === "string") {
    throw refusal("corrupt", superblock, path, position);
  }
  refuse(
    findingInSuperblock(superblock) || findingInPlace(superblock, view),
    path,
    position,
  );
  return superblock;
}

function refuse(finding: string, path: string, position: number): void {
  if (finding !== "") throw refusal("corrupt", finding, path, position);
}

function refusal(
  code: "corrupt" | "unsupported",
  finding: string,
  path: string,
  position: number,
): VirstorError {
  return new VirstorError(
    code,
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
  const finding = version === VERSION
    ? `it has features (incompat 0x${unknown.toString(16)}) that this ` +
      "version of virstor does not know"
    : `its version is ${version}, expected ${VERSION}`;
  throw refusal("unsupported", finding, path, position);
}

/** Decodes all fields; a text says what is wrong with the volume records. */
function decodeFields(
  slot: Uint8Array,
  view: DataView,
): DecodedSuperblock | string {
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
      (_, index) => decodeMember(slot, view, membersEnd(index)),
    ),
  };
  const decoded = {
    ...superblock,
    ...hasFeature(view, INCOMPAT_OVERFLOW)
      ? { overflowSize: view.getUint32(at.overflowSize, true) }
      : {},
    readOnly: isReadOnly(superblock),
  };
  if (!hasVolumes(view)) return decoded;
  const start = membersEnd(memberCount);
  const records = slot.subarray(
    start,
    start + view.getUint32(at.volumesSize, true),
  );
  const volumes = decodeVolumeRecords(records, superblock.name);
  if (typeof volumes === "string") return volumes;
  const bootId = decodeUuid(slot, at.bootId);
  return { ...decoded, volumes: { bootId, volumes } };
}

function encodeVolumes(
  { bootId, volumes }: VolumeTable,
  slot: Uint8Array,
  view: DataView,
  records: Uint8Array,
): void {
  const at = SUPERBLOCK_OFFSET;
  view.setUint32(at.volumesSize, records.length, true);
  encodeUuid(bootId, slot, at.bootId);
  encodeVolumeRecords(volumes, records);
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

function usedSizeOf({ members, volumes }: Superblock): number {
  return membersEnd(members.length) +
    (volumes === undefined ? 0 : volumeRecordsSize(volumes.volumes));
}

/** The features of a superblock that a reader must know. */
function featuresOf({ volumes, overflowSize = 0 }: Superblock): number {
  return (volumes === undefined ? 0 : INCOMPAT_VOLUMES) |
    (overflowSize === 0 ? 0 : INCOMPAT_OVERFLOW);
}

function isReadOnly(superblock: Superblock): boolean {
  return (superblock.readOnlyCompat & ~READ_ONLY_COMPAT_KNOWN) !== 0;
}
