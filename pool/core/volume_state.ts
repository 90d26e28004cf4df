/**
 * A volume of an open pool: what the superblock says of it, and its map.
 *
 * @module
 */

import type { VolumeRecord } from "../../metadata/native/mod.ts";
import type { ForwardMap } from "./forward_map.ts";
import { SnapshotView } from "./views.ts";

/** A volume as the pool knows it. */
export interface VolumeState {
  /** What the superblock says. */
  readonly record: VolumeRecord;
  /** The place of each of its chunks. */
  readonly map: ForwardMap;
}

/**
 * Makes the record of the only volume of a pool.
 *
 * @param name The pool's name.
 * @param size Bytes of the volume.
 * @returns The record.
 */
export function firstVolume(name: string, size: number): VolumeRecord {
  return newVolume({ id: 0, name, size, created: 0 });
}

/**
 * Makes the record of a new volume.
 *
 * @param volume What is known of it.
 * @returns The record, without snapshots and limits.
 */
export function newVolume(
  volume:
    & Pick<VolumeRecord, "id" | "name" | "size" | "created">
    & Partial<VolumeRecord>,
): VolumeRecord {
  return {
    epoch: 0,
    parent: undefined,
    quota: 0,
    reserve: 0,
    isReadOnly: false,
    onFull: "",
    snapshots: [],
    dead: [],
    ...volume,
  };
}

/**
 * Whether a superblock without a list of volumes implies a volume.
 *
 * @param record The first volume of a pool, the only one.
 * @returns Whether nothing of it is to be listed.
 */
export function isPlainVolume(record: VolumeRecord): boolean {
  return record.epoch === 0 && record.snapshots.length === 0 &&
    record.dead.length === 0 && record.quota === 0 && record.reserve === 0 &&
    !record.isReadOnly && record.onFull === "";
}

/**
 * The epoch of the newest snapshot of a volume.
 *
 * @param record The volume.
 * @returns The epoch; -1 if it has no snapshot.
 */
export function newestSnapshot({ snapshots }: VolumeRecord): number {
  return snapshots.at(-1)?.epoch ?? -1;
}

/**
 * Gives clones their parents, and tells all maps what is shared.
 *
 * @param volumes All volumes of a pool.
 * @param chunkSize Bytes of a chunk.
 */
export function connectVolumes(
  volumes: readonly VolumeState[],
  chunkSize: number,
): void {
  const byNumber = new Map(volumes.map((one) => [one.map.volume, one]));
  for (const { record, map } of volumes) {
    map.share(newestSnapshot(record));
    const { parent } = record;
    if (parent === undefined) continue;
    const its = byNumber.get(parent.volume);
    const snapshot = its?.record.snapshots.find(({ epoch }) =>
      epoch === parent.epoch
    );
    if (its === undefined || snapshot === undefined) continue;
    const chunks = snapshot.size / chunkSize;
    map.setBase(new SnapshotView(its.map, parent.epoch, chunks));
  }
}
