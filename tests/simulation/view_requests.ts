/**
 * Requests to volumes other than the first one, and to snapshots, in a simulated
 * world.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { laneTo } from "./lane.ts";
import { BLOCK, contentOf } from "./model_pool.ts";
import type { Random } from "./random.ts";
import { pickSnapshot, takeSnapshotsOf } from "./view_changes.ts";
import type { World } from "./world.ts";

/** Chunks that are written to after a cut: steps touch as many. */
const OVERWRITTEN = 8;

/**
 * Writes to a volume that is not the first one, or discards or zeroes all of it.
 *
 * @param world The world.
 * @param random Decides the rest.
 */
export async function changeOther(world: World, random: Random): Promise<void> {
  const { pool, views: { volumes: [, ...more] } } = world;
  const devices = more.flatMap(({ name }) =>
    pool.volumes.filter((one) => one.name === name)
  );
  if (devices.length === 0) return;
  const device = random.pick(devices);
  const blocks = device.size / BLOCK;
  switch (random.below(5)) {
    case 0:
      return await world.discard(0, blocks, device);
    case 1:
      return await world.writeZeroes(0, blocks, false, device);
    default: {
      const few = Math.min(blocks, 5 * world.chunkBlocks);
      const first = random.below(few);
      if (random.chance(50)) {
        return await world.write(first, 1, random.chance(20), device);
      }
      const lane = laneTo(device, world.disk);
      return await world.write(
        ...[first, 1, false, device] as const,
        (source, offset) => lane.write(source, offset, random),
      );
    }
  }
}

/**
 * Takes a snapshot of each volume, and writes to chunks that it shares. A pool
 * that has forgotten in which epoch it is writes them in place.
 *
 * @param world The world; nothing is in flight.
 */
export async function takeAndOverwrite(world: World): Promise<void> {
  await takeSnapshotsOf(world, world.views.volumes);
  for (let chunk = 0; chunk < OVERWRITTEN; chunk++) {
    await world.write(chunk * world.chunkBlocks, 1, false);
  }
}

/**
 * Reads all of a snapshot, which may be removed meanwhile.
 *
 * @param world The world.
 * @param random Decides which one.
 */
export async function readOneSnapshot(
  world: World,
  random: Random,
): Promise<void> {
  const picked = pickSnapshot(world, random);
  if (picked === undefined) return;
  const { pool, views } = world;
  const { volume, snapshot: { name, contents } } = picked;
  const known = [...contents];
  const bytes = new Uint8Array(known.length * BLOCK);
  try {
    const device = pool.snapshotDisk(volume.name, name);
    if (random.chance(30)) await device.read(bytes, 0);
    else await laneTo(device, world.disk).readAll(bytes, random);
  } catch (error) {
    const isGone = error instanceof VirstorError &&
      ["not-found", "shutdown"].includes(error.code);
    const isThere = views.volumes.some(({ id, snapshots }) =>
      id === volume.id && snapshots.some((one) => one.name === name)
    );
    const mayBeGone = views.isChanging || world.refusals.length > 0 || !isThere;
    if (isGone && mayBeGone) return;
    throw error;
  }
  for (const [block, allowed] of known.entries()) {
    const its = bytes.subarray(block * BLOCK, (block + 1) * BLOCK);
    const content = contentOf(block, its);
    if (allowed.has(content)) continue;
    throw new Error(
      `Block ${block} of ${volume.name}@${name} was read as ${content}, it ` +
        `holds ${[...allowed]}`,
    );
  }
}
