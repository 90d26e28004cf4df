/**
 * Random lives of pools with volumes and snapshots:
 * `deno run -A tests/simulation/simulate_volumes.ts FIRST COUNT [STEPS] [limited]`.
 *
 * @module
 */

import { runLives } from "./volumes_steps.ts";

const [first = 1, count = 100, steps = 60] = Deno.args.slice(0, 3).map(Number);
const seeds = Array.from({ length: count }, (_, i) => first + i);
const isLimited = Deno.args.includes("limited");
await runLives(seeds, steps, () => {}, { isLimited });
const said = `${count} lives from seed ${first} are sound\n`;
Deno.stdout.writeSync(new TextEncoder().encode(said));
