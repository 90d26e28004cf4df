/**
 * Whether volumes and snapshots fit in the superblocks of a pool of format 2.
 * Components may differ in how much theirs hold; the least decides.
 *
 * @module
 */

import { VirstorError } from "../../../errors.ts";
import {
  findingInVolumesSize,
  newOverflowSize,
  type VolumeTable,
} from "../../../metadata/native/mod.ts";
import type { Component } from "../../core/mod.ts";

/** A member and the room that its superblocks have. */
export interface MemberRoom {
  /** The path of the component. */
  readonly path: string;
  /** Bytes of the overflow of each of its superblock slots. */
  readonly overflowSize: number;
}

/**
 * The room that the superblocks of a component have, or will have.
 *
 * @param component The component.
 * @param stored Its state on disk; undefined if it is about to join.
 * @returns The room.
 */
export function roomOf(
  { device }: Component,
  stored: { readonly overflowSize: number } | undefined,
): MemberRoom {
  const overflowSize = stored?.overflowSize ?? newOverflowSize(device.size);
  return { path: device.path, overflowSize };
}

/**
 * Refuses volumes and snapshots for which a member has no room.
 *
 * @param name The name of the pool.
 * @param table The volumes.
 * @param members All members.
 * @throws {VirstorError} `no-space`.
 */
export function assertRoom(
  name: string,
  table: VolumeTable,
  members: readonly MemberRoom[],
): void {
  const [first, ...others] = members;
  if (first === undefined) return;
  const least = others.reduce(
    (best, one) => one.overflowSize < best.overflowSize ? one : best,
    first,
  );
  const count = members.length;
  const finding = findingInVolumesSize(table, count, least.overflowSize);
  if (finding === "") return;
  const isSmaller = others.some((one) => one.overflowSize > least.overflowSize);
  throw new VirstorError(
    "no-space",
    `Cannot change pool "${name}", the superblock on "${least.path}" is ` +
      `full: ${finding}; remove snapshots or volumes first` +
      (isSmaller ? ", or that component: others have more room" : ""),
  );
}

/**
 * Says why a component cannot join for want of room.
 *
 * @param name The name of the pool.
 * @param table The volumes.
 * @param memberCount Members of the pool, with the component.
 * @param overflowSize Bytes of the overflow of each of its superblock slots.
 * @returns The reason, and what to do; "" if there is room.
 */
export function roomFault(
  name: string,
  table: VolumeTable,
  memberCount: number,
  overflowSize: number,
): string {
  const finding = findingInVolumesSize(table, memberCount, overflowSize);
  return finding === ""
    ? ""
    : "its superblock would be too small for the volumes and snapshots of " +
      `pool "${name}" (${finding}), use a larger file`;
}
