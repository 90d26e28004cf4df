/**
 * A process that writes to a remote component until it is killed:
 * `journal_process.ts URI JOURNAL BLOCKS SEED`. For each write that is
 * acknowledged it prints `BLOCK VERSION`, for each good flush `flush COUNT`,
 * the number of lines about writes that it covers.
 *
 * @module
 */

import { Random } from "../simulation/random.ts";
import { openOwned } from "./journaled.ts";
import { BLOCK } from "./verified_load.ts";

const [uri = "", path = "", blocks = "", seed = ""] = Deno.args;
const count = Number(blocks);
const random = new Random(Number(seed));
const component = await openOwned(uri, path);
const content = new Uint8Array(count * BLOCK);
await component.read(content, 0);
const words = new Uint32Array(content.buffer);
const versions = Array.from(
  { length: count },
  (_, block) => words[block * BLOCK / 4] ?? 0,
);
let printed = 0;

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function write(): Promise<void> {
  const block = random.below(count);
  const version = (versions[block] ?? 0) + 1;
  const bytes = new Uint32Array(BLOCK / 4);
  for (let i = 0; i < bytes.length; i += 2) {
    bytes[i] = version;
    bytes[i + 1] = block;
  }
  await component.write(new Uint8Array(bytes.buffer), block * BLOCK);
  versions[block] = version;
  print(`${block} ${version}`);
  printed += 1;
}

async function flush(): Promise<void> {
  const covered = printed;
  await component.flush();
  print(`flush ${covered}`);
}

for (;;) {
  for (let i = random.below(40); i >= 0; i--) await write();
  if (random.chance(30)) await flush();
  // The drain has a turn.
  await new Promise((resolve) => setTimeout(resolve, random.below(2)));
}
