/**
 * The volumes and snapshots of a pool in a simulated world, held against its
 * model.
 *
 * @module
 */

import {
  differenceOf,
  type ModelSnapshot,
  type ModelVolume,
  type ModelVolumes,
} from "../helpers/volumes_model.ts";
import { BLOCK, type ModelPool } from "./model_pool.ts";
import type { World } from "./world.ts";
import { checkContent } from "./world_checks.ts";

/**
 * Reads all volumes and snapshots, and notes what the snapshots hold: that
 * never changes.
 *
 * @param world The world; no change of its volumes is in flight.
 * @param volumes What there should be.
 * @returns The content of each block of each volume.
 * @throws {Error} If anything holds what it may not.
 */
export function checkVolumes(
  world: World,
  volumes: ModelVolumes,
): Map<ModelPool, number[]> {
  const { pool, disk } = world;
  const found = new Map<ModelPool, number[]>();
  disk.peek(() => {
    for (const volume of volumes) {
      const device = pool.volume(volume.name);
      if (!volume.disk.mayHave(device.size / BLOCK)) {
        throw new Error(`${volume.name} has ${device.size} bytes`);
      }
      const allowed = (block: number) => volume.disk.allowed(block);
      found.set(volume.disk, checkContent(device, allowed));
      for (const one of volume.snapshots) {
        noteSnapshot(world, volume, one);
      }
    }
  });
  return found;
}

/**
 * Reads a snapshot at once, and notes what it holds.
 *
 * @param world The world.
 * @param volume The volume.
 * @param snapshot The snapshot.
 * @throws {Error} If it holds what it may not.
 */
export function readSnapshot(
  world: World,
  volume: ModelVolume,
  snapshot: ModelSnapshot,
): void {
  world.disk.peek(() => noteSnapshot(world, volume, snapshot));
}

function noteSnapshot(
  { pool }: World,
  { name }: ModelVolume,
  { name: snapshot, contents }: ModelSnapshot,
): void {
  const device = pool.snapshotDisk(name, snapshot);
  const found = checkContent(device, (block) => contents[block]);
  for (const [block, content] of found.entries()) {
    contents[block] = new Set([content]);
  }
}

/**
 * Whether it is known what a snapshot holds.
 *
 * @param snapshot The snapshot.
 * @returns Whether it was read.
 */
export function isKnown({ contents }: ModelSnapshot): boolean {
  return contents.every(({ size }) => size === 1);
}

/**
 * Finds which of the changes that a cut has interrupted were done.
 *
 * @param world The world, whose pool was opened after a cut.
 * @throws {Error} If there is what there cannot be.
 */
export async function findVolumes(world: World): Promise<void> {
  const { views, pool } = world;
  const { outcomes } = views;
  if (views.isPlain) return;
  const seen = await pool.describeVolumes();
  const errors = new Set<string>();
  for (const volumes of outcomes) {
    const difference = differenceOf(volumes, seen, BLOCK);
    if (difference !== "") {
      errors.add(difference);
      continue;
    }
    try {
      checkVolumes(world, volumes);
    } catch (error) {
      errors.add(error instanceof Error ? error.message : String(error));
      continue;
    }
    return views.settle(volumes.map((volume) => {
      const one = seen.find(({ name }) => name === volume.name);
      const parent = one?.parent === null ? undefined : volume.parent;
      return { ...volume, parent, mayBeFlat: false };
    }));
  }
  throw new Error([...errors].join("; or: "));
}
