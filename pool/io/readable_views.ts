/**
 * What can be read of volumes and snapshots: what they see, and while a
 * component is missing what they surely see, unless older versions are asked for.
 *
 * @module
 */

import type {
  SnapshotRecord,
  VolumeRecord,
} from "../../metadata/native/mod.ts";
import {
  CertainView,
  type ChunkView,
  newestSnapshot,
  type PoolSettings,
  SnapshotView,
} from "../core/mod.ts";
import type { VolumeParts } from "./pool_parts.ts";

/**
 * What can be read of a volume.
 *
 * @param parts The open volume.
 * @returns The view, which may change while no component is missing.
 */
export function readableOf(
  { map, record, base: { settings } }: VolumeParts,
): { readonly view: ChunkView } {
  if (showsAll(settings)) return map;
  const after = newestSnapshot(record);
  return { view: new CertainView(map, Infinity, map.virtualChunks, after) };
}

/**
 * What can be read of a snapshot.
 *
 * @param parts The open volume.
 * @param snapshot One of its snapshots.
 * @returns The view.
 */
export function readableAt(
  { map, record: { snapshots }, base: { settings } }: VolumeParts,
  { epoch, size }: SnapshotRecord,
): SnapshotView {
  const chunks = size / settings.chunkSize;
  if (showsAll(settings)) return new SnapshotView(map, epoch, chunks);
  const after = epochBefore(snapshots, epoch);
  return new CertainView(map, epoch, chunks, after);
}

function showsAll({ missing, olderVersions }: PoolSettings): boolean {
  return missing.length === 0 || olderVersions === true;
}

/** The epoch of the snapshot before one; -1 if it is the oldest. */
function epochBefore(
  snapshots: VolumeRecord["snapshots"],
  epoch: number,
): number {
  return snapshots.findLast((one) => one.epoch < epoch)?.epoch ?? -1;
}
