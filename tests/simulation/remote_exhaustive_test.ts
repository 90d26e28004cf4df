/**
 * Sequences of steps in a pool with a component on another machine, interrupted
 * before every change of a file. The suite runs a share
 * of it; `deno task simulate` runs all.
 *
 * @module
 */

import { assert } from "@std/assert";
import { exhaust } from "./exhaustive.ts";
import { inWorlds } from "./in_worlds.ts";
import { shortTurns } from "./overlap.ts";

Deno.test("simulation: a pool with a remote component is interrupted anywhere", async () => {
  await inWorlds(async (directory) => {
    using _short = shortTurns();
    const world = { format: "native", isRemote: true, punches: true } as const;
    // One of these cuts leaves a record of an earlier epoch at the tail.
    const share = { steps: 0, cutStride: 13 };
    const runs = await exhaust({ ...world, directory, ...share });
    assert(runs > 10, `${runs} runs`);
  });
});

Deno.test("simulation: one step beside a remote component, without holes", async () => {
  await inWorlds(async (directory) => {
    using _short = shortTurns();
    const world = { format: "native", isRemote: true, punches: false } as const;
    const share = { steps: 1, stride: 4, cutStride: 11 };
    const runs = await exhaust({ ...world, directory, ...share });
    assert(runs > 10, `${runs} runs`);
  });
});
