/**
 * Every pair of steps, the second begun at every moment of the first.
 *
 * A moment is a step of the microtask queue, in a turn of the event loop or
 * after an operation of the disk: what the first step awaits is done at one of
 * them.
 *
 * @module
 */

import { Overlap, type Scene } from "./overlap.ts";
import {
  type OverlapStep,
  overlapSteps,
  VOLUME_STEPS,
} from "./overlap_steps.ts";
import { Random } from "./random.ts";
import type { SimulatedDisk, Survivors } from "./simulated_disk.ts";
import { turn } from "./turns.ts";
import type { Watch } from "./watch.ts";
import type { World, WorldOptions } from "./world.ts";

/** Steps of the microtask queue after which nothing is to be expected. */
const QUIET = 8;
/** After an operation, so many steps of the microtask queue are moments. */
const HOPS_MAX = 12;
/** A first step that does not end has so many turns at most. */
const TURNS_MAX = 400;
const FATES: readonly Survivors[] = ["all", "none", "some"];

/** When a step begins. */
export interface Moment {
  /** What is counted, from the begin of the first step. */
  readonly after: "turn" | "operation";
  /** Which turn of the event loop, or operation of the disk. */
  readonly number: number;
  /** The step of the microtask queue after that. */
  readonly hop: number;
}

/** Which pair. */
export interface PairOptions extends WorldOptions {
  /** What begins first. */
  readonly first: OverlapStep;
  /** What begins while the first is in flight. */
  readonly second: OverlapStep;
  /** Decides everything else. */
  readonly seed: number;
}

/**
 * All pairs.
 *
 * @param format The format.
 * @returns The first and the second of each.
 */
export function allPairs(
  format: WorldOptions["format"],
): [OverlapStep, OverlapStep][] {
  const steps = overlapSteps(format);
  return steps.flatMap((first) =>
    steps.map((second): [OverlapStep, OverlapStep] => [first, second])
  );
}

/**
 * Finds the moments of the first step of a pair.
 *
 * @param options The pair.
 * @param watch Faults that no caller receives.
 * @returns All moments at which anything may be different.
 */
export async function momentsOf(
  options: PairOptions,
  watch: Watch,
): Promise<Moment[]> {
  const overlap = await create(options, watch);
  const moments: Moment[] = [];
  noteOperations(overlap.stage.world.disk, moments);
  overlap.begin(options.first, new Random(options.seed));
  let quietTurns = 0;
  for (let t = 0; t < TURNS_MAX && overlap.inFlight.size > 0; t++) {
    const last = await hops(overlap, Infinity);
    quietTurns = last < 0 ? quietTurns + 1 : 0;
    // Of turns in which nothing happens, one is as good as another.
    if (quietTurns < 2) {
      for (let hop = 0; hop <= last + QUIET / 2; hop++) {
        moments.push({ after: "turn", number: t, hop });
      }
    }
    if (quietTurns > QUIET) break;
    await turn();
  }
  overlap.stage.world.disk.onOperation = undefined;
  await overlap.abandon();
  return moments;
}

/**
 * Runs a pair.
 *
 * @param options The pair.
 * @param moment When the second begins.
 * @param watch Faults that no caller receives.
 * @throws {Error} If a promise was broken, saying how to run it again.
 */
export async function runPair(
  options: PairOptions,
  moment: Moment,
  watch: Watch,
): Promise<void> {
  const { first, second, seed, format, punches, isRemote } = options;
  try {
    const overlap = await create(options, watch);
    const random = new Random(seed * 1000 + moment.number * 40 + moment.hop);
    const beginSecond = () => void overlap.begin(second, random);
    if (moment.after === "turn") {
      overlap.begin(first, new Random(seed));
      for (let t = 0; t < moment.number; t++) {
        await hops(overlap, Infinity);
        await turn();
      }
      await hops(overlap, moment.hop);
      beginSecond();
    } else {
      const reached = untilOperation(overlap.stage.world.disk, moment);
      overlap.begin(first, new Random(seed));
      await beginAt(overlap, reached, beginSecond);
    }
    const cut = cutSometime(overlap.stage.world, random);
    await overlap.finish(random);
    await cut()?.restart(random.pick(FATES), random);
    overlap.check();
  } catch (error) {
    throw new Error(
      `"${second}" at ${moment.after} ${moment.number}, step ${moment.hop} ` +
        `of "${first}" ` +
        `(${punches ? "with" : "without"} holes): ${error} (again with: deno ` +
        `task simulate --format ${format} --overlap "${first},${second}" ` +
        `--seed ${seed}${isRemote === true ? " --remote" : ""})`,
      { cause: error },
    );
  }
}

