/**
 * The content of a superblock of format 2, and its invariants. `superblock.ts`
 * encodes it.
 *
 * @module
 */

import { counted, inBytes } from "../../errors.ts";
import {
  isNativeChunkSize,
  isOverflowSize,
  NATIVE_CHUNKS_MAX,
  NATIVE_PAGE_SIZE,
  nativeGeometry,
  SUPERBLOCK_SLOT_SIZE,
} from "./geometry.ts";
import { isUuid, NIL_UUID } from "../common/mod.ts";
import { isNativeName } from "./native_name.ts";
import { volumeRecordsSize } from "./volume_records.ts";
import { findingInVolumes, type VolumeTable } from "./volume_table.ts";

/** Bytes of a superblock before its members. */
export const SUPERBLOCK_HEADER_SIZE = 512;
/** Bytes of a member entry. */
export const SUPERBLOCK_MEMBER_SIZE = 32;
/** The maximum number of members of a pool, as many as fit in a slot. */
export const SUPERBLOCK_MEMBERS_MAX: number =
  (SUPERBLOCK_SLOT_SIZE - SUPERBLOCK_HEADER_SIZE) / SUPERBLOCK_MEMBER_SIZE;

/** The state of a member. */
export type MemberState =
  | "joining" // listed, but not in use yet
  | "active" // in use
  | "evacuating"; // in use, but no chunk is allocated there any more

/** A member, as all superblocks of its pool list it. */
export interface SuperblockMember {
  /** The component's UUID. */
  readonly uuid: string;
  /** The state of the member. */
  readonly state: MemberState;
  /** Chunks on it, 1 to 2^32-1. */
  readonly chunkCount: number;
}

/**
 * The content of a superblock. The position of the chunk table is not stored:
 * it follows from the sizes, see {@linkcode nativeGeometry}.
 */
export interface Superblock {
  /** The pool's name, 1 to 255 bytes of UTF-8 without control characters. */
  readonly name: string;
  /** The pool's UUID. */
  readonly poolUuid: string;
  /** This component's UUID; it is among the members. */
  readonly componentUuid: string;
  /**
   * The generation, 1 to 2^53-1; the highest in a pool decides. Each open for
   * writing, clean stop and change of the pool increments it.
   */
  readonly generation: number;
  /** Whether the pool was stopped cleanly; false while it is open. */
  readonly clean: boolean;
  /**
   * At a clean stop, the XOR of the digests of all allocated entries in this
   * component's chunk table, u32; else 0.
   */
  readonly tableDigest: number;
  /** Features that software may ignore if unknown, but must preserve, u32. */
  readonly compat: number;
  /** Features that software must know only to write, u32. */
  readonly readOnlyCompat: number;
  /** Bytes of the virtual disk: whole chunks, up to 2^53. */
  readonly virtualSize: number;
  /** Bytes of a chunk, for which {@linkcode isNativeChunkSize} holds. */
  readonly chunkSize: number;
  /** Bytes of this component: whole pages, with room for a chunk. */
  readonly componentSize: number;
  /**
   * Bytes of the overflow of each superblock slot of this component, for which
   * {@linkcode isOverflowSize} holds; 0 or undefined if the slots have none.
   */
  readonly overflowSize?: number | undefined;
  /** All members of the pool, 1 to 2032. */
  readonly members: readonly SuperblockMember[];
  /** The volumes; undefined if the pool has just volume 0, with epoch 0. */
  readonly volumes?: VolumeTable | undefined;
}

/**
 * The end of the members of a superblock, where the next member or the volume
 * records start.
 *
 * @param memberCount Members before it.
 * @returns The offset, bytes from the start of the slot.
 */
export function membersEnd(memberCount: number): number {
  return SUPERBLOCK_HEADER_SIZE + memberCount * SUPERBLOCK_MEMBER_SIZE;
}

/**
 * Whether the records of a volume table fit in a slot with its overflow, behind
 * the members.
 *
 * @param table The table.
 * @param memberCount Members of the pool.
 * @param overflowSize Bytes of the overflow of a slot; 0, the default, without
 *   one.
 * @returns What is wrong, or "" if they fit.
 */
