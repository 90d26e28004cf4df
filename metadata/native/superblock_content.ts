/**
 * What a superblock of format 2 says, and what must hold of it. How it is laid
 * out in bytes is in `superblock.ts`.
 *
 * @module
 */

import { counted, inBytes } from "../../errors.ts";
import {
  isNativeChunkSize,
  NATIVE_CHUNKS_MAX,
  NATIVE_PAGE_SIZE,
  nativeGeometry,
  SUPERBLOCK_SLOT_SIZE,
} from "./geometry.ts";
import { isUuid, NIL_UUID } from "../common/mod.ts";

/** Bytes of a superblock before its members. */
export const SUPERBLOCK_HEADER_SIZE = 512;
/** Bytes of a member. */
export const SUPERBLOCK_MEMBER_SIZE = 32;
/** The most members of a pool: more have no room in a slot. */
export const SUPERBLOCK_MEMBERS_MAX: number =
  (SUPERBLOCK_SLOT_SIZE - SUPERBLOCK_HEADER_SIZE) / SUPERBLOCK_MEMBER_SIZE;
/** The longest name, bytes of UTF-8. */
export const NATIVE_NAME_SIZE_MAX = 255;

const ENCODER = new TextEncoder();

/** How far a component is part of its pool. */
export type MemberState =
  | "joining" // listed, and not used yet
  | "active" // used
  | "evacuating"; // used, and nothing new goes there

/** A component as all superblocks of its pool list it. */
export interface SuperblockMember {
  /** The component's UUID. */
  readonly uuid: string;
  /** How far it is part of the pool. */
  readonly state: MemberState;
  /** Chunks on it, 1 to 2^32-1. */
  readonly chunkCount: number;
}

/**
 * What a component of format 2 says. Where its table lies is not here: that
 * follows from the sizes, see {@linkcode nativeGeometry}.
 */
export interface Superblock {
  /** The pool's name, 1 to 255 bytes of UTF-8 without control characters. */
  readonly name: string;
  /** The pool. */
  readonly poolUuid: string;
  /** This component; it is among the members. */
  readonly componentUuid: string;
  /**
   * 1 to 2^53-1: the highest is the truth. Each open for writing, clean stop
   * and change of the pool has a higher one.
   */
  readonly generation: number;
  /** Whether the pool was stopped cleanly; not so while it is in use. */
  readonly clean: boolean;
  /**
   * The digests of all entries of this component's chunk table that are
   * somebody's, together by exclusive or, u32, at a clean stop; else 0.
   */
  readonly tableDigest: number;
  /** Features that whoever does not know them may ignore, u32, and keeps. */
  readonly compat: number;
  /** Features that only a writer has to know, u32. */
  readonly readOnlyCompat: number;
  /** Bytes of the virtual disk: whole chunks, up to 2^53. */
  readonly virtualSize: number;
  /** Bytes of a chunk, for which {@linkcode isNativeChunkSize} holds. */
  readonly chunkSize: number;
  /** Bytes of this component: whole pages, with room for a chunk. */
  readonly componentSize: number;
  /** All the members of the pool, 1 to 2032. */
  readonly members: readonly SuperblockMember[];
}

/**
 * Whether a pool of format 2 may have a name: 1 to 255 bytes of UTF-8, without
 * control characters.
 *
 * @param name Any text.
 * @returns Whether it may.
 */
export function isNativeName(name: string): boolean {
  return name !== "" && !/\p{Cc}/u.test(name) && name.isWellFormed() &&
    ENCODER.encode(name).length <= NATIVE_NAME_SIZE_MAX;
}

/**
 * What is wrong with a superblock, taken by itself.
 *
 * @param superblock Any.
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
  return findingInMembers(superblock);
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
  );
  return own.chunkCount === chunkCount
    ? ""
    : `its member entry says ${counted(own.chunkCount, "chunk")}, ` +
      `${chunkCount} fit on it`;
}

function isRealUuid(uuid: string): boolean {
  return isUuid(uuid) && uuid !== NIL_UUID;
}