/**
 * Runs a pair at every moment, or at some of them.
 *
 * @param options The pair.
 * @param most At so many moments at most, chosen by chance.
 * @param watch Faults that no caller receives.
 * @returns How many runs there were.
 * @throws {Error} If a promise was broken, saying how to run it again.
 */
export async function runMoments(
  options: PairOptions,
  most: number,
  watch: Watch,
): Promise<number> {
  const moments = await momentsOf(options, watch);
  const random = new Random(options.seed + 77);
  while (moments.length > most) {
    moments.splice(random.below(moments.length), 1);
  }
  for (const moment of moments) await runPair(options, moment, watch);
  return moments.length;
}

/**
 * A pair in a world that follows from the seed.
 *
 * @param options The pair, and where the files are.
 * @returns The same, and whether holes can be punched.
 */
export function pairFrom(options: Omit<PairOptions, "punches">): PairOptions {
  return { ...options, punches: options.seed % 3 !== 0 };
}

function create(options: PairOptions, watch: Watch): Promise<Overlap> {
  return Overlap.create(options, sceneOf(options), watch);
}

/** Finds the moments after each operation, up to the next one. */
function noteOperations(disk: SimulatedDisk, moments: Moment[]): void {
  let number = 0;
  disk.onOperation = () => {
    const own = ++number;
    const step = (hop: number) => {
      // Of operations without a step in between, the last one counts.
      if (number !== own || hop > HOPS_MAX) return;
      moments.push({ after: "operation", number: own, hop });
      queueMicrotask(() => step(hop + 1));
    };
    queueMicrotask(() => step(0));
  };
}

/** The moment after an operation. */
function untilOperation(disk: SimulatedDisk, moment: Moment): Promise<void> {
  return new Promise((resolve) => {
    let number = 0;
    disk.onOperation = () => {
      if (++number !== moment.number) return;
      const step = (hop: number) => {
        if (hop === 0) resolve();
        else queueMicrotask(() => step(hop - 1));
      };
      queueMicrotask(() => step(moment.hop));
    };
  });
}

/** Begins the second step at a moment, or when the first one goes on no more. */
async function beginAt(
  overlap: Overlap,
  reached: Promise<void>,
  beginSecond: () => void,
): Promise<void> {
  let isBegun = false;
  const begun = () => {
    if (isBegun) return;
    isBegun = true;
    beginSecond();
  };
  void reached.then(begun);
  let quiet = 0;
  while (!isBegun && quiet <= QUIET && overlap.inFlight.size > 0) {
    const before = overlap.activity;
    await turn();
    quiet = overlap.activity === before ? quiet + 1 : 0;
  }
  overlap.stage.world.disk.onOperation = undefined;
  begun();
}

/**
 * Lets the microtask queue run.
 *
 * @param most So many steps at most.
 * @returns The last one at which anything happened; -1 if nothing did.
 */
async function hops(overlap: Overlap, most: number): Promise<number> {
  let last = -1;
  for (let hop = 0; hop < most && hop - last <= QUIET; hop++) {
    const before = overlap.activity;
    await Promise.resolve();
    if (overlap.activity !== before) last = hop;
  }
  return last;
}

function sceneOf({ first, second, seed, format }: PairOptions): Scene {
  const random = new Random(seed);
  const pair = [first, second];
  const isCancelled = pair.includes("cancel");
  return {
    leaving: format === "freebsd" || !isCancelled
      ? 0
      : random.chance(50)
      ? 1
      : 2,
    isFull: pair.includes("write across chunks") && random.chance(50),
    isSlow: random.chance(60),
    hasColdReads: random.chance(50),
    hasLane: pair.some((step) => step.startsWith("lane")),
    isLayered: format === "native" && isLayered(pair, seed),
  };
}

/** Whether a pair runs in a pool with snapshots. */
function isLayered(pair: readonly OverlapStep[], seed: number): boolean {
  const isOfVolumes = pair.some((step) => VOLUME_STEPS.includes(step));
  // A snapshot may also be the first one.
  if (isOfVolumes) return !pair.includes("snapshot") || seed % 4 !== 0;
  return seed % 4 === 3;
}

/**
 * Copies a world at one of the changes of its disks, as a power cut leaves it.
 *
 * @returns Gives the copy; undefined if nothing changed.
 */
function cutSometime(world: World, random: Random): () => World | undefined {
  const chance = new Random(random.below(2 ** 31));
  let cut: World | undefined;
  let changes = 0;
  world.disk.beforeChange = () => {
    if (chance.below(++changes) === 0) cut = world.clone();
  };
  return () => {
    world.disk.beforeChange = undefined;
    return cut;
  };
}
