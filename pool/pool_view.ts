/**
 * What can be shown of a pool besides its status.
 *
 * @module
 */

import { type ChunkMap, mapChunks } from "./chunk_map.ts";
import type { ComponentDevice } from "./core/mod.ts";
import type { PoolBase } from "./io/mod.ts";

/** What can be shown of a pool besides its status. */
export class PoolView {
  readonly #base: PoolBase;

  /**
   * Takes part in an open pool.
   *
   * @param base The open pool.
   */
  constructor(base: PoolBase) {
    this.#base = base;
  }

  /** Whether the format has volumes and snapshots; format 1 has one volume. */
  get hasVolumes(): boolean {
    return !this.#base.format.isDense;
  }

  /** The disks of the components, and how long they took. */
  get disks(): Pick<ComponentDevice, "path" | "durations">[] {
    return this.#base.format.members.map(({ device }) => device);
  }

  /**
   * Makes a map of the chunks, a little at a time: it takes long if the pool is
   * large.
   *
   * @param signal Ends the making.
   * @returns The map.
   */
  chunkMap(signal: AbortSignal): Promise<ChunkMap> {
    return mapChunks(this.#base, signal);
  }
}
