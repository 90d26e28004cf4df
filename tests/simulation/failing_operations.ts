/**
 * Every step with a fault at its first operation, at its second, and so on,
 * until none is left that could fail.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { START, stepsOf } from "./exhaustive.ts";
import { Random } from "./random.ts";
import type { Fault } from "./simulated_disk.ts";
import type { Step } from "./steps.ts";
import { turn } from "./turns.ts";
import { World, type WorldOptions } from "./world.ts";

const KINDS: readonly Fault["kind"][] = ["change", "flush", "read", "full"];
/** What comes after the step: a pool that has not failed has to go on. */
const AFTER: readonly Step[] = ["write across chunks", "first write", "flush"];

/** So many turns go on beside the requests: it may not come to rest. */
const TURNS = 20;

/** What to go through. */
export interface FailingOptions extends WorldOptions {
  /** Decides what the steps touch. */
  readonly seed: number;
}

/**
 * Lets every operation of every step fail, once and for ever.
 *
 * @param options Which.
 * @returns How many runs there were.
 * @throws {Error} At the first broken promise, saying how to get there.
 */
export async function failEverywhere(options: FailingOptions): Promise<number> {
  let runs = 0;
  for (const step of stepsOf(options.format)) {
    for (const kind of KINDS) {
      for (const persistent of [false, true]) {
        let hasFailed = true;
        for (let first = 0; hasFailed; first++, runs++) {
          const fault = { kind, first, persistent };
          try {
            hasFailed = await failOnce(step, fault, options);
          } catch (error) {
            throw new Error(
              `During "${step}" (seed ${options.seed}, holes ` +
                `${options.punches}) with ${JSON.stringify(fault)}: ${error}`,
              { cause: error },
            );
          }
        }
      }
    }
  }
  return runs;
}

/** Takes a step with a fault; returns whether anything has failed. */
async function failOnce(
  step: Step,
  fault: Fault,
  options: FailingOptions,
): Promise<boolean> {
  const random = new Random(options.seed);
  const world = World.create(options);
  await world.open();
  for (const one of START) await world.take(one, random);
  world.disk.setFault(fault);
  await attempt(() => world.take(step, random));
  for (const one of AFTER) await attempt(() => world.take(one, random));
  for (let i = 0; i < TURNS; i++) await turn();
  const { hasFailed } = world.disk;
  for (const survivors of ["all", "some"] as const) {
    await world.clone().restart(survivors, random);
  }
  return hasFailed;
}

/** Does what may fail. */
async function attempt(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof VirstorError)) throw error;
  }
}
