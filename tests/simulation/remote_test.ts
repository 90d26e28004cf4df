/**
 * Steps that overlap, in a pool with a component on another machine: reads of it
 * come late, its journal is the smallest that there is, and either machine may
 * lose its power.
 *
 * The suite runs a share of it. `deno task simulate` runs all.
 *
 * @module
 */

import { assert } from "@std/assert";
import { inWorlds } from "./in_worlds.ts";
import { shortTurns } from "./overlap.ts";
import { allPairs, pairFrom, runMoments } from "./overlap_pairs.ts";
import { OVERLAP_STEPS, overlapRun } from "./overlap_run.ts";
import { overlapSteps } from "./overlap_steps.ts";
import { randomRun } from "./random_run.ts";
import { watchForFaults } from "./watch.ts";

/** Random runs. */
const RUNS = 5;
/** Of the pairs only every so manyth, another one for each first step. */
const STRIDE = 59;

const WORLD = { format: "native", isRemote: true } as const;

Deno.test("simulation: pairs of steps overlap beside a remote component", async () => {
  await inWorlds(async (directory) => {
    using watch = watchForFaults();
    using _short = shortTurns();
    let runs = 0;
    const steps = overlapSteps(WORLD.format).length;
    for (const [seed, [first, second]] of allPairs(WORLD.format).entries()) {
      if ((seed + Math.floor(seed / steps)) % STRIDE !== 0) continue;
      const pair = pairFrom({ ...WORLD, directory, first, second, seed });
      runs += await runMoments(pair, 1, watch);
    }
    assert(runs > 10, `${runs} runs`);
  });
});

Deno.test("simulation: random runs beside a remote component", async () => {
  await inWorlds(async (directory) => {
    using watch = watchForFaults();
    using _short = shortTurns();
    const steps = OVERLAP_STEPS;
    for (let seed = 1; seed <= RUNS; seed++) {
      await overlapRun({ ...WORLD, directory, seed, steps }, watch);
    }
  });
});

Deno.test("simulation: random lives of a pool with a remote component", async () => {
  await inWorlds(async (directory) => {
    using _short = shortTurns();
    for (let seed = 1; seed <= RUNS; seed++) {
      await randomRun({ ...WORLD, directory, seed, steps: 60 });
    }
  });
});
