/**
 * Goal: long work is done in slices, one in each turn of the event loop, and
 * owners have theirs in turn. Method: jobs note when they run, beside timers
 * and immediates that tell the turns apart.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { Slice, SLICE_MS, Turns } from "../../../device/block/mod.ts";

/** Runs slices of an owner, and notes each. */
async function work(
  turns: Turns,
  owner: object,
  name: string,
  slices: number,
  log: string[],
): Promise<void> {
  for (let i = 0; i < slices; i++) {
    await turns.next(owner);
    log.push(`${name}${i}`);
  }
}

Deno.test("owners have slices in turn, whatever they have pending", async () => {
  const turns = new Turns();
  const [greedy, modest] = [{}, {}];
  const log: string[] = [];
  const jobs = Array.from(
    { length: 100 },
    (_, i) => work(turns, greedy, `greedy${i}.`, 2, log),
  );
  await work(turns, modest, "modest", 3, log);
  await Promise.all(jobs);
  assertEquals(log.length, 203);
  const at = [0, 1, 2].map((i) => log.indexOf(`modest${i}`));
  assert((at[2] ?? 999) <= 6, `the modest one had its slices at ${at}`);
  // Those of one owner come in the order in which they were asked for.
  const firsts = log.filter((name) => /^greedy\d+\.0$/.test(name));
  assertEquals(firsts, jobs.map((_, i) => `greedy${i}.0`));
});

Deno.test("there is one slice in a turn of the event loop", async () => {
  const turns = new Turns();
  let turn = 0;
  let isOver = false;
  const count = () => {
    turn++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const seen: number[] = [];
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      await turns.next({});
      seen.push(turn);
    }),
  );
  isOver = true;
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(new Set(seen).size, 20, `in turns ${seen}`);
});

Deno.test("timers and sockets have their turn between slices", async () => {
  const turns = new Turns();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let isOver = false;
  const echo = (async () => {
    using end = await listener.accept();
    const byte = new Uint8Array(1);
    for (let i = 0; i < 5; i++) {
      await end.read(byte);
      await end.write(byte);
    }
  })();
  const busy = (async () => {
    const owner = {};
    let slices = 0;
    for (; !isOver && slices < 10_000; slices++) {
      await turns.next(owner);
      for (const end = performance.now() + 1; performance.now() < end;);
    }
    return slices;
  })();
  using client = await Deno.connect({ port: listener.addr.port });
  const byte = new Uint8Array(1);
  for (let i = 0; i < 5; i++) {
    await client.write(byte);
    await client.read(byte);
  }
  await new Promise((resolve) => setTimeout(resolve));
  isOver = true;
  await echo;
  assert(await busy < 10_000, "the work went on meanwhile");
});

Deno.test("a bell is rung for each slice, until it fails", async () => {
  const turns = new Turns();
  let rings = 0;
  const bell = async () => {
    await new Promise((resolve) => setImmediate(() => resolve(undefined)));
    if (++rings === 3) throw new Error("It is broken");
  };
  turns.addBell(bell);
  const log: string[] = [];
  await work(turns, {}, "", 5, log);
  assertEquals([rings, log.length], [3, 5]);
  turns.addBell(bell);
  turns.removeBell(bell);
  await work(turns, {}, "", 1, log);
  assertEquals(rings, 3);
});

/** Lets time pass. */
function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

Deno.test("a slice looks at the clock every so many steps", () => {
  const slice = new Slice(10);
  assertEquals(slice.spend(9), false);
  assertEquals(slice.spend(1), true, "it has not begun");
  const other = new Slice(10);
  other.begin();
  spin(SLICE_MS);
  assertEquals(other.spend(9), false);
  assertEquals(other.spend(1), true);
});

Deno.test("a slice whose steps are slow looks oftener", () => {
  const slice = new Slice(64);
  let most = 0;
  for (let round = 0; round < 5; round++) {
    slice.begin();
    let steps = 1;
    for (spin(1); !slice.spend(1); steps++) spin(1);
    if (round > 0) most = Math.max(most, steps);
  }
  assert(most <= 20, `${most} steps of a millisecond`);
  slice.begin();
  let steps = 1;
  for (spin(1); !slice.spend(1); steps++) spin(1);
  assert(steps <= 3, `${steps} steps in the end`);
});
