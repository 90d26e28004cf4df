/**
 * A long run of random steps with cuts and faults, all from one seed.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { Random } from "./random.ts";
import type { Fault, Survivors } from "./simulated_disk.ts";
import type { Step } from "./world.ts";
import { STEPS, World } from "./world.ts";

/** What to run. */
export interface RandomRunOptions {
  /** Where paths are. */
  readonly directory: string;
  /** Decides everything. */
  readonly seed: number;
  /** How many steps. */
  readonly steps: number;
}

/**
 * Runs random steps.
 *
 * @param options How many, from which seed.
 * @throws {Error} At the first broken promise, saying how to run it again.
 */
export async function randomRun(options: RandomRunOptions): Promise<void> {
  const { directory, seed, steps } = options;
  const random = new Random(seed);
  const world = World.create(directory, random.chance(70));
  // Each run prefers some steps and does without others.
  const weights = STEPS.map(() => random.pick([0, 1, 1, 4, 10]));
  const trail: string[] = [];
  try {
    await world.open();
    for (let i = 0; i < steps; i++) {
      const event = random.below(20);
      if (event === 0) await cleanRestart(world, trail);
      else if (event === 1) await cutAndRestart(world, weights, random, trail);
      else if (event === 2) {
        await faultAndRestart(world, weights, random, trail);
      } else await step(world, pickStep(weights, random), random, trail);
      world.checkRunning();
    }
    await world.close();
  } catch (error) {
    throw new Error(
      `Seed ${seed}: ${error} after ${trail.join(", ")} ` +
        `(again with: deno task simulate --seed ${seed})`,
      { cause: error },
    );
  }
}

async function cleanRestart(world: World, trail: string[]): Promise<void> {
  trail.push("stop");
  await world.close();
  await world.open();
}

async function cutAndRestart(
  world: World,
  weights: readonly number[],
  random: Random,
  trail: string[],
): Promise<void> {
  const { disk } = world;
  disk.crashAt(disk.changes + random.below(8));
  await untilFailure(world, weights, random, trail);
  // Now and then the power goes again while the pool is being opened.
  for (;;) {
    const survivors = random.pick<Survivors>(["all", "none", "some"]);
    trail.push(`cut (${survivors})`);
    if (random.chance(60)) {
      await world.restart(survivors, random);
      break;
    }
    world.lose(survivors, random);
    disk.crashAt(disk.changes + random.below(6));
    try {
      await world.open();
    } catch (error) {
      if (!disk.isDown) throw error;
    }
  }
  await world.open();
}

async function faultAndRestart(
  world: World,
  weights: readonly number[],
  random: Random,
  trail: string[],
): Promise<void> {
  const kind = random.pick<Fault["kind"]>(["change", "flush", "read"]);
  const fault = { kind, first: random.below(6), persistent: random.chance(50) };
  trail.push(`fault ${JSON.stringify(fault)}`);
  world.disk.setFault(fault);
  await untilFailure(world, weights, random, trail);
  trail.push("cut (all)");
  await world.restart(random.chance(50) ? "all" : "some", random);
  await world.open();
}

/** Takes steps until one fails, but not for ever. */
async function untilFailure(
  world: World,
  weights: readonly number[],
  random: Random,
  trail: string[],
): Promise<void> {
  try {
    for (let i = 0; i < 20; i++) {
      await step(world, pickStep(weights, random), random, trail);
    }
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
  }
}

async function step(
  world: World,
  name: Step,
  random: Random,
  trail: string[],
): Promise<void> {
  trail.push(name);
  await world.take(name, random);
}

function pickStep(weights: readonly number[], random: Random): Step {
  const sum = weights.reduce((all, one) => all + one, 0);
  let at = random.below(Math.max(1, sum));
  for (const [i, weight] of weights.entries()) {
    if (at < weight) return STEPS[i] ?? "flush";
    at -= weight;
  }
  return "flush";
}
