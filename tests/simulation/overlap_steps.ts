/**
 * What overlaps: requests, commands, checks and the end of a pool, each of
 * which may begin while others are in flight.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { FormatName, Volume } from "../../pool/mod.ts";
import { add, cancel, remove, resize } from "./commands.ts";
import type { Lane } from "./lane.ts";
import { BLOCK, contentOf } from "./model_pool.ts";
import type { Random } from "./random.ts";
import { turn } from "./turns.ts";
import {
  cloneSnapshot,
  createVolume,
  flatten,
  removeSnapshot,
  removeVolume,
  rollBack,
  takeSnapshots,
} from "./view_changes.ts";
import { changeOther, readOneSnapshot } from "./view_requests.ts";
import type { World } from "./world.ts";

/** The fewest and the most chunks that a disk is resized to. */
const RESIZED = { fewest: 8, most: 20 } as const;

/** Where steps are taken. */
export interface Stage {
  /** The pool and its model. */
  readonly world: World;
  /** A client on a thread of its own, if there is one. */
  readonly lane: Lane<Volume> | undefined;
  /** How fast an evacuation moves chunks, bytes a second; 0 for no limit. */
  readonly bytesPerSecond: number;
  /** Commands that were begun, and have ended, but for cancels. */
  readonly commands: { begun: number; ended: number };
  /** Writes that wait for space, and that their clients may give up. */
  readonly givenUp: AbortController[];
}

type Act = (stage: Stage, random: Random) => Promise<unknown>;

/** What is written to: chunks with data, or chunks without. */
type Where = "mapped" | "unmapped";

const ACTS = {
  "add": ({ world }, random) => add(world, fileToAdd(world, random)),
  "remove": ({ world, bytesPerSecond }, random) =>
    remove(world, memberToRemove(world, random), bytesPerSecond),
  "evacuate": evacuate,
  "cancel": keep,
  "grow": ({ world }, random) => {
    const chunks = chunksOf(world) + 1 + random.below(3);
    return resize(world, Math.min(chunks, RESIZED.most));
  },
  "shrink": ({ world }, random) => {
    const { fewest } = RESIZED;
    const more = random.below(Math.max(1, chunksOf(world) - fewest));
    return resize(world, fewest + more);
  },
  "discard": ({ world }, random) => {
    const [first, count] = wholeDisk(world, random);
    return world.discard(first, count);
  },
  "zero": ({ world }, random) => {
    const [first, count] = wholeDisk(world, random);
    return world.writeZeroes(first, count, false);
  },
  "zero in place": ({ world }, random) => {
    const first = blockIn(world, random, "mapped");
    const count = fit(world, first, world.chunkBlocks + 2);
    return world.writeZeroes(first, count, true);
  },
  "first write": ({ world }, random) =>
    world.write(blockIn(world, random, "unmapped"), 1, random.chance(20)),
  "overwrite": ({ world }, random) =>
    world.write(blockIn(world, random, "mapped"), 1, random.chance(20)),
  "write across chunks": ({ world, givenUp }, random) => {
    const where = random.pick<Where>(["mapped", "unmapped"]);
    const first = blockIn(world, random, where);
    const count = fit(world, first, world.chunkBlocks + 1);
    const abort = new AbortController();
    givenUp.push(abort);
    const { signal } = abort;
    const volume = world.pool.volume();
    return world.write(first, count, false, volume, (bytes, offset) => {
      return volume.write(bytes, offset, { signal });
    });
  },
  "give up": ({ givenUp }) => {
    givenUp.shift()?.abort();
    return Promise.resolve();
  },
  "flush": ({ world }) => world.flush(),
  "read": ({ world }, random) => {
    const first = blockIn(world, random, "mapped");
    const count = fit(world, first, world.chunkBlocks + 1);
    const volume = world.pool.volume();
    return read(
      world,
      volume,
      [first, count],
      (target, at) => volume.read(target, at),
    );
  },
  "check": check,
  "close": ({ world }) => world.close(),
  "close volume": ({ world }) => world.closeVolume(),
  "lane first write": (stage, random) =>
    laneWrite(stage, laneBlock(stage, random), 1, random),
  "lane overwrite": (stage, random) =>
    laneWrite(stage, blockIn(stage.world, random, "mapped"), 1, random),
  "lane write across chunks": (stage, random) => {
    const first = laneBlock(stage, random);
    const { chunkBlocks } = stage.world;
    const end = laneOf(stage).size / BLOCK;
    const count = Math.min(chunkBlocks + 1, end - first);
    return laneWrite(stage, first, count, random);
  },
  "lane flush": (stage, random) =>
    stage.world.flush(
      () => laneOf(stage).flush(random),
      laneOf(stage).volume,
    ),
  "lane read": (stage, random) => {
    const { world } = stage;
    const lane = laneOf(stage);
    const first = blockIn(world, random, "mapped");
    return read(
      world,
      lane.volume,
      [first, 1],
      (target, at) => lane.read(target, at, random),
    );
  },
  "snapshot": ({ world }, random) => takeSnapshots(world, random),
  "remove snapshot": ({ world }, random) => removeSnapshot(world, random),
  "roll back": ({ world }, random) => rollBack(world, random),
  "clone": ({ world }, random) => cloneSnapshot(world, random),
  "flatten": ({ world }, random) => flatten(world, random),
  "create volume": ({ world }) => createVolume(world),
  "remove volume": ({ world }, random) => removeVolume(world, random),
  "change other volume": ({ world }, random) => changeOther(world, random),
  "read snapshot": ({ world }, random) => readOneSnapshot(world, random),
} satisfies Record<string, Act>;

