/**
 * The long simulation of steps that overlap.
 *
 * @module
 */

import type { FormatName } from "../../pool/mod.ts";
import { shortTurns } from "./overlap.ts";
import { failInFlight, failingFrom, readDegraded } from "./overlap_faults.ts";
import { allPairs, pairFrom, runMoments } from "./overlap_pairs.ts";
import { OVERLAP_STEPS, overlapRun } from "./overlap_run.ts";
import { type OverlapStep, overlapSteps } from "./overlap_steps.ts";
import { watchForFaults } from "./watch.ts";

/** What to run. */
export interface OverlapsOptions {
  /** Where the files of worlds are. */
  readonly directory: string;
  /** The format of the pool. */
  readonly format: FormatName;
  /** Decides everything else. */
  readonly seed: number;
  /** Whether a component is on another machine; format 2 only. */
  readonly isRemote?: boolean;
}

/**
 * Runs one overlap again, as a failure says.
 *
 * @param what `random`; `degraded`; the two steps of a pair, with a comma in
 *   between; or one step, of which each operation fails.
 * @param options Which.
 */
export async function overlapAgain(
  what: string,
  options: OverlapsOptions,
): Promise<void> {
  using watch = watchForFaults();
  using _short = shortTurns();
  if (what === "random") {
    return await overlapRun({ ...options, steps: OVERLAP_STEPS }, watch);
  }
  if (what === "degraded") {
    const { directory } = options;
    const world = { directory, format: "native", punches: true } as const;
    return void await readDegraded(world, watch);
  }
  const [first, second] = what.split(",").map((step) =>
    stepFrom(step, options.format)
  );
  if (first === undefined) throw new Error(`There is no step: "${what}"`);
  if (second === undefined) {
    const failing = failingFrom({ ...options, step: first });
    return void await failInFlight(failing, watch);
  }
  await runMoments(pairFrom({ ...options, first, second }), Infinity, watch);
}

/**
 * Lets every operation of every step fail.
 *
 * @param options The format, and a seed.
 * @returns How many runs there were.
 */
export async function allFailures(options: OverlapsOptions): Promise<number> {
  using watch = watchForFaults();
  using _short = shortTurns();
  let runs = 0;
  for (const step of overlapSteps(options.format)) {
    runs += await failInFlight(failingFrom({ ...options, step }), watch);
  }
  return runs;
}

/**
 * Runs every pair at every moment.
 *
 * @param options The format, and a seed.
 * @param onProgress Called now and then with the progress.
 * @returns How many runs there were.
 */
export async function allOverlaps(
  options: OverlapsOptions,
  onProgress: (done: number, all: number) => void,
): Promise<number> {
  using watch = watchForFaults();
  using _short = shortTurns();
  const pairs = allPairs(options.format);
  let runs = 0;
  for (const [done, [first, second]] of pairs.entries()) {
    const pair = pairFrom({ ...options, first, second });
    runs += await runMoments(pair, Infinity, watch);
    onProgress(done + 1, pairs.length);
  }
  return runs;
}

function stepFrom(name: string, format: FormatName): OverlapStep {
  const steps = overlapSteps(format);
  const step = steps.find((one) => one === name.trim());
  if (step !== undefined) return step;
  throw new Error(`There is no step "${name}": ${steps.join(", ")}`);
}
