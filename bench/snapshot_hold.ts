/**
 * How long a snapshot of a full disk of 1 TiB, and what else looks at all of
 * its chunks, holds up writes: the longest time that the event loop works
 * between two of them. Time of the processor counts, so that other programs of
 * the machine do not.
 *
 * ```sh
 * deno run -A bench/snapshot_hold.ts DIRECTORY
 * ```
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { labelPool, openPool } from "../pool/mod.ts";
import { mapAll } from "./mapped_component.ts";

const TIB = 2 ** 40;
const CHUNK_SIZE = 256 * 1024;
/** Chunks that are written to. */
const WRITTEN = 1000;
const SNAPSHOTS = ["a", "b", "c", "d", "e", "f"];
/** `CLOCK_THREAD_CPUTIME_ID` of Linux. */
const THREAD_CLOCK = 3;

const libc = Deno.dlopen("libc.so.6", {
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
});
const time = new BigInt64Array(2);

/** The time that this thread has worked, milliseconds. */
function worked(): number {
  libc.symbols.clock_gettime(THREAD_CLOCK, time);
  return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
}

const [directory = "."] = Deno.args;
const path = `${directory}/mapped`;
await labelPool({
  ...{ name: "mapped", paths: [path], createSize: TIB + 2 ** 32 },
  ...{ virtualSize: TIB, chunkSize: CHUNK_SIZE, format: "native" },
});
mapAll(path, CHUNK_SIZE, TIB);
const pool = await openPool([path]);
const volume = pool.volume();
const data = new Uint8Array(4096).fill(1);
let [longest, writes, isOver] = [0, 0, false];

async function write(): Promise<void> {
  let last = worked();
  for (let i = 0; !isOver; i++) {
    await volume.write(data, (i * 7919 % WRITTEN) * CHUNK_SIZE);
    writes++;
    const now = worked();
    longest = Math.max(longest, now - last);
    last = now;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function measure(what: string, act: () => unknown): Promise<void> {
  [longest, writes] = [0, 0];
  await act();
  const text = `${what}: ${longest.toFixed(2)} ms, ${writes} writes meanwhile`;
  // deno-lint-ignore no-console -- this is what it is for
  console.log(text);
}

const writing = write();
const names = SNAPSHOTS.map((snapshot) => ({ volume: "mapped", snapshot }));
await measure(
  "nothing else",
  () => new Promise((resolve) => setTimeout(resolve, 500)),
);
for (const name of names) {
  await measure(
    `snapshot ${name.snapshot}`,
    () => pool.snapshotChanges.take([name]),
  );
}
await measure("sizes of all", () => pool.describeVolumes());
await measure(
  "plan of a removal",
  () => pool.snapshotChanges.planRemoval(names),
);
await measure("removal", () => pool.snapshotChanges.removeSome(names));
isOver = true;
await writing;
await pool.close();
await Deno.remove(path);
