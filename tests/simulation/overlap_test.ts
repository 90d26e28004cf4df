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
import { FAILED_PAIRS } from "./failed_seeds.ts";
import { inWorlds } from "./in_worlds.ts";
import { shortTurns } from "./overlap.ts";
import { failInFlight, failingFrom, readDegraded } from "./overlap_faults.ts";
import { allPairs, pairFrom, runMoments } from "./overlap_pairs.ts";
import { OVERLAP_STEPS, overlapRun } from "./overlap_run.ts";
import { type OverlapStep, overlapSteps } from "./overlap_steps.ts";
import { watchForFaults } from "./watch.ts";

/** Random runs of each format. */
const RUNS = 20;
/**
 * Of the pairs only every so manyth, another one for each first step, so that
 * each step is the first of some pairs and the second of others.
 */
const STRIDES: Readonly<Record<FormatName, number>> = { freebsd: 1, native: 6 };
/** Of pairs that once found a fault, so many moments. */
const FAILED_MOMENTS = 40;
/** Requests that are done in several parts. */
const IN_PARTS: readonly OverlapStep[] = [
  "discard",
  "zero",
  "zero in place",
  "read",
  "write across chunks",
];

for (const format of ["freebsd", "native"] satisfies FormatName[]) {
  Deno.test(`simulation: every pair of steps overlaps, ${format}`, async () => {
    await inWorlds(async (directory) => {
      using watch = watchForFaults();
      using _short = shortTurns();
      let runs = 0;
      const steps = overlapSteps(format).length;
      for (const [i, [first, second]] of allPairs(format).entries()) {
        if ((i + Math.floor(i / steps)) % STRIDES[format] !== 0) continue;
        const pair = pairFrom({ directory, format, first, second, seed: i });
        runs += await runMoments(pair, 1, watch);
      }
      assert(runs > 150, `${runs} runs`);
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

for (const format of ["freebsd", "native"] satisfies FormatName[]) {
  Deno.test(`simulation: parts of a request fail while others are in flight, ${format}`, async () => {
    await inWorlds(async (directory) => {
      using watch = watchForFaults();
      using _short = shortTurns();
      let runs = 0;
      for (const step of IN_PARTS) {
        for (const seed of [2, 4, 5]) {
          const options = { directory, format, step, seed };
          runs += await failInFlight(failingFrom(options), watch);
        }
      }
      assert(runs > 150, `${runs} runs`);
    });
  });
}

Deno.test("simulation: reads of two chunks, one that fails and one that is missing", async () => {
  await inWorlds(async (directory) => {
    using watch = watchForFaults();
    const options = { directory, format: "native", punches: true } as const;
    const reads = await readDegraded(options, watch);
    assert(reads > 40, `${reads} reads`);
  });
});

Deno.test("simulation: pairs that once found a fault", async () => {
  await inWorlds(async (directory) => {
    using watch = watchForFaults();
    using _short = shortTurns();
    for (const failed of FAILED_PAIRS) {
      const pair = pairFrom({ directory, ...failed });
      await runMoments(pair, FAILED_MOMENTS, watch);
    }
  });
});
