/**
 * Operations that fail, one after the other, in the middle of each step.
 *
 * @module
 */

import { assert } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import { remove } from "./commands.ts";
import { failEverywhere } from "./failing_operations.ts";
import { inWorlds } from "./in_worlds.ts";
import { Random } from "./random.ts";
import { allDone, turn } from "./turns.ts";
import { World } from "./world.ts";

for (const format of ["freebsd", "native"] as const) {
  Deno.test(`simulation: every operation of every step fails, ${format}`, async () => {
    await inWorlds(async (directory) => {
      const options = { directory, format, punches: true, seed: 1 };
      const runs = await failEverywhere(options);
      assert(runs > 150, `${runs} runs`);
    });
  });
}

Deno.test("simulation: a pool that fails during an evacuation moves nothing more", async () => {
  await inWorlds(async (directory) => {
    for (let first = 0; first < 14; first++) {
      for (let turns = 0; turns < 6; turns++) {
        for (const persistent of [false, true]) {
          await failWhileMoving(directory, { first, turns, persistent });
        }
      }
    }
  });
});

async function failWhileMoving(
  directory: string,
  { first, turns, persistent }: {
    first: number;
    turns: number;
    persistent: boolean;
  },
): Promise<void> {
  const world = World.create({ directory, format: "native", punches: true });
  const { chunkBlocks } = world;
  await world.open();
  for (const chunk of [0, 1, 2]) {
    await world.write(chunk * chunkBlocks, 3, false);
  }
  await world.flush();
  world.disk.setFault({ kind: "change", first, persistent });
  const path = world.pool.status().components[0]?.path ?? "";
  const removal = orRefused(remove(world, path));
  for (let i = 0; i < turns; i++) await turn();
  await allDone([
    removal,
    orRefused(world.write(5 * chunkBlocks + 5, 2, false)),
    orRefused(world.write(6 * chunkBlocks + 5, 2, false)),
  ]);
  for (let i = 0; i < 20; i++) await turn();
  await world.restart("all", new Random(1));
}

async function orRefused(change: Promise<unknown>): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
  }
}
