/**
 * Goal: a component that grows loses nothing, wherever the power goes. Method:
 * the simulation with its file enlarged, before and after other steps, with
 * requests meanwhile; the next open takes in what the cut has left.
 *
 * @module
 */

import { assert } from "@std/assert";
import { askedIn, complaintOf } from "./canary.ts";
import { exhaustSequence } from "./exhaustive.ts";
import { inWorlds } from "./in_worlds.ts";
import { randomRun } from "./random_run.ts";
import type { Step } from "./steps.ts";

const GROW: Step = "grow component";
/** What comes before it, or after it. */
const OTHERS: readonly Step[] = [
  ...["write across chunks", "discard chunks", "add", "evacuate"] as const,
  ...["cancel", "shrink", GROW] as const,
];

for (const punches of [true, false]) {
  const how = punches ? "with" : "without";
  Deno.test(`simulation: a component grows, interrupted anywhere, ${how} holes`, async () => {
    await inWorlds(async (directory) => {
      const format = "native";
      const options = { directory, format, punches } as const;
      let runs = 0;
      for (let seed = 1; seed <= 4; seed++) {
        runs += await exhaustSequence([GROW], { ...options, steps: 1, seed });
      }
      for (const other of OTHERS) {
        for (const steps of [[GROW, other], [other, GROW]]) {
          const how = { ...options, steps: 2, cutStride: 3 };
          runs += await exhaustSequence(steps, how);
        }
      }
      assert(runs > 100, `${runs} runs`);
    });
  });
}

Deno.test("simulation: a component grows, interrupted anywhere, and again while the pool opens", async () => {
  await inWorlds(async (directory) => {
    const runs = await exhaustSequence([GROW], {
      ...{ directory, format: "native", punches: true, steps: 1 },
      ...{ twice: true, cutStride: 3 },
    });
    assert(runs > 20, `${runs} runs`);
  });
});

Deno.test("simulation: random runs in which components grow", async () => {
  await inWorlds(async (directory) => {
    // Entries went to the former table when the new one counted already.
    const once = { directory, format: "native", seed: 5167 } as const;
    await randomRun({ ...once, steps: 20, grows: true });
    for (let seed = 1; seed <= 12; seed++) {
      const options = { directory, format: "native", steps: 60 } as const;
      await randomRun({ ...options, seed, grows: true });
    }
  });
});

Deno.test("canary: a pool that flushes nothing of a table at its new end", async () => {
  const skipsFlush = askedIn("pool/format/native/native_growth.ts");
  await inWorlds(async (directory) => {
    const found = await complaintOf(async () => {
      const options = { directory, format: "native", punches: true } as const;
      for (let seed = 1; seed <= 5; seed++) {
        const how = { ...options, steps: 1, seed, skipsFlush };
        await exhaustSequence([GROW], how);
      }
    });
    assert(/holds|open|differ|superblock|sound|chunk/.test(found), found);
  });
});
