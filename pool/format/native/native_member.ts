/**
 * A member of a pool of format 2: its identity and its state on disk.
 *
 * @module
 */

import { encodeUuid, UUID_SIZE } from "../../../metadata/common/mod.ts";
import {
  nativeGeometry,
  newOverflowSize,
  type Superblock,
} from "../../../metadata/native/mod.ts";
import type { Component } from "../../core/mod.ts";
import { ChunkTable } from "./native_table.ts";

/** The state of a member on disk. */
export interface NativeMember {
  /** The component's UUID. */
  readonly uuid: string;
  /** Bytes of the overflow of each of its superblock slots. */
  readonly overflowSize: number;
  /** The component's chunk table. */
  readonly table: ChunkTable;
  /** The current superblock slot, 0 or 1; the other one is written next. */
  slot: number;
}

/**
 * Makes the state of a component that is about to join.
 *
 * *Requires*: the component's metadata region reads as zeroes.
 *
 * @param component The component.
 * @param chunkSize Bytes of a chunk.
 * @returns Its state: a new random UUID and a blank table.
 */
export function newMember(
  { device }: Component,
  chunkSize: number,
): NativeMember {
  const uuid = crypto.randomUUID();
  const overflowSize = newOverflowSize(device.size);
  const table = tableOf(device, {
    componentUuid: uuid,
    chunkSize,
    overflowSize,
  });
  return { uuid, overflowSize, table, slot: 0 };
}

/**
 * Makes the chunk table of a component, without reading it.
 *
 * @param device The component's device.
 * @param superblock The component's superblock.
 * @returns The table, blank in memory.
 */
export function tableOf(
  device: Component["device"],
  { componentUuid, chunkSize, overflowSize }: Pick<
    Superblock,
    "componentUuid" | "chunkSize" | "overflowSize"
  >,
): ChunkTable {
  const bytes = new Uint8Array(UUID_SIZE);
  encodeUuid(componentUuid, bytes, 0);
  const geometry = nativeGeometry(device.size, chunkSize, overflowSize);
  return new ChunkTable(device, geometry, bytes);
}
