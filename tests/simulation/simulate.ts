/**
 * The long simulation: everything exhaustively, then random runs.
 *
 * `deno task simulate [--format NAME] [--overlap WHAT] [--remote]
 * [--sequence STEPS] [--twice] [--random] [--grow] [--seed N]
 * [--for MINUTES]`: with a
 * seed, that run only; with `--remote`, a component is on another machine;
 * `--overlap` is
 * `random`, `degraded`, the two steps of a pair with a comma in between, or a
 * step of which each operation fails; `--sequence` are steps, with commas in
 * between, that are interrupted anywhere in a pool with snapshots and clones,
 * and with `--twice` again while the pool is opened;
 * with `--grow`, components grow in random runs of format 2;
 * `--for` says how long the random runs go on, and `--random` leaves out all
 * others.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import type { FormatName } from "../../pool/mod.ts";
import { exhaust, type ExhaustOptions, exhaustSequence } from "./exhaustive.ts";
import { failEverywhere } from "./failing_operations.ts";
import { inWorlds } from "./in_worlds.ts";
import { randomRun } from "./random_run.ts";
import { LAYERED_STEPS } from "./steps.ts";
import { allFailures, allOverlaps, overlapAgain } from "./simulate_overlaps.ts";

/** Steps of a random run. */
const STEPS = 300;
/** From so many seeds every operation of every step fails. */
const FAILING_SEEDS = 8;
/** From so many seeds every pair of steps overlaps at every moment. */
const OVERLAP_SEEDS = 3;

/** So many steps in a pool with snapshots and clones, from so many seeds. */
const LAYERED_SEEDS: readonly [steps: number, seeds: number][] = [
  [0, 1],
  [1, 8],
  [2, 4],
  [3, 1],
];

const args = parseArgs(Deno.args, {
  string: ["seed", "for", "format", "overlap", "sequence"],
  boolean: ["random", "remote", "twice", "grow"],
});
const formats = formatsFrom(args.format);
const minutes = Number(args.for ?? 5);
await inWorlds(async (directory) => {
  if (args.seed === undefined) {
    if (!args.random) await all(directory);
    return await randomRuns(directory);
  }
  if (args.sequence !== undefined) {
    return await sequenceAgain(directory, args.sequence, Number(args.seed));
  }
  for (const format of formats) {
    const seed = Number(args.seed);
    const { overlap } = args;
    if (overlap !== undefined) {
      const isRemote = args.remote;
      await overlapAgain(overlap, { directory, format, seed, isRemote });
    } else {
      const isNative = format === "native";
      const grows = args.grow && isNative;
      const isRemote = args.remote && isNative;
      const how = { directory, format, seed, grows, isRemote };
      await randomRun({ ...how, steps: STEPS });
    }
  }
});

function formatsFrom(name: string | undefined): readonly FormatName[] {
  if (name === undefined) return ["freebsd", "native"];
  if (name === "freebsd" || name === "native") return [name];
  throw new Error(`There is no format "${name}": freebsd, native`);
}

async function all(directory: string): Promise<void> {
  for (const format of formats) {
    for (let seed = 1; seed <= OVERLAP_SEEDS; seed++) {
      const name = `${format}, every pair overlaps, seed ${seed}`;
      const runs = await allOverlaps(
        { directory, format, seed },
        (done, count) => say(`${name}: ${done} of ${count}`),
      );
      say(`${name}: ${runs} runs are sound\n`);
      if (format === "native") await remoteOverlaps(directory, seed);
      const failures = await allFailures({ directory, format, seed });
      say(`${format}, each operation fails, seed ${seed}: ${failures} runs\n`);
    }
  }
  for (const steps of [0, 1, 2, 3]) {
    for (const format of formats) {
      for (const punches of [true, false]) {
        const options = { directory, format, punches, steps };
        await allSequences(options);
        if (steps < 2) await allSequences({ ...options, twice: true });
      }
    }
  }
  if (formats.includes("native")) {
    await allRemoteSequences(directory);
    await allLayeredSequences(directory);
  }
  for (const format of formats) {
    for (let seed = 1; seed <= FAILING_SEEDS; seed++) {
      for (const punches of [true, false]) {
        await failEverywhere({ directory, format, punches, seed });
      }
    }
    say(`${format}, every operation fails: sound\n`);
  }
}

