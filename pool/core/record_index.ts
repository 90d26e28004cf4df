/**
 * Finding volumes and snapshots in lists of thousands. A list never changes: a
 * change makes a new one.
 *
 * @module
 */

import type {
  SnapshotRecord,
  VolumeRecord,
} from "../../metadata/native/mod.ts";

const VOLUMES = new WeakMap<
  readonly VolumeRecord[],
  ReadonlyMap<number, VolumeRecord>
>();
const SNAPSHOTS = new WeakMap<
  readonly SnapshotRecord[],
  ReadonlyMap<string, SnapshotRecord>
>();
const CLONES = new WeakMap<
  readonly VolumeRecord[],
  ReadonlyMap<number | undefined, readonly VolumeRecord[]>
>();

/**
 * Finds a volume by its number.
 *
 * @param records All volumes.
 * @param id The number.
 * @returns The volume; undefined if there is none.
 */
export function recordById(
  records: readonly VolumeRecord[],
  id: number,
): VolumeRecord | undefined {
  let index = VOLUMES.get(records);
  if (index === undefined) {
    index = new Map(records.map((one) => [one.id, one]));
    VOLUMES.set(records, index);
  }
  return index.get(id);
}

/**
 * Finds a snapshot by its name.
 *
 * @param snapshots All snapshots of a volume.
 * @param name The name.
 * @returns The snapshot; undefined if there is none.
 */
export function snapshotByName(
  snapshots: readonly SnapshotRecord[],
  name: string,
): SnapshotRecord | undefined {
  let index = SNAPSHOTS.get(snapshots);
  if (index === undefined) {
    index = new Map(snapshots.map((one) => [one.name, one]));
    SNAPSHOTS.set(snapshots, index);
  }
  return index.get(name);
}

/**
 * Finds the clones of the snapshots of a volume.
 *
 * @param records All volumes.
 * @param id The number of the volume.
 * @returns The clones.
 */
export function clonesOfVolume(
  records: readonly VolumeRecord[],
  id: number,
): readonly VolumeRecord[] {
  let index = CLONES.get(records);
  if (index === undefined) {
    index = Map.groupBy(records, ({ parent }) => parent?.volume);
    CLONES.set(records, index);
  }
  return index.get(id) ?? [];
}
