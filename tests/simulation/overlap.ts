/**
 * Steps that overlap, in one simulated world: begun one after another, none
 * waited for before the next one begins.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { Slice, turns } from "../../device/block/mod.ts";
import { TURN_BUDGET } from "../../pool/core/turn.ts";
import { add, remove } from "./commands.ts";
import { Lane, laneTurns } from "./lane.ts";
import { layer } from "./layers.ts";
import {
  type OverlapStep,
  type Stage,
  takeOverlapStep,
} from "./overlap_steps.ts";
import type { Random } from "./random.ts";
import { simulatedTime } from "./simulated_time.ts";
import { turn } from "./turns.ts";
import type { Watch } from "./watch.ts";
import { checkWalk } from "./volumes_walk.ts";
import { World, type WorldOptions } from "./world.ts";
import {
  checkChunks,
  checkLive,
  checkOpenFiles,
  summaryOf,
} from "./world_checks.ts";

/** A world in which nothing happens for so many turns is idle. */
const IDLE_TURNS = 5;
/** No overlap takes as many turns. */
const TURNS_MAX = 20_000;
/** The most turns of the event loop that a flush takes. */
const FLUSH_TURNS = 3;
/** A rate at which each block of a moved chunk takes a few turns. */
const SLOWLY = 85_000;
/** Chunks that are mapped at first; some of them are discarded again. */
const MAPPED = 7;
const DISCARDED: readonly number[] = [1, 3];
/** Commands, which wait for each other. */
const COMMANDS: readonly OverlapStep[] = [
  "add",
  "remove",
  "evacuate",
  "grow",
  "shrink",
  "check",
  "close",
  "snapshot",
  "remove snapshot",
  "roll back",
  "clone",
  "flatten",
  "create volume",
  "remove volume",
];

/** How a world is before steps overlap. */
export interface Scene {
  /** How many components are being evacuated, slowly. */
  readonly leaving: 0 | 1 | 2;
  /** Whether no chunk is free. */
  readonly isFull: boolean;
  /** Whether evacuations are slow. */
  readonly isSlow: boolean;
  /** Whether reads may have to wait. */
  readonly hasColdReads: boolean;
  /** Whether a client has a thread of its own. */
  readonly hasLane: boolean;
  /** Whether there are snapshots, and a volume and a clone beside the first. */
  readonly isLayered: boolean;
}

/** A step that was begun. */
interface Begun {
  readonly step: OverlapStep;
  hasEnded: boolean;
}

/** Steps in a world. */
export class Overlap {
  /** Where they are taken. */
  readonly stage: Stage;
  /** Steps in flight. */
  readonly inFlight = new Set<Begun>();
  readonly #watch: Watch;
  #ended = 0;
  #failure: unknown;

  private constructor(stage: Stage, watch: Watch) {
    this.stage = stage;
    this.#watch = watch;
  }

  /**
   * Makes a world with an open pool.
   *
   * @param options What the world is like.
   * @param scene What happened before.
   * @param watch Faults that no caller receives.
   * @returns The world, with nothing in flight.
   */
  static async create(
    options: WorldOptions,
    scene: Scene,
    watch: Watch,
  ): Promise<Overlap> {
    const world = (await filledWorld(options, scene)).clone();
    world.disk.hasColdReads = scene.hasColdReads;
    await world.open();
    const bytesPerSecond = scene.isSlow ? SLOWLY : 0;
    const overlap = Overlap.open(world, bytesPerSecond, watch, scene.hasLane);
    await evacuateSome(world, scene);
    return overlap;
  }

  /**
   * Begins with a pool that was opened.
   *
   * @param world The world.
   * @param bytesPerSecond How fast chunks are evacuated.
   * @param watch Faults that no caller receives.
   * @param hasLane Whether a client has a thread of its own.
   * @returns The same world.
   */
  static open(
    world: World,
    bytesPerSecond: number,
    watch: Watch,
    hasLane: boolean,
  ): Overlap {
    const lane = hasLane
      ? new Lane(world.pool.volume(), world.disk)
      : undefined;
    lane?.lease(world.format.chunkSize);
    const commands = { begun: 0, ended: 0 };
    const stage = { world, lane, bytesPerSecond, commands, givenUp: [] };
    return new Overlap(stage, watch);
  }

  /** Changes whenever anything happens. */
  get activity(): number {
    const { operations } = this.stage.world.disk;
    return operations + simulatedTime().set + this.#ended + laneTurns.taken;
  }

