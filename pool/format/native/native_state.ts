/**
 * The state of a pool of format 2, as it was read.
 *
 * @module
 */

import type { Superblock, VolumeRecord } from "../../../metadata/native/mod.ts";
import type { Component } from "../../core/mod.ts";
import type { NativeMember } from "./native_member.ts";

/** The fields that all superblocks of a pool share, and that never change. */
export type NativeIdentity = Pick<
  Superblock,
  "poolUuid" | "chunkSize" | "compat" | "readOnlyCompat"
>;

/** The state of a pool as it was read. */
export interface NativeState {
  /** The current generation. */
  readonly generation: number;
  /** The highest sequence number of all table entries. */
  readonly sequence: number;
  /** The volumes; the first one is number 0. */
  readonly records: readonly VolumeRecord[];
  /** Whether superblocks list volumes, or the only one is implied. */
  readonly listsVolumes: boolean;
  /** The id of this boot of the system, a UUID. */
  readonly bootId: string;
  /** The members, in order, with their state on disk. */
  readonly members: ReadonlyMap<Component, NativeMember>;
}