export function findingInVolumesSize(
  table: VolumeTable,
  memberCount: number,
  overflowSize = 0,
): string {
  const size = volumeRecordsSize(table.volumes);
  const room = SUPERBLOCK_SLOT_SIZE + overflowSize - membersEnd(memberCount);
  return size <= room
    ? ""
    : `its records need ${inBytes(size)}, ${Math.max(0, room)} fit`;
}

/**
 * Checks a superblock by itself.
 *
 * @param superblock Any superblock.
 * @returns What is wrong, naming the field, or "" if nothing is.
 */
export function findingInSuperblock(superblock: Superblock): string {
  const { name, generation, virtualSize, chunkSize } = superblock;
  if (!Number.isSafeInteger(generation) || generation < 1) {
    return "its generation is not 1 to 2^53-1";
  }
  if (!isNativeName(name)) return `the name is "${name}"`;
  if (!isRealUuid(superblock.poolUuid)) return "the pool has no UUID";
  if (!isNativeChunkSize(chunkSize)) {
    return `the chunk size is ${inBytes(chunkSize)}`;
  }
  if (!(virtualSize <= 2 ** 53)) return "the virtual size is above 8 PiB";
  if (virtualSize < chunkSize || virtualSize % chunkSize !== 0) {
    return `the virtual size is ${inBytes(virtualSize)}, not whole chunks`;
  }
  const { componentSize } = superblock;
  if (!(componentSize % NATIVE_PAGE_SIZE === 0 && componentSize <= 2 ** 53)) {
    return `the component size is ${inBytes(componentSize)}, not whole pages`;
  }
  const { volumes, members, overflowSize } = superblock;
  if (!isOverflowSize(overflowSize ?? 0)) {
    return `the size of its overflow is ${inBytes(overflowSize ?? 0)}`;
  }
  const finding = findingInMembers(superblock);
  if (finding !== "" || volumes === undefined) return finding;
  return findingInTable(volumes, superblock) ||
    findingInVolumesSize(volumes, members.length, overflowSize);
}

/** The pools for which lists of volumes are sound: lists never change. */
const SOUND = new WeakMap<VolumeTable["volumes"], string>();

/** Looks at a list once for all members of a pool: it may be long. */
function findingInTable(
  table: VolumeTable,
  pool: Superblock,
): string {
  const { name, virtualSize, chunkSize } = pool;
  const key = `${virtualSize} ${chunkSize} ${name}`;
  if (isUuid(table.bootId) && SOUND.get(table.volumes) === key) return "";
  const finding = findingInVolumes(table, pool);
  if (finding === "") SOUND.set(table.volumes, key);
  return finding;
}

function findingInMembers(superblock: Superblock): string {
  const { members, componentUuid } = superblock;
  if (members.length < 1 || members.length > SUPERBLOCK_MEMBERS_MAX) {
    return `it has ${counted(members.length, "member")}`;
  }
  const seen = new Set<string>();
  for (const [index, { uuid, chunkCount }] of members.entries()) {
    if (!isRealUuid(uuid)) return `member ${index} has no UUID`;
    if (seen.has(uuid)) return `member ${index} is listed twice`;
    if (!(chunkCount >= 1 && chunkCount <= NATIVE_CHUNKS_MAX)) {
      return `the chunk count of member ${index} is ${chunkCount}`;
    }
    seen.add(uuid);
  }
  const own = members.find(({ uuid }) => uuid === componentUuid);
  if (own === undefined) return "the component is not among its members";
  const { chunkCount } = nativeGeometry(
    superblock.componentSize,
    superblock.chunkSize,
    superblock.overflowSize,
  );
  return own.chunkCount === chunkCount
    ? ""
    : `its member entry says ${counted(own.chunkCount, "chunk")}, ` +
      `${chunkCount} fit on it`;
}

function isRealUuid(uuid: string): boolean {
  return isUuid(uuid) && uuid !== NIL_UUID;
}
