/**
 * Lives of remote components, for as long as the arguments say:
 * `simulate_journal.ts [--for MINUTES] [--seed N] [--lives N]`.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import { liveJournal } from "./journal_life.ts";

const { for: minutes, seed, lives } = parseArgs(Deno.args, {
  string: ["for", "seed", "lives"],
  default: { for: "1", seed: "1", lives: "1000000000" },
});
const end = performance.now() + Number(minutes) * 60_000;
const total = {
  ...{ changes: 0, crashes: 0, recovered: 0, waits: 0, faults: 0, lost: 0 },
};
let count = 0;
for (; count < Number(lives) && performance.now() < end; count++) {
  const life = Number(seed) + count;
  const hasOwner = life % 2 === 0;
  const options = { seed: life, steps: 60, crashes: 8, hasOwner };
  try {
    const result = await liveJournal(options);
    total.changes += result.changes;
    total.crashes += result.crashes;
    total.recovered += result.recovered;
    total.waits += result.waits;
    total.faults += result.faults;
    total.lost += result.lost;
  } catch (error) {
    // deno-lint-ignore no-console
    console.log(`--seed ${options.seed} --lives 1: ${error}`);
    // deno-lint-ignore no-console
    if (error instanceof Error) console.log(error.stack);
    Deno.exit(1);
  }
}
// deno-lint-ignore no-console
console.log(`${count} lives: ${JSON.stringify(total)}`);
