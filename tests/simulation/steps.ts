/**
 * What can be done to a pool in a simulated world.
 *
 * @module
 */

import { add, cancel, growComponent, remove, resize } from "./commands.ts";
import { Random } from "./random.ts";
import { allDone, turn } from "./turns.ts";
import {
  cloneSnapshot,
  flatten,
  removeSnapshot,
  removeVolume,
  rollBack,
  takeSnapshots,
  takeSnapshotsOf,
} from "./view_changes.ts";
import { changeOther } from "./view_requests.ts";
import type { World } from "./world.ts";

/** Virtual chunks that steps touch: few, so that they meet. */
const TOUCHED = 8;
/** Writes that come while a snapshot is being taken. */
const WRITES_BESIDE = 3;
/** Those of a pool with snapshots. */
const LAYERED = 5;
/** The fewest and the most chunks that a disk is resized to. */
const RESIZED = { fewest: 3, most: 20 } as const;

/** All steps. */
export type Step =
  | "first write"
  | "overwrite"
  | "write across chunks"
  | "discard"
  | "discard chunks"
  | "write zeroes"
  | "zero chunks"
  | "flush"
  | "add"
  | "remove" // of an empty component
  | "evacuate" // and wait how it ends
  | "cancel" // an evacuation that has just begun
  | "grow"
  | "shrink"
  | "grow component" // after its file was enlarged
  | "write"
  | "snapshot"
  | "busy snapshot" // of a volume that is written to meanwhile
  | "remove snapshot"
  | "roll back"
  | "clone"
  | "flatten"
  | "remove volume"
  | "wait"; // while what goes on beside the requests goes on

/** Those of format 1. */
export const FREEBSD_STEPS: readonly Step[] = [
  "first write",
  "overwrite",
  "write across chunks",
  "discard",
  "write zeroes",
  "flush",
  "add",
  "remove",
];

/** Those of format 2. */
export const NATIVE_STEPS: readonly Step[] = [
  ...FREEBSD_STEPS,
  "discard chunks",
  "zero chunks",
  "evacuate",
  "cancel",
  "grow",
  "shrink",
  "wait",
];

/** Those of pools with snapshots and clones. */
export const LAYERED_STEPS: readonly Step[] = [
  "write",
  "flush",
  "discard chunks",
  "zero chunks",
  "snapshot",
  "busy snapshot",
  "remove snapshot",
  "roll back",
  "clone",
  "flatten",
  "remove volume",
  "evacuate",
];

/**
 * Takes a step.
 *
 * @param world Where.
 * @param step What to do.
 * @param random Decides the rest.
 */
export async function takeStep(
  world: World,
  step: Step,
  random: Random,
): Promise<void> {
  const { chunkBlocks } = world;
  const chunk = random.below(Math.min(TOUCHED, chunksOf(world)));
  const within = random.below(chunkBlocks);
  const first = chunk * chunkBlocks + within;
  switch (step) {
    case "first write":
      return await world.write(first, 1, random.chance(10));
    case "overwrite":
      return await world.write(within, 1, random.chance(10));
    case "write across chunks":
      return await writeAcross(world, first, random);
    case "discard":
      return await world.discard(first, fit(world, first, random.below(9) + 1));
    case "discard chunks": {
      const [start, count] = chunksFrom(world, chunk, random);
      return await world.discard(start, count);
    }
    case "write zeroes": {
      const count = fit(world, first, random.below(9) + 1);
      return await world.writeZeroes(first, count, random.chance(20));
    }
    case "zero chunks": {
      const [start, count] = chunksFrom(world, chunk, random);
      return await world.writeZeroes(start, count, random.chance(20));
    }
    case "flush":
      return await world.flush();
    case "add":
      return await meanwhile(world, addFile(world), random);
    case "remove":
      return await meanwhile(world, removeEmpty(world), random);
    case "evacuate":
      return await meanwhile(world, evacuate(world, random), random);
    case "cancel":
      return await meanwhile(world, removeAndCancel(world, random), random);
    case "grow":
      return await meanwhile(world, grow(world, random), random);
    case "grow component":
      return await meanwhile(world, enlarge(world, random), random);
    case "shrink":
      return await meanwhile(world, shrink(world, random), random);
    case "wait":
      return await turns(random.below(8));
    default:
      return await takeLayeredStep(world, step, random);
  }
}

/** Takes a step of a pool with snapshots and clones. */
async function takeLayeredStep(
  world: World,
  step: Step,
  random: Random,
): Promise<void> {
  switch (step) {
    case "write":
      return await writeSomewhere(world, random);
    case "snapshot":
      return await meanwhile(world, takeSnapshots(world, random), random);
    case "busy snapshot":
      return await takeBusy(world, random);
    case "remove snapshot":
      return await meanwhile(world, removeSnapshot(world, random), random);
    case "roll back":
      return await meanwhile(world, rollBack(world, random), random);
    case "clone":
      return await meanwhile(world, cloneSnapshot(world, random), random);
    case "flatten":
      return await meanwhile(world, flatten(world, random), random);
    case "remove volume":
      return await meanwhile(world, removeVolume(world, random), random);
  }
}

/** To a few chunks that are shared, or were, or to another volume. */
async function writeSomewhere(world: World, random: Random): Promise<void> {
  if (random.chance(30)) return await changeOther(world, random);
  const first = random.below(LAYERED * world.chunkBlocks);
  await world.write(first, 1, random.chance(10));
}

