/**
 * A long run of random steps with cuts and faults, all from one seed.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { FormatName } from "../../pool/mod.ts";
import { Random } from "./random.ts";
import type { Fault, SkipsFlush, Survivors } from "./simulated_disk.ts";
import type { Step } from "./steps.ts";
import { allDone } from "./turns.ts";
import { World } from "./world.ts";

const RESIZES: readonly Step[] = ["grow", "shrink"];

/** What to run. */
export interface RandomRunOptions {
  /** Where the files of worlds are. */
  readonly directory: string;
  /** The format of the pool. */
  readonly format: FormatName;
  /** Decides everything else. */
  readonly seed: number;
  /** How many steps. */
  readonly steps: number;
  /** Whether components grow; format 2 only. */
  readonly grows?: boolean;
  /** Whether a component is on another machine. */
  readonly isRemote?: boolean;
  /** Flushes that are left out. */
  readonly skipsFlush?: SkipsFlush;
}

/** A run on its way. */
interface Run {
  readonly world: World;
  readonly random: Random;
  /** How much each step is preferred. */
  readonly weights: readonly number[];
  /** Whether components grow. */
  readonly grows: boolean;
  /** What was done. */
  readonly trail: string[];
}

/**
 * Runs random steps.
 *
 * @param options How many, from which seed.
 * @throws {Error} At the first broken promise, saying how to run it again.
 */
export async function randomRun(options: RandomRunOptions): Promise<void> {
  const { directory, format, seed, steps } = options;
  const { grows = false, isRemote = false } = options;
  const random = new Random(seed);
  const punches = random.chance(70);
  const world = World.create({ directory, format, punches, isRemote });
  world.disk.skipsFlush = options.skipsFlush;
  // Each run prefers some steps and does without others.
  const weights = world.format.steps.map(() => random.pick([0, 1, 1, 4, 10]));
  const run: Run = { world, random, weights, grows, trail: [] };
  try {
    await world.open();
    for (let i = 0; i < steps; i++) {
      const event = random.below(20);
      if (event === 0) await cleanRestart(run);
      else if (event === 1) await cutAndRestart(run);
      else if (event === 2) await faultAndRestart(run);
      else await step(run);
      world.checkRunning();
    }
    await world.close();
  } catch (error) {
    throw new Error(
      `Seed ${seed}: ${error} after ${run.trail.join(", ")} (again with: ` +
        `deno task simulate --format ${format} --seed ${seed}` +
        `${grows ? " --grow" : ""}${isRemote ? " --remote" : ""})`,
      { cause: error },
    );
  }
}

async function cleanRestart({ world, random, trail }: Run): Promise<void> {
  if (random.chance(50)) {
    trail.push("settle");
    await world.settle();
  }
  trail.push("stop");
  await world.close();
  await world.open();
}

async function cutAndRestart(run: Run): Promise<void> {
  const { world, random, trail } = run;
  const { disk } = world;
  disk.crashAt(disk.changes + random.below(8));
  await untilFailure(run);
  // Now and then the power goes again while the pool is being opened.
  for (;;) {
    const survivors = random.pick<Survivors>(["all", "none", "some"]);
    trail.push(`cut (${survivors})`);
    if (random.chance(60)) {
      await world.restart(survivors, random);
      break;
    }
    world.lose(survivors, random);
    disk.crashAt(disk.changes + random.below(12));
    try {
      await world.open();
      await world.settle();
    } catch (error) {
      if (!disk.isDown) throw error;
    }
  }
  await world.open();
}

async function faultAndRestart(run: Run): Promise<void> {
  const { world, random, trail } = run;
  const kind = random.pick<Fault["kind"]>(["change", "flush", "read", "full"]);
  const fault = { kind, first: random.below(6), persistent: random.chance(50) };
  trail.push(`fault ${JSON.stringify(fault)}`);
  world.disk.setFault(fault);
  await untilFailure(run);
  const survivors = random.pick<Survivors>(["all", "some"]);
  trail.push(`cut (${survivors})`);
  await world.restart(survivors, random);
  await world.open();
}

/** Takes steps until one fails, but not for ever. */
async function untilFailure(run: Run): Promise<void> {
  try {
    for (let i = 0; i < 20; i++) await step(run);
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
  }
}

/** Takes a step, or several at once. */
async function step(run: Run): Promise<void> {
  const { world, random, trail } = run;
  const names = [pickStep(run)];
  while (names.length < 3 && random.chance(10)) {
    const name = pickStep(run);
    // The model knows of one new size at a time.
    if (!RESIZES.includes(name)) names.push(name);
  }
  // Not one of the others, so that the runs of old seeds stay what they were.
  if (run.grows && random.chance(10)) names.push("grow component");
  trail.push(names.join(" & "));
  const each = names.map((name) => {
    // Each has its own chance: they go on in any order.
    return world.take(name, new Random(random.below(2 ** 31)));
  });
  await allDone(each);
}

function pickStep({ world, weights, random }: Run): Step {
  const sum = weights.reduce((all, one) => all + one, 0);
  let at = random.below(Math.max(1, sum));
  for (const [i, weight] of weights.entries()) {
    if (at < weight) return world.format.steps[i] ?? "flush";
    at -= weight;
  }
  return "flush";
}
