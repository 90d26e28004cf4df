/**
 * Carries out the calls that concern volumes and snapshots, on an open pool.
 *
 * @module
 */

import type { Pool, SnapshotName, Volume } from "../../pool/mod.ts";
import type { VolumeCalls } from "../control/mod.ts";

/**
 * The functions that carry the calls out. Each takes a function to call once
 * the change is done, where the answer may come much later.
 */
export type VolumeHandlers = {
  readonly [Call in keyof VolumeCalls]: (
    request: VolumeCalls[Call]["request"],
    onChanged?: () => void,
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
 * Makes the functions that carry the calls out.
 *
 * @param pool The open pool.
 * @param closesNext Whether the pool is closed after a call, so that one which
 *   frees chunks has to wait for them; default false.
 * @returns The functions. They throw as the pool does.
 */
export function volumeHandlers(
  pool: Pool,
  closesNext = false,
): VolumeHandlers {
  const { volumeChanges, snapshotChanges } = pool;
  const { chunkSize } = pool.settings;
  // A pool that has one volume refuses each change with the reason for that.
  const named = (volume: string) =>
    pool.view.hasVolumes || volume === ""
      ? volumeOf(pool, volume).name
      : volume;
  const inPool = ({ volume, snapshot }: SnapshotName): SnapshotName => {
    return { volume: named(volume), snapshot };
  };
  return {
    listVolumes: () => pool.describeVolumes(),
    createVolume: ({ volume, size }) => volumeChanges.create(volume, size),
    removeVolume: async ({ volume, wait }, onChanged) => ({
      freedChunks: await freed(
        (onRemoved) => volumeChanges.remove(named(volume), onRemoved),
        { waits: wait || closesNext, onChanged },
      ),
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
      await volumeChanges.flatten(named(volume));
      return null;
    },
    cloneSnapshot: async ({ volume, snapshot, to }) => {
      await volumeChanges.clone(named(volume), snapshot, to);
      return null;
    },
    takeSnapshots: async ({ snapshots }) => {
      await snapshotChanges.take(snapshots.map(inPool));
      return await spaceOf(pool, snapshots.map(inPool));
    },
    planRemoveSnapshots: ({ snapshots }) =>
      Promise.try(() => snapshotChanges.planRemoval(snapshots.map(inPool))),
    removeSnapshots: async ({ snapshots, wait }, onChanged) => ({
      freedChunks: await freed(
        (onRemoved) =>
          snapshotChanges.removeSome(snapshots.map(inPool), onRemoved),
        { waits: wait || closesNext, onChanged },
      ),
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

/** What volumes share with their newest snapshots, and may take for writes. */
async function spaceOf(
  pool: Pool,
  snapshots: readonly SnapshotName[],
): Promise<VolumeCalls["takeSnapshots"]["answer"]> {
  const { chunkSize } = pool.settings;
  const names = snapshots.map(({ volume }) => volume);
  const volumes = pool.volumes.filter(({ name }) => names.includes(name));
  const isClone = volumes.some(({ parts: { map } }) => map.base !== undefined);
  // A clone refers to chunks of its parent, too, which have to be counted.
  const described = isClone ? await pool.describeVolumes() : [];
  const spaces = volumes.map(({ name, mappedChunks, parts }) => {
    const { limits } = parts.firstWrites;
    return {
      volume: name,
      sharedBytes: described.find((one) => one.name === name)
        ?.referencedBytes ?? mappedChunks * chunkSize,
      freeBytes: limits.freeChunks * chunkSize,
      leftBytes: limits.quotaLeft * chunkSize,
    };
  });
  return {
    sharedBytes: spaces.reduce((sum, one) => sum + one.sharedBytes, 0),
    freeBytes: Math.max(0, ...spaces.map(({ freeBytes }) => freeBytes)),
    short: spaces.filter((one) => one.leftBytes < one.sharedBytes)
      .map(({ freeBytes: _, ...one }) => one),
  };
}

/**
 * Removes something, and waits until its chunks are free, or leaves that to the
 * pool.
 *
 * @returns How many chunks are free now; null if they are being freed.
 */
async function freed(
  remove: (onRemoved: () => void) => Promise<{ freedChunks: number }>,
  { waits, onChanged }: {
    readonly waits: boolean;
    readonly onChanged: (() => void) | undefined;
  },
): Promise<number | null> {
  const removed = Promise.withResolvers<void>();
  const freeing = remove(() => {
    onChanged?.();
    removed.resolve();
  });
  if (waits) return (await freeing).freedChunks;
  await Promise.race([removed.promise, freeing]);
  // From here on an error is one of the pool: its status and the log have it.
  freeing.catch(() => {});
  return null;
}
