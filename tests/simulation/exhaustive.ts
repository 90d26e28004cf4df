/**
 * Every sequence of a few steps, cut off before every change of a file.
 *
 * @module
 */

import { Random } from "./random.ts";
import type { Survivors } from "./simulated_disk.ts";
import type { Step } from "./world.ts";
import { STEPS, World } from "./world.ts";

/** How often chance decides what survives a cut. */
const CHANCES = 3;

/** What to go through. */
export interface ExhaustOptions {
  /** Where paths are. */
  readonly directory: string;
  /** Whether holes can be punched. */
  readonly punches: boolean;
  /** How many steps a sequence has. */
  readonly steps: number;
  /** Whether FreeBSD's checker looks at every outcome. */
  readonly checkRaw: boolean;
  /** Flushes that are left out. */
  readonly skipsFlush?: (flush: number) => boolean;
  /** Told now and then how far it is. */
  readonly onProgress?: (done: number, all: number) => void;
}

/**
 * Goes through all sequences.
 *
 * @param options Which.
 * @returns How many runs there were.
 * @throws {Error} At the first broken promise, saying how to get there.
 */
export async function exhaust(options: ExhaustOptions): Promise<number> {
  let runs = 0;
  const sequences = sequencesOf(options.steps);
  for (const [done, sequence] of sequences.entries()) {
    runs += await exhaustSequence(sequence, options);
    options.onProgress?.(done + 1, sequences.length);
  }
  return runs;
}

function sequencesOf(steps: number): Step[][] {
  if (steps === 0) return [[]];
  return sequencesOf(steps - 1).flatMap((start) =>
    STEPS.map((step) => [...start, step])
  );
}

async function exhaustSequence(
  sequence: readonly Step[],
  options: ExhaustOptions,
): Promise<number> {
  const whole = await play(sequence, options, Infinity);
  const last = whole.disk.changes;
  let runs = 0;
  for (let cut = 0; cut <= last; cut++) {
    const world = await play(sequence, options, cut);
    const fates: Survivors[] = ["all", "none"];
    for (let i = 0; i < CHANCES; i++) fates.push("some");
    for (const [i, survivors] of fates.entries()) {
      const random = new Random(cut * 100 + i);
      const raw = options.checkRaw ? options.directory : undefined;
      try {
        await world.clone().restart(survivors, random, raw);
      } catch (error) {
        throw new Error(
          `After "${sequence.join('", "')}", cut off before change ${cut} of ` +
            `${last}, with ${survivors} surviving (${i}): ${error}`,
          { cause: error },
        );
      }
      runs++;
    }
  }
  return runs;
}

/** Plays a sequence up to a cut. Chance is the same each time. */
async function play(
  sequence: readonly Step[],
  options: ExhaustOptions,
  cut: number,
): Promise<World> {
  const world = World.create(options.directory, options.punches);
  const { disk } = world;
  if (options.skipsFlush !== undefined) disk.skipsFlush = options.skipsFlush;
  disk.crashAt(cut);
  const random = new Random(sequence.length);
  try {
    await world.open();
    // Something to overwrite, to lose and to keep.
    await world.take("first write", random);
    await world.take("overwrite", random);
    await world.take("flush", random);
    for (const step of sequence) await world.take(step, random);
  } catch (error) {
    if (!disk.isDown) throw error;
  }
  return world;
}
