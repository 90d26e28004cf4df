/**
 * Every sequence of a few steps, interrupted before every change of a file.
 *
 * @module
 */

import type { FormatName } from "../../pool/mod.ts";
import { Random } from "./random.ts";
import type { SkipsFlush, Survivors } from "./simulated_disk.ts";
import { layer } from "./layers.ts";
import {
  FREEBSD_STEPS,
  LAYERED_STEPS,
  NATIVE_STEPS,
  type Step,
} from "./steps.ts";
import { World, type WorldOptions } from "./world.ts";

/** What survives a cut; chance decides several times. */
const FATES: readonly Survivors[] = ["all", "none", "some", "some", "some"];
/** Something to overwrite, to lose and to keep. */
export const START: readonly Step[] = ["first write", "overwrite", "flush"];

/** What to go through. */
export interface ExhaustOptions extends WorldOptions {
  /** How many steps a sequence has. */
  readonly steps: number;
  /** Decides what the steps touch; the same for all sequences. */
  readonly seed?: number;
  /** Only every so manyth sequence. */
  readonly stride?: number;
  /** Only every so manyth cut. */
  readonly cutStride?: number;
  /**
   * Whether the power goes a second time, before every change while opening.
   */
  readonly twice?: boolean;
  /** Whether checkers that need files look at every outcome. */
  readonly checkRaw?: boolean;
  /** Whether the pool has snapshots and clones, and the steps are of these. */
  readonly isLayered?: boolean;
  /** Flushes that are left out. */
  readonly skipsFlush?: SkipsFlush;
  /** Called now and then with the progress. */
  readonly onProgress?: (done: number, all: number) => void;
}

/**
 * Goes through all sequences. Cuts come during the last step and after it:
 * those that come earlier are those of shorter sequences.
 *
 * @param options Which.
 * @returns How many runs there were.
 * @throws {Error} At the first broken promise, saying how to get there.
 */
export async function exhaust(options: ExhaustOptions): Promise<number> {
  let runs = 0;
  const { steps, format, isLayered = false, stride = 1 } = options;
  const all = isLayered ? LAYERED_STEPS : stepsOf(format);
  const sequences = sequencesOf(steps, all)
    .filter((_, index) => index % stride === 0);
  for (const [done, sequence] of sequences.entries()) {
    runs += await exhaustSequence(sequence, options);
    options.onProgress?.(done + 1, sequences.length);
  }
  return runs;
}

/**
 * What can be done to pools of a format.
 *
 * @param format The format.
 * @returns All steps.
 */
export function stepsOf(format: FormatName): readonly Step[] {
  return format === "native" ? NATIVE_STEPS : FREEBSD_STEPS;
}

function sequencesOf(count: number, all: readonly Step[]): Step[][] {
  if (count === 0) return [[]];
  return sequencesOf(count - 1, all).flatMap((start) =>
    all.map((step) => [...start, step])
  );
}

/**
 * Goes through one sequence.
 *
 * @param sequence The steps.
 * @param options How.
 * @returns How many runs there were.
 * @throws {Error} At the first broken promise, saying how to get there.
 */
export async function exhaustSequence(
  sequence: readonly Step[],
  options: ExhaustOptions,
): Promise<number> {
  const { seed = 1, punches } = options;
  const steps = `"${sequence.join('", "')}" (seed ${seed}, ` +
    `${punches ? "with" : "without"} holes` +
    `${options.isLayered === true ? ", with snapshots" : ""}` +
    `${options.isRemote === true ? ", far away" : ""})`;
  let worlds: World[];
  try {
    worlds = await play(sequence, options, seed);
  } catch (error) {
    throw new Error(`During ${steps}: ${error}`, { cause: error });
  }
  let runs = 0;
  const { cutStride = 1 } = options;
  for (const [cut, world] of worlds.entries()) {
    if (cut % cutStride !== 0) continue;
    for (const fate of fatesOf(world, cut)) {
      const { survivors, chance } = fate;
      try {
        runs += options.twice === true
          ? await cutTwice(fate, options)
          : await cutOnce(fate.world, options);
      } catch (error) {
        throw new Error(
          `After ${steps}, interrupted before change ${cut} of the last step's ` +
            `${worlds.length - 1}, with ${survivors} surviving (${chance}): ` +
            `${error}`,
          { cause: error },
        );
      }
    }
  }
  return runs;
}

/** A world after a cut. */
interface Fate {
  readonly world: World;
  readonly survivors: Survivors;
  /** Which of several decisions of chance, from 0. */
  readonly chance: number;
  readonly random: Random;
}

/**
 * What a cut may leave. Where little was not flushed, chance leaves the same
 * again: then it is left out.
 */
function fatesOf(world: World, cut: number): Fate[] {
  const fates: Fate[] = [];
  for (const [chance, survivors] of FATES.entries()) {
    const random = new Random(cut * 100 + chance);
    const after = world.clone();
    after.lose(survivors, random);
    const isKnown = fates.some((fate) =>
      fate.survivors !== "all" && fate.world.disk.isSame(after.disk)
    );
    if (isKnown) continue;
    fates.push({ world: after, survivors, chance, random });
  }
  return fates;
}

async function cutOnce(
  after: World,
  { checkRaw, directory }: ExhaustOptions,
): Promise<number> {
  await after.recover(checkRaw === true ? directory : undefined);
  return 1;
}

async function cutTwice(
  { world: first, random }: Fate,
  options: ExhaustOptions,
): Promise<number> {
  const cuts: World[] = [];
  first.disk.beforeChange = () => cuts.push(first.clone());
  await first.open();
  await first.settle();
  let runs = 0;
  for (const [cut, second] of cuts.entries()) {
    // The last is a kill: the next open runs in the same boot.
    for (const fate of ["none", "some", "all"] as const) {
      try {
        const after = second.clone();
        after.lose(fate, random);
        runs += await cutOnce(after, options);
      } catch (error) {
        throw new Error(
          `again before change ${cut} of the ${cuts.length} after that, with ` +
            `${fate} surviving: ${error}`,
          { cause: error },
        );
      }
    }
  }
  return runs;
}

/** Worlds of which copies are made, by what they are like. */
const layered = new Map<string, World>();

/** A stopped pool with snapshots and clones. */
async function layeredWorld(options: WorldOptions): Promise<World> {
  const { directory, punches, isRemote } = options;
  const key = JSON.stringify([directory, punches, isRemote]);
  let world = layered.get(key);
  if (world === undefined) {
    world = World.create(options);
    await world.open();
    await layer(world);
    await world.close();
    layered.set(key, world);
  }
  return world;
}

/** Plays a sequence; returns the world as a cut at each place leaves it. */
async function play(
  sequence: readonly Step[],
  options: ExhaustOptions,
  seed: number,
): Promise<World[]> {
  const world = options.isLayered === true
    ? (await layeredWorld(options)).clone()
    : World.create(options);
  const { disk } = world;
  disk.skipsFlush = options.skipsFlush;
  const cuts: World[] = [];
  const cutFromHere = () => {
    disk.beforeChange = () => cuts.push(world.clone());
  };
  const random = new Random(seed);
  if (sequence.length === 0) cutFromHere();
  await world.open();
  for (const step of options.isLayered === true ? [] : START) {
    await world.take(step, random);
  }
  for (const [index, step] of sequence.entries()) {
    if (index === sequence.length - 1) cutFromHere();
    await world.take(step, random);
    world.checkRunning();
  }
  await world.settle();
  cuts.push(world.clone());
  disk.beforeChange = undefined;
  await world.close();
  return cuts;
}
