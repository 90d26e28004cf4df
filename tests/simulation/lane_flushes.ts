/**
 * Flushes of lanes and of the event loop, beside writes of both, until the
 * power is cut: what was flushed is there.
 *
 * `deno run -A tests/simulation/lane_flushes.ts --format NAME --seed N` runs the
 * seeds from 1 to N.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { inWorlds } from "./in_worlds.ts";
import { Lane } from "./lane.ts";
import { Random } from "./random.ts";
import { turn } from "./turns.ts";
import { World } from "./world.ts";
import type { FormatName, Volume } from "../../pool/mod.ts";

/** Times that the power is cut in a run. */
const CUTS = 4;
/** Steps before that, at most. */
const STEPS = 10;
/** Chunks that are written to. */
const CHUNKS = 4;
/** Turns that a flush takes at most. */
const FLUSH_TURNS = 10;
/** Turns after which nothing of a dead process goes on. */
const DEAD_TURNS = 50;

type Step = "write" | "lane write" | "flush" | "lane flush";
/** As often as they are taken. */
const WHAT: readonly Step[] = [
  ...["write", "flush", "flush"] as const,
  ...["lane write", "lane write", "lane flush", "lane flush"] as const,
];

/**
 * Runs one seed.
 *
 * @param directory Where the files of worlds are.
 * @param format The format of the pool.
 * @param seed Decides everything else.
 * @throws {Error} If a write that was flushed is lost.
 */
export async function laneFlushes(
  directory: string,
  format: FormatName,
  seed: number,
): Promise<void> {
  const random = new Random(seed);
  const world = World.create({ directory, format, punches: true });
  world.disk.flushTurns = FLUSH_TURNS;
  await world.open();
  for (let cut = 0; cut < CUTS; cut++) {
    const trail: string[] = [];
    try {
      await writeAndFlush(world, random, trail);
      await world.restart(random.pick(["none", "some"]), random);
    } catch (error) {
      const what = `Seed ${seed}, cut ${cut}, after ${trail.join(", ")}`;
      throw new Error(`${what}: ${error}`, { cause: error });
    }
    for (let i = 0; i < DEAD_TURNS; i++) await turn();
    await world.open();
  }
  await world.close();
}

async function writeAndFlush(
  world: World,
  random: Random,
  trail: string[],
): Promise<void> {
  const lane = new Lane(world.pool.volume(), world.disk);
  const { disk } = world;
  const { epoch } = disk;
  const inFlight = new Set<Promise<void>>();
  // A lane flushes by itself only where the event loop has nothing to flush.
  for (let i = 0; i < CHUNKS; i++) {
    await world.write(i * world.chunkBlocks, 1, false);
  }
  await world.flush();
  lane.lease(world.format.chunkSize);
  for (let i = random.below(STEPS); i >= 0; i--) {
    const step = random.pick(WHAT);
    trail.push(step);
    if (random.chance(50)) lane.lease(world.format.chunkSize);
    const done = take(step, world, lane, random).catch((error) => {
      // What is in flight when the power is cut does not end well.
      if (disk.epoch === epoch) throw error;
    });
    inFlight.add(done);
    done.then(() => inFlight.delete(done), () => {});
    if (random.chance(60)) await done;
    else for (let j = random.below(30); j > 0; j--) await Promise.resolve();
  }
  if (random.chance(50)) await Promise.all(inFlight);
}

function take(
  step: Step,
  world: World,
  lane: Lane<Volume>,
  random: Random,
): Promise<void> {
  const block = random.below(CHUNKS * world.chunkBlocks);
  switch (step) {
    case "write":
      return world.write(block, 1, false);
    case "lane write":
      return world.write(
        block,
        1,
        false,
        lane.volume,
        (bytes, offset) => lane.write(bytes, offset, random),
      );
    case "flush":
      return world.flush();
    case "lane flush":
      return world.flush(() => lane.flush(random));
  }
}

if (import.meta.main) {
  const { format, seed } = parseArgs(Deno.args, { string: ["format", "seed"] });
  await inWorlds(async (directory) => {
    const name = format === "freebsd" ? "freebsd" : "native";
    for (let one = 1; one <= Number(seed); one++) {
      await laneFlushes(directory, name, one);
    }
  }).catch((error) => {
    Deno.stderr.writeSync(new TextEncoder().encode(`${error}\n`));
    Deno.exit(1);
  });
}
