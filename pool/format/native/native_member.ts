/**
 * A member of a pool of format 2, as it is known on disk.
 *
 * @module
 */

import { encodeUuid, UUID_SIZE } from "../../../metadata/common/mod.ts";
import { nativeGeometry } from "../../../metadata/native/mod.ts";
import type { Component } from "../../core/mod.ts";
import { ChunkTable } from "./native_table.ts";

/** What is known of a member on disk. */
export interface NativeMember {
  /** Its UUID. */
  readonly uuid: string;
  /** Its chunk table. */
  readonly table: ChunkTable;
  /** The slot of its superblock that counts; the other one is written next. */
  slot: number;
}

/**
 * A component that is about to join.
 *
 * @param component The component, all zeroes.
 * @param chunkSize Bytes of a chunk.
 * @returns It, with a UUID of its own and a blank table.
 */
export function newMember(
  { device }: Component,
  chunkSize: number,
): NativeMember {
  const uuid = crypto.randomUUID();
  return { uuid, table: tableOf(device, uuid, chunkSize), slot: 0 };
}

/**
 * The table of a component.
 *
 * @param device What it lies on.
 * @param uuid The component's UUID.
 * @param chunkSize Bytes of a chunk.
 * @returns Its table, as if it were blank.
 */
export function tableOf(
  device: Component["device"],
  uuid: string,
  chunkSize: number,
): ChunkTable {
  const bytes = new Uint8Array(UUID_SIZE);
  encodeUuid(uuid, bytes, 0);
  return new ChunkTable(device, nativeGeometry(device.size, chunkSize), bytes);
}
