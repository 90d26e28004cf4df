/**
 * Steps that begin before the last has ended: every pair of them, the second at
 * some of the moments of the first, and random runs with several in flight.
 *
 * The suite runs a share of it. `deno task simulate` runs all moments, and then
 * random runs for as long as is wanted (tests/simulation/simulate.ts).
 *
 * @module
 */

import { assert } from "@std/assert";
import type { FormatName } from "../../pool/mod.ts";
import { FAILED_OVERLAPS, FAILED_PAIRS } from "./failed_seeds.ts";
import { inWorlds } from "./in_worlds.ts";
import { shortTurns } from "./overlap.ts";
import { allPairs, pairFrom, runMoments } from "./overlap_pairs.ts";
import { OVERLAP_STEPS, overlapRun } from "./overlap_run.ts";
import { watchForFaults } from "./watch.ts";

/** Random runs of each format. */
const RUNS = 40;

for (const format of ["freebsd", "native"] satisfies FormatName[]) {
  Deno.test(`simulation: every pair of steps overlaps, ${format}`, async () => {
    await inWorlds(async (directory) => {
      using watch = watchForFaults();
      using _short = shortTurns();
      let runs = 0;
      for (const [i, [first, second]] of allPairs(format).entries()) {
        const pair = pairFrom({ directory, format, first, second, seed: i });
        runs += await runMoments(pair, 1, watch);
      }
      assert(runs > 200, `${runs} runs`);
    });
  });

  Deno.test(`simulation: random runs with several steps in flight, ${format}`, async () => {
    await inWorlds(async (directory) => {
      using watch = watchForFaults();
      using _short = shortTurns();
      for (let seed = 1; seed <= RUNS; seed++) {
        const steps = OVERLAP_STEPS;
        await overlapRun({ directory, format, seed, steps }, watch);
      }
    });
  });
}

Deno.test("simulation: overlaps that once found a fault", async () => {
  await inWorlds(async (directory) => {
    using watch = watchForFaults();
    using _short = shortTurns();
    for (const failed of FAILED_PAIRS) {
      const pair = pairFrom({ directory, ...failed });
      await runMoments(pair, Infinity, watch);
    }
    for (const failed of FAILED_OVERLAPS) {
      const steps = OVERLAP_STEPS;
      await overlapRun({ directory, ...failed, steps }, watch);
    }
  });
});