/** All that may overlap. */
export type OverlapStep = keyof typeof ACTS;

/** Changes of volumes and snapshots, and requests to others than the first. */
export const VOLUME_STEPS: readonly OverlapStep[] = [
  "snapshot",
  "remove snapshot",
  "roll back",
  "clone",
  "flatten",
  "create volume",
  "remove volume",
  "change other volume",
  "read snapshot",
];

/** What only pools of the native format can do. */
const NATIVE_ONLY: readonly OverlapStep[] = [
  ...VOLUME_STEPS,
  "evacuate",
  "cancel",
  "grow",
  "shrink",
];

/** What goes on while the first volume is rolled back. */
const NEEDS_NO_VOLUME: readonly OverlapStep[] = [
  ...VOLUME_STEPS,
  "add",
  "remove",
  "evacuate",
  "cancel",
  "grow",
  "shrink",
  "give up",
  "check",
  "close",
];

/**
 * What may overlap in pools of a format.
 *
 * @param format The format.
 * @returns All steps.
 */
export function overlapSteps(format: FormatName): OverlapStep[] {
  const all = Object.keys(ACTS) as OverlapStep[];
  return format === "native"
    ? all
    : all.filter((step) => !NATIVE_ONLY.includes(step));
}

/**
 * Takes a step.
 *
 * @param stage Where.
 * @param step What to do.
 * @param random Decides the rest.
 */
export async function takeOverlapStep(
  stage: Stage,
  step: OverlapStep,
  random: Random,
): Promise<void> {
  const act: Act = ACTS[step];
  if (
    stage.world.firstVolume === undefined && !NEEDS_NO_VOLUME.includes(step)
  ) {
    // It is being rolled back: whatever is asked of it is refused.
    try {
      stage.world.pool.volume();
    } catch (error) {
      if (error instanceof VirstorError && error.code === "busy") return;
      throw error;
    }
  }
  await act(stage, random);
}

/** Removes a component, and follows its evacuation to the end. */
async function evacuate(
  { world, bytesPerSecond }: Stage,
  random: Random,
): Promise<void> {
  const { pool } = world;
  const path = memberToRemove(world, random);
  if (!await remove(world, path, bytesPerSecond)) return;
  for (;;) {
    const { components, evacuation, state } = pool.status();
    const own = components.find((one) => one.path === path);
    if (own?.evacuating !== true || state !== "open") return;
    // A client may wait for space, or for its disk: nothing ends by itself.
    if (evacuation === null || evacuation.state !== "moving") return;
    await turn();
  }
}

/** Ends an evacuation; it must not be too late for that in between. */
async function keep(stage: Stage, random: Random): Promise<void> {
  const { world, commands } = stage;
  const { pool, disk } = world;
  const path = memberToKeep(world, random);
  const { begun, ended } = commands;
  const { components } = pool.status();
  const leaving = components.filter(({ evacuating }) => evacuating);
  // A change that removes another one may find that this one is empty, too.
  const isInTime = begun === ended && leaving.length === 1 &&
    leaving.every((one) => one.path === path && one.used > 0);
  const isKept = await cancel(world, path);
  const isDisturbed = commands.begun !== begun || disk.isFaulty ||
    pool.status().state !== "open";
  if (isKept || !isInTime || isDisturbed) return;
  if (pool.status().components.some((one) => one.path === path)) return;
  throw new Error(`"${path}" has left although it was to be kept in time`);
}

