/**
 * Every short sequence of steps, cut off before every single change of a file,
 * with every way in which unflushed writes may survive; and long random runs.
 *
 * The suite runs a share of it. `deno task simulate` runs all of it, and then
 * random runs for as long as is wanted (tests/simulation/simulate.ts).
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import { exhaust } from "./exhaustive.ts";
import { Random } from "./random.ts";
import { randomRun } from "./random_run.ts";
import { FAILED_SEEDS } from "./failed_seeds.ts";
import { World } from "./world.ts";

async function inScratch<T>(act: (path: string) => Promise<T>): Promise<T> {
  const path = await Deno.makeTempDir({ prefix: "virstor-simulation-" });
  try {
    for (const name of ["a", "b", "c", "d"]) {
      await Deno.writeFile(`${path}/${name}`, new Uint8Array());
    }
    return await act(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

for (const punches of [true, false]) {
  const how = punches ? "with holes" : "without holes";
  Deno.test(`simulation: one step, cut off anywhere, ${how}`, async () => {
    const runs = await inScratch((directory) =>
      exhaust({ directory, punches, steps: 1, checkRaw: true })
    );
    assert(runs > 100, `${runs} runs`);
  });
}

Deno.test("simulation: two steps, cut off anywhere", async () => {
  const runs = await inScratch((directory) =>
    exhaust({ directory, punches: true, steps: 2, checkRaw: false })
  );
  assert(runs > 1000, `${runs} runs`);
});

Deno.test("simulation: random runs with cuts and faults", async () => {
  const seeds = Array.from({ length: 30 }, (_, i) => 1000 + i);
  await inScratch(async (directory) => {
    for (const seed of FAILED_SEEDS) {
      await randomRun({ directory, seed, steps: 300 });
    }
    for (const seed of seeds) await randomRun({ directory, seed, steps: 60 });
  });
});

Deno.test("simulation: a pool whose flushes are left out is found out", async (t) => {
  // The canary: without it nobody would know that the harness sees anything.
  await inScratch(async (directory) => {
    for (const [name, skips] of CANARIES) {
      await t.step(name, async () => {
        let found = "";
        try {
          await exhaust({
            directory,
            punches: true,
            steps: 2,
            checkRaw: false,
            skipsFlush: skips,
          });
        } catch (error) {
          found = error instanceof Error ? error.message : String(error);
        }
        assert(found !== "", "nobody noticed");
      });
    }
  });
});

/** Flushes that a careless pool would leave out, by their number in a run. */
const CANARIES: readonly (readonly [string, (flush: number) => boolean])[] = [
  ["all of them", () => true],
  ["every second one", (flush) => flush % 2 === 1],
  ["the first one, for chunks made ready", (flush) => flush === 0],
];

Deno.test("World finds a lost write", async () => {
  await inScratch(async (directory) => {
    const random = new Random(1);
    const world = World.create(directory, true);
    await world.open();
    await world.take("first write", random);
    world.model.flush(); // It was never flushed: a promise that cannot hold.
    let found = "";
    try {
      await world.restart("none", random);
    } catch (error) {
      found = error instanceof Error ? error.message : "";
    }
    assert(/^Block \d+ holds 0, it may hold 1$/.test(found), found);
  });
});

Deno.test("SimulatedDisk loses what was not flushed, sector by sector", async () => {
  await inScratch(async (directory) => {
    const world = World.create(directory, true);
    const path = `${directory}/a`;
    const device = world.disk.open(path, {});
    device.write(new Uint8Array(1024).fill(1), 0);
    await device.flush();
    device.write(new Uint8Array(1024).fill(2), 256);
    world.disk.restart("none", new Random(1));
    const bytes = world.disk.file(path).current;
    assertEquals(bytes.subarray(0, 1024), new Uint8Array(1024).fill(1));
    let code = "";
    try {
      device.read(new Uint8Array(1), 0);
    } catch (error) {
      code = error instanceof VirstorError ? error.code : "";
    }
    assertEquals(code, "io");
  });
});
