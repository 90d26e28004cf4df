/**
 * The long run of the fuzzer: `deno task fuzz [--seed N] [--for MINUTES]`. With
 * a seed alone, that conversation only; `--for` says how long it goes on.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import { fuzz } from "./fuzz_run.ts";

/** How long it goes on by default, minutes. */
const MINUTES = 5;

const args = parseArgs(Deno.args, { string: ["seed", "for"] });
const seed = Number(args.seed ?? Date.now() % 2 ** 31);
const minutes = Number(args.for ?? MINUTES);
if (!Number.isSafeInteger(seed) || seed < 0 || !(minutes > 0)) {
  throw new Error("Usage: deno task fuzz [--seed N] [--for MINUTES]");
}
const once = args.seed !== undefined && args.for === undefined;
const end = performance.now() + minutes * 60_000;
const { conversations, kept, judged, steady, lanes } = await fuzz({
  seed,
  goesOn: (count) => once ? count === 0 : performance.now() < end,
  onProgress: (count) => say(`${count} conversations from ${seed}`),
});
say(
  `${conversations} conversations from ${seed}, ${kept} of them not mutated: ` +
    `${judged} answers were right, and ${steady} of the good clients; ` +
    `${lanes} connections had threads\n`,
);

function say(text: string): void {
  const line = Deno.stdout.isTerminal() ? `\r${text}` : text;
  if (Deno.stdout.isTerminal() || text.endsWith("\n")) {
    Deno.stdout.writeSync(new TextEncoder().encode(line));
  }
}
