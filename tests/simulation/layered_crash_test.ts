/**
 * Sequences of steps in a pool with snapshots and clones, interrupted before
 * every single change of a file: by a kill, which leaves the page cache whole,
 * and by power cuts, which leave any part of what was not flushed.
 *
 * The suite runs a share of it, `deno task simulate` runs all sequences of one
 * to three steps.
 *
 * @module
 */

import { assert } from "@std/assert";
import { exhaust } from "./exhaustive.ts";
import { inWorlds } from "./in_worlds.ts";

/** How many steps, every so manyth sequence, and at least so many runs. */
const SHARES: readonly [steps: number, stride: number, runs: number][] = [
  [1, 1, 200],
  [2, 21, 100],
  [3, 437, 40],
];

for (const [steps, stride, least] of SHARES) {
  Deno.test(`simulation: ${steps} steps with snapshots and clones, interrupted anywhere`, async () => {
    await inWorlds(async (directory) => {
      const options = { directory, format: "native", isLayered: true } as const;
      const runs = await exhaust({ ...options, punches: true, steps, stride });
      assert(runs > least, `${runs} runs`);
    });
  });
}
