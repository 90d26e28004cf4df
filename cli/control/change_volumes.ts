/**
 * Carries out the calls that concern volumes and snapshots, on an open pool.
 *
 * @module
 */

import type { Pool, SnapshotName, Volume } from "../../pool/mod.ts";
import type { FlattenProgress, VolumeCalls } from "./volume_calls.ts";

/** The functions that carry the calls out. */
export type VolumeHandlers = {
  readonly [Call in keyof VolumeCalls]: (
    request: VolumeCalls[Call]["request"],
  ) => Promise<VolumeCalls[Call]["answer"]>;
};

/**
 * Finds a volume.
 *
 * @param pool The open pool.
 * @param name The name of the volume; empty for the first one.
 * @returns The volume.
 * @throws {VirstorError} `not-found`.
 */
export function volumeOf(pool: Pool, name: string): Volume {
  return pool.volume(name === "" ? pool.name : name);
}

/**
 * The name under which users know a volume.
 *
 * @param pool The name of the pool.
 * @param volume The name of the volume; empty for the first one.
 * @param snapshot The name of a snapshot of it; the volume itself by default.
 * @returns `POOL`, `POOL/VOLUME`, and with a snapshot `@SNAPSHOT` behind it.
 */
export function nameOf(pool: string, volume: string, snapshot = ""): string {
  const name = volume === "" || volume === pool ? pool : `${pool}/${volume}`;
  return snapshot === "" ? name : `${name}@${snapshot}`;
}

/**
 * Makes the functions that carry the calls out.
 *
 * @param pool The open pool.
 * @returns The functions. They throw as the pool does.
 */
export function volumeHandlers(pool: Pool): VolumeHandlers {
  const { volumeChanges, snapshotChanges } = pool;
  const { chunkSize } = pool.settings;
  const flattening = new Map<string, FlattenProgress>();
  const named = (volume: string) => volumeOf(pool, volume).name;
  return {
    listVolumes: () => pool.describeVolumes(),
    createVolume: ({ volume, size }) => volumeChanges.create(volume, size),
    removeVolume: async ({ volume }) => ({
      ...await volumeChanges.remove(named(volume)),
      chunkSize,
    }),
    renameVolume: async ({ volume, to }) => {
      await volumeChanges.rename(named(volume), to);
      return null;
    },
    setVolume: async ({ volume, settings }) => {
      await volumeChanges.set(named(volume), settings);
      return null;
    },
    flattenVolume: async ({ volume }) => {
      const name = named(volume);
      try {
        await volumeChanges.flatten(
          name,
          (done, all) => flattening.set(name, { done, all }),
        );
      } finally {
        flattening.delete(name);
      }
      return null;
    },
    flattenProgress: ({ volume }) =>
      Promise.try(() => flattening.get(named(volume)) ?? null),
    cloneSnapshot: async ({ volume, snapshot, to }) => {
      await volumeChanges.clone(named(volume), snapshot, to);
      return null;
    },
    takeSnapshots: async ({ snapshots }) => {
      await snapshotChanges.take(
        snapshots.map(({ volume, snapshot }) => ({
          volume: named(volume),
          snapshot,
        })),
      );
      const shared = snapshots.reduce(
        (sum, { volume }) => sum + volumeOf(pool, volume).mappedChunks,
        0,
      );
      return {
        sharedBytes: shared * chunkSize,
        freeBytes: pool.status().freeChunks * chunkSize,
      };
    },
    removeSnapshots: async ({ snapshots }) => ({
      freedChunks: await removeSnapshots(pool, snapshots),
      chunkSize,
    }),
    rollback: async ({ volume, snapshot, removesNewer }) => {
      await snapshotChanges.rollback(named(volume), snapshot, { removesNewer });
      return null;
    },
    diff: ({ volume, from, to }) =>
      Promise.try(() =>
        pool.diff(named(volume), from, to === "" ? undefined : to)
      ),
  };
}

/** Removes snapshots, one after the other, if there are all of them. */
async function removeSnapshots(
  pool: Pool,
  snapshots: readonly SnapshotName[],
): Promise<number> {
  for (const { volume, snapshot } of snapshots) {
    const { name } = volumeOf(pool, volume);
    pool.snapshotDisk(name, snapshot);
  }
  let freed = 0;
  for (const { volume, snapshot } of snapshots) {
    const { name } = volumeOf(pool, volume);
    freed += (await pool.snapshotChanges.remove(name, snapshot)).freedChunks;
  }
  return freed;
}
