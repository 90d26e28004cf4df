/**
 * An open volume: its map, and what it shares with the others of its pool.
 *
 * @module
 */

import type { VolumeRecord } from "../../metadata/native/mod.ts";
import { type ForwardMap, recordById } from "../core/mod.ts";
import { FirstWrites } from "./first_writes.ts";
import { unmapForWrite } from "./give_back.ts";
import type { PoolBase, VolumeParts } from "./pool_parts.ts";

/** The parts of an open volume. */
export class OpenVolume implements VolumeParts {
  /** What the volume shares with the others of its pool. */
  readonly base: PoolBase;
  /** The place of each of its chunks. */
  readonly map: ForwardMap;
  /** Writes that need a chunk. */
  readonly firstWrites: FirstWrites;

  #record: VolumeRecord;

  /**
   * Opens a volume.
   *
   * @param base What it shares with the others.
   * @param record What the superblock says of it.
   * @param map The place of each of its chunks.
   */
  constructor(base: PoolBase, record: VolumeRecord, map: ForwardMap) {
    this.base = base;
    this.map = map;
    this.#record = record;
    map.readers = base.readers;
    this.firstWrites = new FirstWrites(base, {
      map,
      record,
      unmaps: (write) => unmapForWrite(this, write),
    });
  }

  /** What the superblock says of the volume now, or said last. */
  get record(): VolumeRecord {
    const { records } = this.base.format;
    const record = recordById(records, this.map.volume);
    if (record !== undefined) this.#record = record;
    return this.#record;
  }
}
