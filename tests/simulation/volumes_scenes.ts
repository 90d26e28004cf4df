/**
 * Scenes in the life of a pool with volumes and snapshots: steps that random
 * ones seldom bring together.
 *
 * @module
 */

import type { ModelVolume } from "../helpers/volumes_model.ts";
import { simulatedTime } from "./simulated_time.ts";
import { turn } from "./turns.ts";
import {
  add,
  CHUNKS_MAX,
  create,
  evacuate,
  growBy,
  now,
  removeSnapshotOf,
  rollBackTo,
  SNAPSHOTS_MAX,
  takeOf,
} from "./volumes_commands.ts";
import { CHUNK_BLOCKS } from "./volumes_files.ts";
import type { VolumesLife } from "./volumes_life.ts";
import { changeBlocks, flushAll } from "./volumes_requests.ts";

/**
 * Plans a cut in the middle of what comes next.
 *
 * @param life The life.
 */
export function planCut(life: VolumesLife): void {
  const { disk, random } = life;
  disk.crashAt(disk.changes + random.below(30));
}

async function gaps({ random }: VolumesLife): Promise<void> {
  if (random.chance(30)) await turn();
  for (let i = random.below(30); i > 0; i--) await Promise.resolve();
}

/** Writes to the first chunks, a part of each or all. */
function writeFirst(life: VolumesLife, volume: ModelVolume, chunks = 4): void {
  const all = Math.min(chunks, volume.disk.blocks / CHUNK_BLOCKS);
  for (let chunk = 0; chunk < all; chunk++) {
    const within = life.random.below(CHUNK_BLOCKS);
    const first = chunk * CHUNK_BLOCKS + within;
    changeBlocks(life, volume, { first, count: 1 }, "write");
  }
}

/**
 * Writes while the very first snapshot is taken, and cuts.
 *
 * @param life The life.
 */
export async function firstSnapshot(life: VolumesLife): Promise<void> {
  const [volume] = life.volumes;
  if (volume === undefined) return;
  writeFirst(life, volume);
  await life.drain();
  if (life.random.chance(50)) flushAll(life);
  await life.drain();
  await takeOf(life, [volume]);
  const { disk, random } = life;
  disk.crashAt(disk.changes + 2 + random.below(14));
  for (let i = 0; i < 12; i++) {
    for (let n = random.below(6); n > 0; n--) await Promise.resolve();
    const first = (i % 4) * CHUNK_BLOCKS + i;
    changeBlocks(life, volume, { first, count: 1 }, "write");
  }
  await life.changed();
  await life.cut();
}

/**
 * Rolls back to a smaller size, and cuts.
 *
 * @param life The life.
 */
export async function shrinkBack(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  if (volume.snapshots.length < SNAPSHOTS_MAX) await takeOf(life, [volume]);
  await life.changed();
  if (life.disk.isDown) return;
  await growBy(life, now(life, volume), 1);
  if (life.disk.isDown) return;
  const count = 2 * CHUNK_BLOCKS;
  const first = Math.max(0, volume.disk.blocks - count);
  const range = { first, count: volume.disk.blocks - first };
  changeBlocks(life, volume, range, "write");
  await life.drain();
  const { disk, random } = life;
  if (disk.isDown) return;
  disk.crashAt(disk.changes + random.below(10));
  const newest = now(life, volume).snapshots.at(-1);
  if (newest !== undefined) {
    await rollBackTo(life, now(life, volume), newest);
  }
  await life.changed();
  await life.cut();
}

/**
 * Zeroes a volume without snapshots in many turns while one is taken.
 *
 * @param life The life.
 */
export async function zeroBeside(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const flat = life.volumes.filter(({ parent, snapshots }) =>
    parent === undefined && snapshots.length === 0
  );
  if (flat.length === 0) return create(life);
  const volume = life.random.pick(flat);
  writeFirst(life, volume, CHUNKS_MAX);
  await life.drain();
  if (life.disk.isDown) return;
  const time = simulatedTime();
  const { lookMs } = time;
  time.lookMs = 3;
  const how = life.random.pick(["zero", "discard", "allocate"] as const);
  changeBlocks(life, volume, { first: 1, count: volume.disk.blocks - 2 }, how);
  await takeOf(life, [volume]);
  await life.changed();
  await life.drain();
  time.lookMs = lookMs;
}

/**
 * Removes a snapshot as soon as something was written, and cuts.
 *
 * @param life The life.
 */
export async function removeBeside(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  writeFirst(life, volume);
  if (volume.snapshots.length < SNAPSHOTS_MAX) await takeOf(life, [volume]);
  await life.changed();
  await life.drain();
  if (life.disk.isDown) return;
  writeFirst(life, volume);
  await life.drain();
  if (life.disk.isDown) return;
  const { disk, random } = life;
  disk.crashAt(disk.changes + random.below(12));
  const newest = now(life, volume).snapshots.at(-1);
  if (newest === undefined) return;
  await removeSnapshotOf(life, now(life, volume), newest);
  await life.changed();
  await life.cut();
}

/**
 * Evacuates a component while chunks on it are copied.
 *
 * @param life The life.
 */
export async function moveBeside(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  await evacuate(life);
  if (volume.snapshots.length < SNAPSHOTS_MAX) await takeOf(life, [volume]);
  for (let i = life.random.below(4); i >= 0; i--) await gaps(life);
  writeFirst(life, volume, CHUNKS_MAX);
}

/**
 * Writes and zeroes meet in chunks that there may be no room for.
 *
 * @param life The life.
 */
export async function crowd(life: VolumesLife): Promise<void> {
  await life.changed();
  if (life.disk.isDown) return;
  const volume = life.random.pick(life.volumes);
  if (volume.snapshots.length < SNAPSHOTS_MAX) await takeOf(life, [volume]);
  await life.changed();
  if (life.disk.isDown) return;
  for (let i = 0; i < 6; i++) {
    const chunk = life.random.below(3) * CHUNK_BLOCKS;
    const count = Math.min(CHUNK_BLOCKS, volume.disk.blocks - chunk);
    if (count <= 0) continue;
    const part = { first: chunk + life.random.below(count), count: 1 };
    if (life.random.chance(50)) changeBlocks(life, volume, part, "write");
    else changeBlocks(life, volume, { first: chunk, count }, "zero");
  }
  await gaps(life);
  if (life.random.chance(50)) await add(life);
}
