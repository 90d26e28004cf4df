/**
 * A long run of random steps, several in flight, with stops, kills, power cuts
 * and faults, all from one seed.
 *
 * @module
 */

import type { FormatName } from "../../pool/mod.ts";
import { isAtRest, Overlap } from "./overlap.ts";
import { type OverlapStep, overlapSteps } from "./overlap_steps.ts";
import { Random } from "./random.ts";
import type { Fault, Survivors } from "./simulated_disk.ts";
import { turn } from "./turns.ts";
import type { Watch } from "./watch.ts";
import { World } from "./world.ts";

/** Steps of a run, unless there is a reason for another number. */
export const OVERLAP_STEPS = 60;

/** Steps in flight at most. */
const IN_FLIGHT = 6;
/** After so many steps the power is cut, or the process killed, at last. */
const STEPS_BEFORE_CUT = 12;
/** Nothing of a process that was killed goes on for as many turns. */
const DEAD_TURNS = 1000;
/** The most turns of the event loop that a flush takes. */
const FLUSH_TURNS = 3;
/** Bytes a second at which evacuations may go on. */
const RATES: readonly number[] = [0, 0, 85_000];

/** What to run. */
export interface OverlapRunOptions {
  /** Where the files of worlds are. */
  readonly directory: string;
  /** The format of the pool. */
  readonly format: FormatName;
  /** Decides everything else. */
  readonly seed: number;
  /** How many steps. */
  readonly steps: number;
  /** Whether a component is on another machine. */
  readonly isRemote?: boolean;
}

/**
 * Runs random steps.
 *
 * @param options How many, from which seed.
 * @param watch Faults that no caller receives.
 * @throws {Error} At the first broken promise, saying how to run it again.
 */
export async function overlapRun(
  options: OverlapRunOptions,
  watch: Watch,
): Promise<void> {
  const { format, seed, steps, isRemote = false } = options;
  const run = new OverlapRun(options, watch);
  try {
    await run.open();
    for (let i = 0; i < steps; i++) await run.step();
    await run.finish();
  } catch (error) {
    throw new Error(
      `Seed ${seed}: ${error} after ${run.trail.join(", ")} (again with: ` +
        `deno task simulate --format ${format} --overlap random ` +
        `--seed ${seed}${isRemote ? " --remote" : ""})`,
      { cause: error },
    );
  }
}

class OverlapRun {
  /** What was done. */
  readonly trail: string[] = [];
  readonly #random: Random;
  readonly #world: World;
  readonly #watch: Watch;
  /** Steps of the format, as often as this run prefers them. */
  readonly #steps: readonly OverlapStep[];
  readonly #hasLane: boolean;
  #overlap: Overlap | undefined;
  /** Whether something fails soon, or has failed. */
  #isDoomed = false;

  constructor(options: OverlapRunOptions, watch: Watch) {
    const { directory, format, seed, isRemote = false } = options;
    const random = new Random(seed);
    const punches = random.chance(70);
    const world = World.create({ directory, format, punches, isRemote });
    world.disk.flushTurns = FLUSH_TURNS;
    world.disk.hasColdReads = random.chance(40);
    world.onFull = "delay";
    this.#hasLane = random.chance(60);
    // Each run prefers some steps and does without others.
    this.#steps = overlapSteps(format).flatMap((step) => {
      const weight = random.pick([0, 1, 1, 3, 6]);
      const isPossible = !step.startsWith("close") &&
        (this.#hasLane || !step.startsWith("lane"));
      return isPossible ? new Array<OverlapStep>(weight).fill(step) : [];
    });
    this.#random = random;
    this.#world = world;
    this.#watch = watch;
  }

  async open(): Promise<void> {
    await this.#world.open();
    this.#overlap = Overlap.open(
      this.#world,
      this.#random.pick(RATES),
      this.#watch,
      this.#hasLane,
    );
  }

  async step(): Promise<void> {
    switch (this.#random.below(40)) {
      case 0:
        return await this.#rest();
      case 1:
        return await this.#stop();
      case 2:
        return await this.#kill();
      case 3:
        return await this.#cut();
      case 4:
        return await this.#fault();
      default:
        return await this.#begin();
    }
  }

  async finish(): Promise<void> {
    await this.#now.finish(this.#random);
  }

  get #now(): Overlap {
    if (this.#overlap === undefined) throw new Error("The pool is not open");
    return this.#overlap;
  }

  async #begin(): Promise<void> {
    const random = this.#random;
    const overlap = this.#now;
    if (overlap.inFlight.size >= IN_FLIGHT) return await this.#rest();
    const step = this.#steps.length > 0 ? random.pick(this.#steps) : "flush";
    this.trail.push(step);
    overlap.begin(step, new Random(random.below(2 ** 31)));
    if (random.chance(30)) return;
    if (random.chance(40)) {
      for (let i = random.below(6); i >= 0; i--) await turn();
    }
    for (let i = random.below(20); i > 0; i--) await Promise.resolve();
    overlap.check();
  }

  /** What is in flight ends. */
  async #rest(): Promise<void> {
    this.trail.push("rest");
    await this.#now.settle();
    // There will be no room for those that wait.
    for (const one of this.#now.stage.givenUp.splice(0)) one.abort();
    await this.#now.settle();
    if (this.#isDoomed) return;
    if (this.#now.inFlight.size > 0) return await this.#stop();
    this.#world.checkRunning();
  }

  /** The pool is stopped while steps are in flight. */
  async #stop(): Promise<void> {
    if (this.#random.chance(30)) await this.#closeVolume();
    this.trail.push("stop");
    this.#now.begin("close", this.#random);
    await this.#now.finish(this.#random);
    await this.open();
  }

  /** The volume is closed, and the pool goes on for a while. */
  async #closeVolume(): Promise<void> {
    this.trail.push("close volume");
    this.#now.begin("close volume", this.#random);
    for (let i = this.#random.below(8); i > 0; i--) await this.#begin();
  }

  /** The process is killed, or the power goes, while steps are in flight. */
  async #kill(): Promise<void> {
    const survivors = this.#random.pick<Survivors>(["all", "none", "some"]);
    this.trail.push(`cut (${survivors})`);
    await this.#world.restart(survivors, this.#random);
    this.#isDoomed = false;
    // The process that was killed comes to its end, too.
    for (let i = 0; i < DEAD_TURNS && !isAtRest(); i++) await turn();
    await this.open();
  }

  /** The power goes in the middle of what a step does at once. */
  async #cut(): Promise<void> {
    const { disk } = this.#world;
    this.trail.push("soon");
    this.#isDoomed = true;
    disk.crashAt(disk.changes + this.#random.below(16));
    for (let i = 0; i < STEPS_BEFORE_CUT && !disk.isDown; i++) {
      await this.#begin();
    }
    await this.#kill();
  }

  async #fault(): Promise<void> {
    const random = this.#random;
    const fault: Fault = {
      kind: random.pick<Fault["kind"]>(["change", "flush", "read", "full"]),
      first: random.below(8),
      persistent: random.chance(50),
    };
    this.trail.push(`fault ${JSON.stringify(fault)}`);
    this.#world.disk.setFault(fault);
    this.#isDoomed = true;
    for (let i = random.below(STEPS_BEFORE_CUT); i >= 0; i--) {
      await this.#begin();
    }
    if (random.chance(50)) await this.#now.settle();
    await this.#kill();
  }
}
