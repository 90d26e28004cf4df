/**
 * A pool with snapshots and clones, to begin with.
 *
 * @module
 */

import { add } from "./commands.ts";
import { Random } from "./random.ts";
import {
  cloneSnapshot,
  createVolume,
  takeSnapshotsOf,
} from "./view_changes.ts";
import type { World } from "./world.ts";

/**
 * Gives an open pool two snapshots, a clone of the first, another volume and a
 * component more: it has shared chunks, chunks that hide others, and chunks of
 * each volume's own.
 *
 * @param world The world, whose pool has nothing yet.
 */
export async function layer(world: World): Promise<void> {
  const { chunkBlocks, views } = world;
  const write = async (...chunks: readonly number[]) => {
    for (const chunk of chunks) {
      await world.write(chunk * chunkBlocks + chunk, 2, false);
    }
  };
  await add(world, world.paths[2] ?? "");
  await write(0, 1, 2, 3);
  await takeSnapshotsOf(world, views.volumes.slice(0, 1));
  // There is one snapshot only, so nothing is left to chance.
  await cloneSnapshot(world, new Random(1));
  await createVolume(world);
  await write(0, 1);
  await world.discard(2 * chunkBlocks, chunkBlocks);
  await takeSnapshotsOf(world, views.volumes.slice(0, 1));
  await write(0, 4);
  for (const { name } of views.volumes.slice(1)) {
    await world.write(3, 2, false, world.pool.volume(name));
  }
  await world.settle();
}
