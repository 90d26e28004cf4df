/**
 * Kills far servers under a verified load, and pulls the links to them, for as
 * long as its arguments say:
 * `deno task remote [--for MINUTES] [--seed N] [--only NAME]`.
 *
 * @module
 */

import { parseArgs } from "@std/cli";
import { hasPeer } from "../helpers/peers.ts";
import { makeScratch } from "../helpers/scratch.ts";
import { RemoteComponent } from "../../pool/remote/mod.ts";
import { openJournal } from "./journaled.ts";
import { FAR_SIDES } from "./far_sides.ts";
import { killUnderFio } from "./fio_load.ts";
import { killAgainAndAgain } from "./killed_servers.ts";
import { NETWORK_FAULTS, underFault } from "./network_faults.ts";
import { reasonAgainst } from "./two_machines.ts";
import { BLOCK } from "./verified_load.ts";

const BLOCKS = 4096;
/** Rounds of a network fault in a minute. */
const ROUNDS = 5;
/** Milliseconds between two kills. */
const PAUSE_MS = 1000;

const { for: minutes, seed, only } = parseArgs(Deno.args, {
  string: ["for", "seed", "only"],
  default: { for: "1", seed: `${Date.now() % 1_000_000}`, only: "" },
});
/** Each far side by itself, as a remote component, and under fio. */
const RUNS = Object.entries(FAR_SIDES).flatMap(([name, side]) => [
  { name: `${name}, by itself`, side, way: "plain" },
  { name: `${name}, through a journal`, side, way: "journal" },
  { name: `${name}, under fio`, side, way: "fio" },
]);
for (const { name, side, way } of RUNS) {
  if (!name.includes(only)) continue;
  if (!hasPeer(side.peer)) {
    // deno-lint-ignore no-console
    console.log(`${name}: "${side.peer}" is not installed`);
    continue;
  }
  await using scratch = await makeScratch();
  const image = scratch.file("image");
  await Deno.writeFile(image, new Uint8Array(BLOCKS * BLOCK));
  await using far = await side.start(scratch, image);
  const underFio = () =>
    killUnderFio({
      far,
      directory: scratch.path,
      seconds: Number(minutes) * 60,
      pauseMs: PAUSE_MS,
      size: BLOCKS * BLOCK,
    });
  const end = performance.now() + Number(minutes) * 60_000;
  // deno-lint-ignore no-console
  console.log(`${name}: ${minutes} min, --seed ${seed}`);
  const result = way === "fio" ? await underFio() : await killAgainAndAgain({
    far,
    image,
    seed: Number(seed),
    blocks: BLOCKS,
    writes: 1,
    pauseMs: PAUSE_MS,
    isEnough: () => performance.now() > end,
    ...way === "journal" && {
      over: async (disk) => {
        const journal = await openJournal(scratch.file("journal"), disk);
        return new RemoteComponent({ path: far.uri, far: disk, journal });
      },
    },
  });
  // deno-lint-ignore no-console
  console.log(`${name}: ${JSON.stringify(result)}`);
}

const against = reasonAgainst();
for (const name of Object.keys(NETWORK_FAULTS)) {
  const title = `another machine, ${name}`;
  if (!title.includes(only)) continue;
  const rounds = Math.ceil(Number(minutes) * ROUNDS);
  // 10 s without a link is what a network may need to find another way.
  const result = against ?? await underFault(name, { ms: 10_000, rounds });
  // deno-lint-ignore no-console
  console.log(`${title}: ${JSON.stringify(result)}`);
}
