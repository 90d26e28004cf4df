/**
 * Versions of chunks that no snapshot sees.
 *
 * @module
 */

import type {
  SnapshotRecord,
  VolumeRecord,
} from "../../metadata/native/mod.ts";
import type { ForwardMap } from "./forward_map.ts";
import type { OldVersion } from "./old_versions.ts";

/**
 * Finds the old versions of a virtual chunk that no snapshot sees.
 *
 * @param record The volume.
 * @param map Its map.
 * @param virtualChunk The chunk.
 * @returns The versions.
 */
export function unseenVersions(
  { snapshots }: Pick<VolumeRecord, "snapshots">,
  map: ForwardMap,
  virtualChunk: number,
): OldVersion[] {
  let newer = map.component(virtualChunk) === undefined
    ? Infinity
    : map.birth(virtualChunk);
  return map.old.of(virtualChunk).filter(({ birth }) => {
    const next = snapshots[firstFrom(snapshots, birth)];
    const isSeen = next !== undefined && next.epoch < newer;
    // After a rollback, old versions may be newer than the current one.
    newer = Math.min(newer, birth);
    return !isSeen;
  });
}

/**
 * Finds the first snapshot that sees what was born in an epoch.
 *
 * @param snapshots The snapshots of a volume, ascending by epoch.
 * @param birth The birth.
 * @returns The index of the first one whose epoch is not below the birth.
 */
export function firstFrom(
  snapshots: readonly Pick<SnapshotRecord, "epoch">[],
  birth: number,
): number {
  let [low, high] = [0, snapshots.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((snapshots[middle]?.epoch ?? 0) < birth) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Takes the old versions out of a map that no snapshot sees.
 *
 * @param record The volume.
 * @param map Its map.
 * @returns The versions.
 */
export function takeUnseen(
  record: Pick<VolumeRecord, "snapshots">,
  map: ForwardMap,
): OldVersion[] {
  const taken: OldVersion[] = [];
  for (const virtualChunk of [...map.old.virtualChunks]) {
    for (const version of unseenVersions(record, map, virtualChunk)) {
      map.old.delete(virtualChunk, version);
      taken.push(version);
    }
  }
  return taken;
}