  /**
   * Begins a step.
   *
   * @param step Which.
   * @param random Decides the rest.
   * @returns The step.
   */
  begin(step: OverlapStep, random: Random): Begun {
    const begun: Begun = { step, hasEnded: false };
    const { world } = this.stage;
    const { epoch } = world.disk;
    const { commands } = this.stage;
    const isCommand = COMMANDS.includes(step);
    this.inFlight.add(begun);
    if (isCommand) commands.begun++;
    const ended = (error?: unknown) => {
      begun.hasEnded = true;
      this.#ended++;
      if (isCommand) commands.ended++;
      this.inFlight.delete(begun);
      if (error === undefined || isFault(error, world, epoch)) return;
      this.#failure ??= new Error(`"${step}" failed: ${error}`, {
        cause: error,
      });
    };
    takeOverlapStep(this.stage, step, random).then(() => ended(), ended);
    return begun;
  }

  /**
   * Waits until all that was begun has ended, but for writes that wait for
   * space where there is none.
   *
   * @throws {Error} If anything else never ends, or anything is wrong.
   */
  async settle(): Promise<void> {
    let idle = 0;
    for (let turns = 0; this.inFlight.size > 0; turns++) {
      const before = this.activity;
      await turn();
      this.check();
      idle = before === this.activity && isAtRest() ? idle + 1 : 0;
      if (idle > IDLE_TURNS && this.#mayWait()) return;
      if (idle > IDLE_TURNS || turns > TURNS_MAX) throw this.#hangs();
    }
  }

  /**
   * Checks that no step has failed, and no fault happened that no caller
   * receives.
   *
   * @throws {Error} If anything is wrong.
   */
  check(): void {
    const [fault] = this.#watch.take();
    if (fault !== undefined) throw new Error(fault);
    if (this.#failure !== undefined) throw this.#failure;
    this.stage.world.checkTrouble();
  }

  /**
   * Ends the overlap: everything comes to rest and is checked, the pool is
   * stopped, if it is not, and opened again.
   *
   * @param random Decides what is left to chance.
   * @throws {Error} If a promise was broken.
   */
  async finish(random: Random): Promise<void> {
    const { world } = this.stage;
    await this.settle();
    if (world.refusals.length === 0) await this.#checkOpen();
    await world.close();
    await this.settle();
    if (this.inFlight.size > 0) throw this.#hangs();
    await this.#checkClosed();
    await world.restart("all", random);
    this.check();
  }

  /** Ends the overlap, with no more than a stop. */
  async abandon(): Promise<void> {
    await this.stage.world.close();
    await this.settle();
  }

  async #checkOpen(): Promise<void> {
    const { world } = this.stage;
    await world.settle();
    world.checkRunning();
    if (world.pool.status().state !== "open") return;
    await checkLive(world.pool);
    if (world.format.name === "native") await checkWalk(world.pool);
    checkChunks(world.pool);
    checkOpenFiles(world);
  }

  /** Nothing goes on once a pool is stopped. */
  async #checkClosed(): Promise<void> {
    const before = this.activity;
    for (let i = 0; i < IDLE_TURNS; i++) await turn();
    this.check();
    if (before === this.activity && isAtRest()) return;
    throw new Error("The pool was stopped, and something goes on");
  }

  /** Whether what is in flight may wait until there is room. */
  #mayWait(): boolean {
    const { pool } = this.stage.world;
    const { components, delayed, state } = pool.status();
    if (state !== "open") return false;
    const hasRoom = components.some((one) => !one.evacuating && one.free > 0);
    const commands = [...this.inFlight].some(({ step }) =>
      COMMANDS.includes(step)
    );
    return delayed.count > 0 && !hasRoom && !commands;
  }

  #hangs(): Error {
    const steps = [...this.inFlight].map(({ step }) => `"${step}"`).join(", ");
    const { world } = this.stage;
    return new Error(`${steps} never ends: ${summaryOf(world.pool)}`);
  }
}

/**
 * Whether nothing goes on by itself.
 *
 * @returns Whether there is no timer, and no turn that is due.
 */
export function isAtRest(): boolean {
  return simulatedTime().timers === 0 && turns.pending === 0;
}

/** Whether an error is what an operation that was made to fail leads to. */
function isFault(error: unknown, { disk }: World, epoch: number): boolean {
  const isHarmed = disk.isFaulty || disk.isDown || disk.epoch !== epoch;
  return isHarmed && error instanceof VirstorError;
}

/** Worlds of which copies are made, by what they are like. */
const filled = new Map<string, World>();

/** A world whose disk holds something, as a clean stop has left it. */
async function filledWorld(
  options: WorldOptions,
  scene: Scene,
): Promise<World> {
  const { directory, format, punches, isRemote } = options;
  const { leaving, isFull, isLayered } = scene;
  const key = JSON.stringify([
    ...[directory, format, punches, isRemote],
    ...[leaving, isFull, isLayered],
  ]);
  let world = filled.get(key);
  if (world === undefined) {
    world = World.create(options);
    world.disk.flushTurns = FLUSH_TURNS;
    world.onFull = "delay";
    await world.open();
    await fill(world, scene);
    await world.close();
    filled.set(key, world);
  }
  return world;
}

async function fill(world: World, scene: Scene): Promise<void> {
  const { chunkBlocks } = world;
  if (scene.isLayered) return await layer(world);
  if (scene.leaving === 2) await add(world, world.paths[2] ?? "");
  const { components, reservedChunks } = world.pool.status();
  const most = components.reduce((sum, { chunks }) => sum + chunks, 0) -
    reservedChunks;
  const mapped = scene.isFull ? most : MAPPED;
  for (let chunk = 0; chunk < mapped; chunk++) {
    await world.write(chunk * chunkBlocks + chunk % chunkBlocks, 1, false);
  }
  if (!scene.isFull) {
    for (const chunk of DISCARDED) {
      await world.discard(chunk * chunkBlocks, chunkBlocks);
    }
  }
  await world.settle();
}

async function evacuateSome(world: World, scene: Scene): Promise<void> {
  const rate = scene.isSlow ? SLOWLY : 0;
  for (const path of world.paths.slice(0, scene.leaving)) {
    await remove(world, path, rate);
  }
}

/**
 * Makes work that is done a turn at a time take more turns.
 *
 * @returns Restores how it was.
 */
export function shortTurns(): Disposable {
  const before = { ...TURN_BUDGET };
  const { spend } = Slice.prototype;
  TURN_BUDGET.unmappedChunks = 1;
  TURN_BUDGET.zeroedBytes = 512;
  TURN_BUDGET.sweptChunks = 1;
  Slice.prototype.spend = () => true;
  return {
    [Symbol.dispose]() {
      Object.assign(TURN_BUDGET, before);
      Slice.prototype.spend = spend;
    },
  };
}
