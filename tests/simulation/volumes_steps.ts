/**
 * Random steps of the life of a pool with volumes and snapshots.
 *
 * @module
 */

import { TURN_BUDGET } from "../../pool/core/turn.ts";
import type { ModelVolume } from "../helpers/volumes_model.ts";
import { inWorlds } from "./in_worlds.ts";
import { simulatedTime } from "./simulated_time.ts";
import { turn } from "./turns.ts";
import {
  add,
  cancel,
  CHUNKS_MAX,
  clone,
  create,
  evacuate,
  flatten,
  grow,
  removeSnapshot,
  removeVolume,
  rename,
  rollBack,
  takeOf,
} from "./volumes_commands.ts";
import { CHUNK_BLOCKS } from "./volumes_files.ts";
import { VolumesLife } from "./volumes_life.ts";
import {
  type BlockChange,
  changeBlocks,
  flushAll,
  readOnLanes,
  readRange,
} from "./volumes_requests.ts";
import {
  crowd,
  firstSnapshot,
  moveBeside,
  planCut,
  removeBeside,
  shrinkBack,
  zeroBeside,
} from "./volumes_scenes.ts";
import { Accounts } from "./volumes_accounts.ts";
import { fillHost, setLimits } from "./volumes_limits.ts";
import { watchForFaults } from "./watch.ts";

/** What is done, and how often. */
type WeightedStep = readonly [
  weight: number,
  step: (life: VolumesLife) => void | Promise<void>,
];

const STEPS: readonly WeightedStep[] = [
  [30, (life) => changeSome(life, "write")],
  [6, (life) => changeSome(life, "fua")],
  [8, (life) => changeSome(life, "discard")],
  [7, (life) => changeSome(life, "zero")],
  [3, (life) => changeSome(life, "allocate")],
  [8, readBlocks],
  [8, flushAll],
  [14, take],
  [8, removeSnapshot],
  [6, rollBack],
  [7, clone],
  [5, flatten],
  [2, create],
  [4, removeVolume],
  [1, rename],
  [2, grow],
  [3, add],
  [3, evacuate],
  [2, cancel],
  [3, rest],
  [4, (life) => void life.readAll()],
  [2, (life) => life.reopen()],
  [5, planCut],
  [3, (life) => life.cut()],
  [3, zeroBeside],
  [3, removeBeside],
  [3, moveBeside],
  [3, crowd],
  [2, shrinkBack],
];
/** With limits of volumes, and of the host's file systems. */
const LIMITED: readonly WeightedStep[] = STEPS.toSpliced(
  -1,
  0,
  [5, setLimits],
  [2, fillHost],
);

/** What lives are like. */
export interface LivesOptions {
  /** Whether superblocks are longer than their slots. */
  readonly isLong?: boolean;
  /** Whether quotas, reserves and policies are set, and hosts become full. */
  readonly isLimited?: boolean;
}

/**
 * Runs lives.
 *
 * @param seeds The seed of each.
 * @param steps How many steps each one has.
 * @param onProgress Called before each life.
 * @param options What they are like.
 * @throws {Error} If a promise was broken; it names the seed and the steps.
 */
export async function runLives(
  seeds: Iterable<number>,
  steps: number,
  onProgress: (seed: number) => void = () => {},
  { isLong = false, isLimited = false }: LivesOptions = {},
): Promise<void> {
  const all = isLimited ? LIMITED : STEPS;
  await inWorlds(async (directory) => {
    using watch = watchForFaults();
    for (const seed of seeds) {
      onProgress(seed);
      const life = new VolumesLife(directory, seed, isLong);
      TURN_BUDGET.sweptChunks = seed % 3 === 0 ? 4096 : seed % 3;
      try {
        await runLife(life, { steps, all }, () => {
          const [fault] = watch.take();
          if (fault !== undefined && !life.disk.isDown) throw new Error(fault);
        });
      } catch (error) {
        const text = error instanceof Error ? error.stack : String(error);
        throw new Error(
          `Life ${seed}: ${text}\nIts steps:\n${life.log.join("\n")}`,
        );
      }
    }
  });
}

async function runLife(
  life: VolumesLife,
  { steps, all }: {
    readonly steps: number;
    readonly all: readonly WeightedStep[];
  },
  checkFaults: () => void,
): Promise<void> {
  const { random, disk } = life;
  const time = simulatedTime();
  time.lookMs = random.pick([0, 0, 1, 3]);
  life.onFull = random.pick(["delay", "delay", "error"]);
  await life.open(false);
  const accounts = new Accounts();
  if (random.chance(25)) await firstSnapshot(life);
  for (let i = 0; i < steps; i++) {
    await oneStep(life, all);
    if (disk.isDown) await life.cut();
    accounts.check(life);
    life.assertSound();
    checkFaults();
  }
  time.lookMs = 0;
  disk.full.clear();
  await life.changed();
  if (disk.isDown) await life.cut();
  await rest(life);
  if (disk.isDown) await life.cut();
  await life.reopen();
  await rest(life);
  await life.pool.close();
  life.assertSound();
  checkFaults();
}

/** Waits until nothing is under way, and reads all on lanes. */
async function rest(life: VolumesLife): Promise<void> {
  await life.rest();
  if (!life.disk.isDown) await readOnLanes(life);
}

async function oneStep(
  life: VolumesLife,
  all: readonly WeightedStep[],
): Promise<void> {
  const { random } = life;
  let at = random.below(all.reduce((sum, [weight]) => sum + weight, 0));
  const found = all.find(([weight]) => (at -= weight) < 0);
  await found?.[1](life);
  if (life.disk.isDown || random.chance(30)) return;
  if (random.chance(40)) return await life.drain();
  if (random.chance(40)) {
    for (let steps = random.below(40); steps > 0; steps--) {
      await Promise.resolve();
    }
    return;
  }
  for (let turns = random.below(6); turns > 0; turns--) await turn();
}

function pickRange(
  { random }: VolumesLife,
  { disk }: ModelVolume,
): { first: number; count: number } {
  const { blocks } = disk;
  // The first chunks meet each other most.
  const chunks = random.chance(60) ? 4 : blocks / CHUNK_BLOCKS;
  const chunk = random.below(Math.min(chunks, blocks / CHUNK_BLOCKS));
  const first = chunk * CHUNK_BLOCKS;
  const whole = [1, 1, 2, 3, 6, CHUNKS_MAX];
  const [from, count] = random.chance(50)
    ? [first, random.pick(whole) * CHUNK_BLOCKS]
    : [first + random.below(CHUNK_BLOCKS), 1 + random.below(12)];
  return { first: from, count: Math.min(count, blocks - from) };
}

function changeSome(
  life: VolumesLife,
  how: BlockChange,
): void {
  const volume = life.random.pick(life.volumes);
  const range = pickRange(life, volume);
  const most = how === "write" || how === "fua" ? 3 * CHUNK_BLOCKS : Infinity;
  changeBlocks(
    life,
    volume,
    { ...range, count: Math.min(range.count, most) },
    how,
  );
}

function readBlocks(life: VolumesLife): void {
  const volume = life.random.pick(life.volumes);
  readRange(life, volume, pickRange(life, volume));
}

async function take(life: VolumesLife): Promise<void> {
  const { random } = life;
  const one = random.pick(life.volumes);
  await takeOf(life, random.chance(30) ? life.volumes : [one]);
}