/**
 * Takes a snapshot of the first volume, which is written to as soon as its next
 * epoch has begun, before a superblock says so.
 */
async function takeBusy(world: World, random: Random): Promise<void> {
  const [first] = world.views.volumes;
  const map = world.firstVolume?.parts.map;
  if (first === undefined || map === undefined) return;
  const { epoch } = map;
  let isTaken = false;
  const all = [
    takeSnapshotsOf(world, [first]).finally(() => isTaken = true),
  ];
  for (let i = 1; !isTaken; i++) {
    if (map.epoch > epoch && all.length <= WRITES_BESIDE) {
      const block = random.below(TOUCHED * world.chunkBlocks);
      all.push(world.write(block, 1, false));
    }
    // The snapshot goes on by both.
    if (i % TOUCHED === 0) await turn();
    else await Promise.resolve();
  }
  await allDone(all);
}

function chunksOf({ model, chunkBlocks }: World): number {
  return model.blocks / chunkBlocks;
}

/** As many blocks as there are before the end of the disk. */
function fit({ model }: World, first: number, count: number): number {
  return Math.min(count, model.blocks - first);
}

/** Some whole chunks, in blocks: the first, and how many. */
function chunksFrom(
  world: World,
  chunk: number,
  random: Random,
): [first: number, count: number] {
  const { chunkBlocks } = world;
  const first = chunk * chunkBlocks;
  return [first, fit(world, first, (random.below(3) + 1) * chunkBlocks)];
}

async function writeAcross(
  world: World,
  first: number,
  random: Random,
): Promise<void> {
  const count = fit(world, first, world.chunkBlocks + 1);
  await world.write(first, count, random.chance(10));
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

/** Now and then requests come in the middle of a change. */
async function meanwhile(
  world: World,
  change: Promise<void>,
  random: Random,
): Promise<void> {
  const all = [change];
  while (all.length < 4 && random.chance(60)) {
    // Each has its own chance: they come in any order.
    all.push(soon(world, new Random(random.below(2 ** 31))));
  }
  await allDone(all);
}

async function soon(world: World, random: Random): Promise<void> {
  if (random.chance(50)) await turns(random.below(12));
  for (let i = random.below(40); i > 0; i--) await Promise.resolve();
  // It is being rolled back.
  if (world.firstVolume === undefined) return;
  const step = random.pick<Step>([
    "first write",
    "first write",
    "write across chunks",
    "discard",
    "write zeroes",
    "flush",
    ...world.format.name === "native"
      ? ["discard chunks", "zero chunks"] as const
      : [],
  ]);
  await takeStep(world, step, random);
}

async function addFile(world: World): Promise<void> {
  const { components } = world.pool.status();
  const path = world.paths.find((one) =>
    !components.some((member) => member.path === one)
  );
  if (path !== undefined) await add(world, path);
}

async function removeEmpty(world: World): Promise<void> {
  const { pool, format } = world;
  const { components } = pool.status();
  const empty = components.find(({ index, used }) =>
    used === 0 && (index > 0 || format.name === "native")
  );
  // Writes that came before it may have taken the first chunk of it, or it
  // may be the last one that is not on its way out.
  if (empty !== undefined) await remove(world, empty.path);
}

async function evacuate(world: World, random: Random): Promise<void> {
  const { pool, disk } = world;
  const { path } = random.pick(pool.status().components);
  if (!await remove(world, path)) return;
  for (;;) {
    const { evacuation, state } = pool.status();
    if (evacuation === null || state !== "open" || disk.isDown) return;
    if (evacuation.state === "stopped") return;
    // Nothing makes room for it now.
    if (evacuation.state === "waiting") return await turns(random.below(4));
    await turn();
  }
}

async function removeAndCancel(world: World, random: Random): Promise<void> {
  const { path } = random.pick(world.pool.status().components);
  if (!await remove(world, path)) return;
  await turns(random.below(10));
  // It may have left by now.
  await cancel(world, path);
}

async function enlarge(world: World, random: Random): Promise<void> {
  const paths = world.pool.status().components.map(({ path }) => path)
    .filter((path) => path !== world.remote?.path && world.enlarged.may(path));
  if (paths.length > 0) await growComponent(world, random.pick(paths));
}

async function grow(world: World, random: Random): Promise<void> {
  const chunks = chunksOf(world) + 1 + random.below(3);
  if (chunks <= RESIZED.most) await resize(world, chunks);
}

/**
 * To where its last data are, or to somewhere behind them. Now and then right
 * after they were discarded.
 */
async function shrink(world: World, random: Random): Promise<void> {
  const { pool, model, chunkBlocks, format: { chunkSize } } = world;
  const all: Promise<void>[] = [];
  if (random.chance(50)) {
    const first = (RESIZED.fewest + random.below(TOUCHED)) * chunkBlocks;
    all.push(world.discard(first, model.blocks - first));
  }
  let end = 0;
  let last = 0;
  for (const { length, kind } of pool.volume().extents(0, pool.volume().size)) {
    end += length;
    if (kind !== "hole") last = end;
  }
  const fewest = Math.max(RESIZED.fewest, Math.ceil(last / chunkSize));
  const most = chunksOf(world) - 1;
  if (fewest <= most) {
    const more = random.chance(60) ? 0 : random.below(most - fewest + 1);
    all.push(resize(world, fewest + more).then(() => {}));
  }
  await allDone(all);
}