/** Every pair overlaps in a pool with a component on another machine. */
async function remoteOverlaps(directory: string, seed: number): Promise<void> {
  const name = `remote, every pair overlaps, seed ${seed}`;
  const runs = await allOverlaps(
    { directory, format: "native", seed, isRemote: true },
    (done, count) => say(`${name}: ${done} of ${count}`),
  );
  say(`${name}: ${runs} runs are sound\n`);
}

/** Every sequence of up to one step, with a component on another machine. */
async function allRemoteSequences(directory: string): Promise<void> {
  const world = { directory, format: "native", isRemote: true } as const;
  for (const punches of [true, false]) {
    for (const steps of [0, 1]) {
      await allSequences({ ...world, punches, steps });
    }
  }
}

/** One sequence in a pool with snapshots and clones. */
async function sequenceAgain(
  directory: string,
  text: string,
  seed: number,
): Promise<void> {
  const sequence = text.split(",").map((name) => {
    const step = LAYERED_STEPS.find((one) => one === name.trim());
    if (step !== undefined) return step;
    throw new Error(`There is no step "${name}": ${LAYERED_STEPS.join(", ")}`);
  });
  for (const punches of [true, false]) {
    const options = { directory, format: "native", punches, seed } as const;
    const steps = sequence.length;
    const { twice } = args;
    const layered = { ...options, steps, isLayered: true, twice };
    await exhaustSequence(sequence, layered);
  }
}

/** Every sequence of one to three steps in a pool with snapshots and clones. */
async function allLayeredSequences(directory: string): Promise<void> {
  for (const punches of [true, false]) {
    const options = { directory, format: "native", punches } as const;
    for (const [steps, seeds] of LAYERED_SEEDS) {
      for (let seed = 1; seed <= seeds; seed++) {
        await allSequences({ ...options, isLayered: true, steps, seed });
      }
    }
    const once = { ...options, isLayered: true, steps: 1, twice: true };
    await allSequences(once);
  }
}

async function allSequences(options: ExhaustOptions): Promise<void> {
  const { format, punches, steps, twice, isLayered, seed = 1 } = options;
  const name = `${format}, ${punches ? "with" : "without"} holes` +
    `${isLayered ? " and with snapshots" : ""}${
      options.isRemote === true ? ", far away" : ""
    }, ${steps} steps, seed ${seed}, ` +
    `interrupted ${twice ? "twice" : "once"}`;
  const runs = await exhaust({
    ...options,
    checkRaw: steps < 3,
    onProgress: (done, count) => say(`${name}: ${done} of ${count}`),
  });
  say(`${name}: ${runs} runs are sound\n`);
}

async function randomRuns(directory: string): Promise<void> {
  // The other clock is that of the worlds.
  const end = Date.now() + minutes * 60_000;
  const first = Date.now() % 2 ** 31;
  // Said first: a run that never ends says nothing.
  say(`random runs from seed ${first}\n`);
  let run = 0;
  for (; Date.now() < end; run++) {
    for (const format of formats) {
      const options = { directory, format, seed: first + run };
      await randomRun({ ...options, steps: STEPS });
      await overlapAgain("random", options);
      if (format === "freebsd") continue;
      const far = { ...options, isRemote: true };
      await overlapAgain("random", far);
      await randomRun({ ...far, steps: STEPS });
      await randomRun({ ...options, steps: STEPS, grows: true });
    }
    if (run % 10 === 0) say(`${run} random runs from seed ${first}`);
  }
  say(`${run} random runs from seed ${first} are sound\n`);
}

function say(text: string): void {
  const line = Deno.stdout.isTerminal() ? `\r${text}` : text;
  if (Deno.stdout.isTerminal() || text.endsWith("\n")) {
    Deno.stdout.writeSync(new TextEncoder().encode(line));
  }
}
