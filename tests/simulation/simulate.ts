/**
 * The long simulation: everything exhaustively, then random runs.
 *
 * `deno task simulate [--seed N] [--for MINUTES]`: with a seed, that run only.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import { exhaust } from "./exhaustive.ts";
import { randomRun } from "./random_run.ts";

const { seed, ...options } = parseArgs(Deno.args, { string: ["seed", "for"] });
const minutes = Number(options.for ?? 5);
const directory = await Deno.makeTempDir({ prefix: "virstor-simulation-" });
try {
  for (const name of ["a", "b", "c", "d"]) {
    await Deno.writeFile(`${directory}/${name}`, new Uint8Array());
  }
  if (seed === undefined) await all();
  else await randomRun({ directory, seed: Number(seed), steps: 300 });
} finally {
  await Deno.remove(directory, { recursive: true });
}

async function all(): Promise<void> {
  const end = performance.now() + minutes * 60_000;
  for (const steps of [1, 2, 3]) {
    for (const punches of [true, false]) {
      const runs = await exhaust({
        directory,
        punches,
        steps,
        checkRaw: steps < 3,
        onProgress: (done, count) => say(`${steps} steps: ${done} of ${count}`),
      });
      say(`${steps} steps, holes ${punches}: ${runs} runs are sound\n`);
    }
  }
  const first = Date.now() % 2 ** 31;
  let run = 0;
  for (; performance.now() < end; run++) {
    await randomRun({ directory, seed: first + run, steps: 300 });
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