async function check({ world }: Stage): Promise<void> {
  const { pool, disk } = world;
  let findings: unknown[];
  try {
    findings = await pool.check();
  } catch (error) {
    if (world.isRefusal(error)) return;
    throw error;
  }
  if (findings.length === 0 || disk.isFaulty || disk.isDown) return;
  throw new Error(JSON.stringify(findings));
}

/** Reads blocks, and holds them against what they may have held meanwhile. */
async function read(
  world: World,
  volume: Volume,
  [first, count]: readonly [first: number, count: number],
  act: (target: Uint8Array, offset: number) => void | Promise<void>,
): Promise<void> {
  if (count <= 0) return;
  const model = world.views.modelOf(volume);
  const bytes = new Uint8Array(count * BLOCK);
  const request = model.beginRead(first, count);
  const isClosed = world.isClosed(volume);
  try {
    await act(bytes, first * BLOCK);
    world.assertAnswered(isClosed);
  } catch (error) {
    if (world.isRefusal(error, volume, first + count)) return;
    throw error;
  } finally {
    model.endRead(request);
  }
  // What a smaller disk has lost reads as zeroes, or not at all.
  if ((first + count) * BLOCK > volume.size) return;
  for (const [i, allowed] of request.contents.entries()) {
    const block = bytes.subarray(i * BLOCK, (i + 1) * BLOCK);
    const content = contentOf(first + i, block);
    if (allowed.has(content)) continue;
    throw new Error(
      `Block ${first + i} was read as ${content}, it may have held ` +
        `${[...allowed]}`,
    );
  }
}

async function laneWrite(
  stage: Stage,
  first: number,
  count: number,
  random: Random,
): Promise<void> {
  const { world } = stage;
  const lane = laneOf(stage);
  await world.write(
    first,
    count,
    false,
    lane.volume,
    (bytes, offset) => lane.write(bytes, offset, random),
  );
}

/** A client on a lane knows the size that the disk had at first. */
function laneBlock(stage: Stage, random: Random): number {
  return random.below(laneOf(stage).size / BLOCK);
}

function laneOf({ lane }: Stage): Lane<Volume> {
  if (lane === undefined) throw new Error("There is no lane");
  return lane;
}

function chunksOf({ model, chunkBlocks }: World): number {
  return model.blocks / chunkBlocks;
}

/** As many blocks as there are before the end of the disk. */
function fit({ pool }: World, first: number, count: number): number {
  return Math.min(count, pool.volume().size / BLOCK - first);
}

/** All of it, or all but some blocks at its ends. */
function wholeDisk(
  { pool, chunkBlocks }: World,
  random: Random,
): [first: number, count: number] {
  const first = random.chance(50) ? 0 : random.below(chunkBlocks);
  const end = pool.volume().size / BLOCK -
    (random.chance(50) ? 0 : random.below(chunkBlocks));
  return [first, end - first];
}

/** Any block of a chunk that is mapped or unmapped; of any, if none is. */
function blockIn(
  { pool, chunkBlocks }: World,
  random: Random,
  where: Where,
): number {
  const chunkSize = chunkBlocks * BLOCK;
  const chunks = Array.from(
    { length: pool.volume().size / chunkSize },
    (_, i) => i,
  );
  const fitting = chunks.filter((chunk) =>
    (pool.volume().leadingHole(chunk * chunkSize, chunkSize) === 0) ===
      (where === "mapped")
  );
  const chunk = random.pick(fitting.length > 0 ? fitting : chunks);
  return chunk * chunkBlocks + random.below(chunkBlocks);
}

/** A file that is no member, or any: then the command is refused. */
function fileToAdd({ pool, paths }: World, random: Random): string {
  const { components } = pool.status();
  const free = paths.filter((path) =>
    !components.some((one) => one.path === path)
  );
  return random.pick(free.length > 0 ? free : paths);
}

/** The first one has data; format 1 cannot remove it. */
function memberToRemove({ pool, format }: World, random: Random): string {
  const { components } = pool.status();
  const [first] = components;
  const last = components.at(-1);
  const isDense = format.name === "freebsd";
  const usual = isDense ? last : first;
  if (usual === undefined) throw new Error("A pool has components");
  return random.chance(70) ? usual.path : random.pick(components).path;
}

/** One that is on its way out, if there is one. */
function memberToKeep({ pool }: World, random: Random): string {
  const { components } = pool.status();
  const leaving = components.filter(({ evacuating }) => evacuating);
  return random.pick(leaving.length > 0 ? leaving : components).path;
}
