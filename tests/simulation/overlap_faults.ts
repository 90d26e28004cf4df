/**
 * Requests of several parts, of which one fails while others are in flight.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { openPool } from "../../pool/mod.ts";
import { BLOCK } from "./model_pool.ts";
import { Overlap, type Scene } from "./overlap.ts";
import { type OverlapStep, VOLUME_STEPS } from "./overlap_steps.ts";
import { Random } from "./random.ts";
import type { Fault, Survivors } from "./simulated_disk.ts";
import { turn } from "./turns.ts";
import type { Watch } from "./watch.ts";
import { World, type WorldOptions } from "./world.ts";

const KINDS: readonly Fault["kind"][] = ["change", "flush", "read", "full"];
/** A request that goes on for more turns after a failure has an own reason. */
const TURNS = 20;

/** What fails. */
export interface FailingStepOptions extends WorldOptions {
  /** What is in flight. */
  readonly step: OverlapStep;
  /** Decides everything else. */
  readonly seed: number;
}

/**
 * Lets every operation of a step fail, once and for ever.
 *
 * @param options Which step.
 * @param watch Faults that no caller receives.
 * @returns How many runs there were.
 * @throws {Error} If a promise was broken, saying how to run it again.
 */
export async function failInFlight(
  options: FailingStepOptions,
  watch: Watch,
): Promise<number> {
  let runs = 0;
  const { step, seed, format } = options;
  for (const kind of KINDS) {
    for (const persistent of [false, true]) {
      let hasFailed = true;
      for (let first = 0; hasFailed; first++, runs++) {
        const fault = { kind, first, persistent };
        try {
          hasFailed = await failOnce(options, fault, watch);
        } catch (error) {
          throw new Error(
            `"${step}" with ${JSON.stringify(fault)}: ${error} (again with: ` +
              `deno task simulate --format ${format} --overlap "${step}" ` +
              `--seed ${seed})`,
            { cause: error },
          );
        }
      }
    }
  }
  return runs;
}

/**
 * A step in a world that follows from the seed.
 *
 * @param options The step, and where the files are.
 * @returns The same, and whether holes can be punched.
 */
export function failingFrom(
  options: Omit<FailingStepOptions, "punches">,
): FailingStepOptions {
  return { ...options, punches: options.seed % 2 === 0 };
}

/** Takes a step with a fault; returns whether anything has failed. */
async function failOnce(
  options: FailingStepOptions,
  fault: Fault,
  watch: Watch,
): Promise<boolean> {
  const { step, seed, format } = options;
  const random = new Random(seed);
  const scene: Scene = {
    leaving: step === "cancel" && format === "native" ? 1 : 0,
    isFull: false,
    isSlow: random.chance(50),
    hasColdReads: true,
    hasLane: step.startsWith("lane"),
    isLayered: VOLUME_STEPS.includes(step) ||
      (format === "native" && seed % 4 === 3),
  };
  const overlap = await Overlap.create(options, scene, watch);
  const { world } = overlap.stage;
  world.disk.setFault(fault);
  overlap.begin(step, random);
  await overlap.settle();
  for (let i = 0; i < TURNS; i++) await turn();
  overlap.check();
  const { hasFailed } = world.disk;
  await world.restart(random.pick<Survivors>(["all", "some"]), random);
  overlap.check();
  return hasFailed;
}

/**
 * Reads every two chunks of a pool of which a component is missing, while the
 * other one fails.
 *
 * @param options What the world is like.
 * @param watch Faults that no caller receives.
 * @returns How many reads there were.
 * @throws {Error} If a read gives anything but its bytes or an error.
 */
export async function readDegraded(
  options: WorldOptions,
  watch: Watch,
): Promise<number> {
  const { world, path } = await degradedWorld(options);
  const { disk, chunkBlocks } = world;
  const pool = await openPool([path], {
    degraded: true,
    openDevice: disk.open,
  });
  const chunkSize = chunkBlocks * BLOCK;
  const bytes = new Uint8Array(chunkSize);
  let reads = 0;
  for (let at = BLOCK; at + chunkSize <= pool.volume().size; at += chunkSize) {
    for (const first of [0, 1, 2, 3]) {
      disk.setFault({ kind: "read", first, persistent: true });
      try {
        await pool.volume().read(bytes, at);
      } catch (error) {
        if (!(error instanceof VirstorError)) throw error;
      }
      for (let i = 0; i < TURNS; i++) await turn();
      const [fault] = watch.take();
      if (fault !== undefined) throw new Error(`A read at ${at}: ${fault}`);
      reads++;
    }
  }
  await pool.close();
  return reads;
}

/** A stopped pool with data on two components, and where one of them is. */
async function degradedWorld(
  options: WorldOptions,
): Promise<{ world: World; path: string }> {
  const world = World.create(options);
  const { chunkBlocks, paths: [path = ""], format } = world;
  await world.open();
  // More than one component has room for, with gaps.
  for (let chunk = 0; chunk < format.virtualChunks; chunk += 2) {
    await world.write(chunk * chunkBlocks, chunkBlocks, false);
  }
  await world.close();
  world.disk.hasColdReads = true;
  return { world, path };
}
