/**
 * Every short sequence of steps, interrupted before every single change of a
 * file, with every way in which unflushed writes may survive; and long random
 * runs.
 *
 * The suite runs a share of it. `deno task simulate` runs all of it, and then
 * random runs for as long as is wanted (tests/simulation/simulate.ts).
 *
 * @module
 */

import { assert } from "@std/assert";
import type { FormatName } from "../../pool/mod.ts";
import { askedIn, complaintOf } from "./canary.ts";
import { exhaust, exhaustSequence } from "./exhaustive.ts";
import { FAILED_SEEDS, FAILED_SEQUENCES } from "./failed_seeds.ts";
import { inWorlds } from "./in_worlds.ts";
import { Random } from "./random.ts";
import { randomRun } from "./random_run.ts";
import type { SkipsFlush } from "./simulated_disk.ts";
import type { Step } from "./steps.ts";
import { World } from "./world.ts";

const FORMATS: readonly FormatName[] = ["freebsd", "native"];
/**
 * Of the sequences of two steps only every so manyth, by format and whether
 * holes can be punched. A stride has no factor in common with the number of
 * steps, so each step is the first of some pairs and the last of others.
 */
const STRIDES: Readonly<Record<`${FormatName}, ${boolean}`, number>> = {
  "freebsd, true": 2,
  "freebsd, false": 5,
  "native, true": 8,
  "native, false": 13,
};
/** Random runs of each format, besides those that once found a fault. */
const RANDOM_RUNS = 20;

for (const format of FORMATS) {
  for (const punches of [true, false]) {
    const how = `${format}, ${punches ? "with" : "without"} holes`;
    Deno.test(`simulation: up to one step, interrupted anywhere, ${how}`, async () => {
      const checkRaw = true;
      await inWorlds(async (directory) => {
        const options = { directory, format, punches, checkRaw };
        const runs = await exhaust({ ...options, steps: 0 }) +
          await exhaust({ ...options, steps: 1 });
        assert(runs > 70, `${runs} runs`);
      });
    });

    Deno.test(`simulation: two steps, interrupted anywhere, ${how}`, async () => {
      await inWorlds(async (directory) => {
        const stride = STRIDES[`${format}, ${punches}`];
        const options = { directory, format, punches, steps: 2, stride };
        const runs = await exhaust(options);
        assert(runs > 100, `${runs} runs`);
      });
    });
  }

  Deno.test(`simulation: random runs with cuts and faults, ${format}`, async () => {
    await inWorlds(async (directory) => {
      for (const failed of FAILED_SEEDS) {
        if (failed.format !== format) continue;
        await randomRun({ ...failed, directory, steps: 300 });
      }
      for (let seed = 1000; seed < 1000 + RANDOM_RUNS; seed++) {
        await randomRun({ directory, format, seed, steps: 60 });
      }
    });
  });

  Deno.test(`World finds a lost write, ${format}`, async () => {
    await inWorlds(async (directory) => {
      const random = new Random(1);
      const world = World.create({ directory, format, punches: true });
      await world.open();
      await world.take("first write", random);
      world.model.flush(); // It was never flushed: a promise that cannot hold.
      const found = await complaintOf(() => world.restart("none", random));
      assert(/^Block \d+ of world holds 0, it may hold 1$/.test(found), found);
    });
  });
}

Deno.test("simulation: sequences that once found a fault", async () => {
  await inWorlds(async (directory) => {
    for (const { steps, format, seed } of FAILED_SEQUENCES) {
      const options = { directory, format, seed, punches: true };
      await exhaustSequence(steps, { ...options, steps: steps.length });
    }
  });
});

/** A careless pool: which flushes it leaves out, and where that shows. */
interface Canary {
  readonly name: string;
  readonly formats: readonly FormatName[];
  readonly skips: SkipsFlush;
  readonly steps: readonly Step[];
}

const CANARIES: readonly Canary[] = [
  {
    name: "all of them",
    formats: FORMATS,
    skips: () => true,
    steps: ["first write"],
  },
  {
    name: "every second one",
    formats: FORMATS,
    skips: (flush) => flush % 2 === 1,
    steps: ["first write"],
  },
  {
    name: "that of chunks that are made ready",
    formats: FORMATS,
    skips: askedIn("pool/space/space.ts"),
    steps: [],
  },
  {
    name: "that of chunks that are given back",
    formats: ["native"],
    skips: askedIn("pool/space/freeing.ts"),
    steps: ["discard chunks", "first write"],
  },
  {
    name: "that of chunks that were moved",
    formats: ["native"],
    skips: askedIn("pool/change/chunk_moves.ts"),
    steps: ["evacuate"],
  },
  {
    name: "those of superblocks",
    formats: ["native"],
    skips: askedIn("pool/member/native_superblock.ts"),
    steps: ["add"],
  },
];

for (const { name, formats, skips, steps } of CANARIES) {
  for (const format of formats) {
    // Without it, it would be unknown whether the harness sees anything.
    Deno.test(`canary: a pool that leaves out flushes, ${name}, ${format}`, async () => {
      await inWorlds(async (directory) => {
        const found = await complaintOf(async () => {
          for (let seed = 1; seed <= 5; seed++) {
            await exhaustSequence(steps, {
              directory,
              format,
              punches: true,
              steps: steps.length,
              seed,
              skipsFlush: skips,
            });
          }
        });
        assert(/holds|open|differ|superblock/.test(found), found);
      });
    });
  }
}
