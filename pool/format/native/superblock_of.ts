/**
 * The superblock of a member, as the pool is now.
 *
 * @module
 */

import type { MemberState, Superblock } from "../../../metadata/native/mod.ts";
import type { Component } from "../../core/mod.ts";
import type { NativeMember } from "./native_member.ts";

/** What all superblocks of a generation have in common. */
type Shared = Omit<
  Superblock,
  | "componentUuid"
  | "tableDigest"
  | "componentSize"
  | "overflowSize"
  | "members"
>;

/**
 * Makes the superblock of a member.
 *
 * @param component The member.
 * @param shared What all superblocks of the generation have in common.
 * @param members All members, with their state on disk.
 * @param joining The members that are joining.
 * @returns The superblock.
 */
export function superblockOf(
  component: Component,
  shared: Shared,
  members: readonly (readonly [Component, NativeMember])[],
  joining: ReadonlySet<Component>,
): Superblock {
  const own = members.find(([one]) => one === component)?.[1];
  return {
    ...shared,
    componentUuid: own?.uuid ?? "",
    tableDigest: shared.clean ? own?.table.digest ?? 0 : 0,
    componentSize: component.geometry.size,
    overflowSize: own?.overflowSize ?? 0,
    members: members.map(([one, { uuid }]) => ({
      uuid,
      state: stateOf(one, joining),
      chunkCount: one.geometry.chunkCount,
    })),
  };
}

function stateOf(
  component: Component,
  joining: ReadonlySet<Component>,
): MemberState {
  if (joining.has(component)) return "joining";
  return component.evacuating ? "evacuating" : "active";
}
