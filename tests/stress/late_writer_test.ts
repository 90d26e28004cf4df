/**
 * Goal: a chunk that discards have left without data is given back, and no
 * write of a thread that has the chunk leased is lost by that, however close
 * the two are. Method: in each round a thread writes a block of a chunk without
 * data at about the time at which another block of it is discarded.
 *
 * `VIRSTOR_STRESS_SECONDS` says how long it goes on.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { openSmallPool, SMALL_CHUNK } from "../helpers/scratch.ts";
import { makeQuickScratch } from "../helpers/small_pools.ts";
import { testNatively } from "../helpers/native.ts";
import { Random } from "../simulation/random.ts";
import { WORD, type WriterJob } from "./late_writer_thread.ts";

/** How long it goes on, seconds. */
const SECONDS = Number(Deno.env.get("VIRSTOR_STRESS_SECONDS") ?? 3);
/** The chunk. */
const START = 3 * SMALL_CHUNK;
/** Bytes that are written and discarded, and where, from its first byte on. */
const CASES = [
  { length: 4096, written: 8 * 4096, discarded: 0 },
  // In one block of the file system, which becomes a hole as a whole.
  { length: 512, written: 1024, discarded: 0 },
] as const;
/** The longest delays, steps of the thread and of this one. */
const DELAY_MAX = 3000;
/** So many rounds have to end either way. */
const ROUNDS_LEAST = 20;

async function race({ length, written, discarded }: typeof CASES[number]) {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, {
    format: "native",
    createSize: 4 * 1024 * 1024,
  });
  const words = new Int32Array(new SharedArrayBuffer(16));
  const shared = words.buffer as SharedArrayBuffer;
  const module = new URL("./late_writer_thread.ts", import.meta.url);
  const worker = new Worker(module, { type: "module" });
  const { leases } = pool.volume();
  const { memory } = leases;
  const thread = leases.join() ?? -1;
  const offset = START + written;
  const job: WriterJob = { memory, thread, offset, length, shared };
  worker.postMessage(job);
  const random = new Random(3);
  const counts = { written: 0, handedOver: 0, kept: 0, givenBack: 0 };
  const target = new Uint8Array(length);
  const isEnough = () => Object.values(counts).every((n) => n >= ROUNDS_LEAST);
  const end = Date.now() + SECONDS * 1000;
  for (let round = 1; Date.now() < end || !isEnough(); round++) {
    await pool.volume().discard(START, SMALL_CHUNK);
    // Mapped and leased, and there is nothing in it.
    while (!leases.prepare(START)) {
      await new Promise((resolve) => setTimeout(resolve));
    }
    Atomics.store(words, WORD.delay, random.below(DELAY_MAX));
    Atomics.store(words, WORD.round, round);
    Atomics.notify(words, WORD.round);
    const delay = random.below(DELAY_MAX);
    for (let i = 0; i < delay; i++) Atomics.load(words, WORD.delay);
    pool.volume().discard(START + discarded, length);
    counts[pool.volume().leadingHole(START, 1) > 0 ? "givenBack" : "kept"]++;
    while (Atomics.load(words, WORD.done) !== round) {
      Atomics.wait(words, WORD.done, round - 1, 10);
    }
    if (Atomics.load(words, WORD.written) === 1) {
      counts.written++;
      await pool.volume().read(target, offset);
      const wanted = new Uint8Array(length).fill(round);
      assertEquals(target, wanted, `round ${round} is lost`);
    } else counts.handedOver++;
  }
  Atomics.store(words, WORD.round, -1);
  Atomics.notify(words, WORD.round);
  leases.leave(thread);
  worker.terminate();
  await pool.close();
}

for (const one of CASES) {
  testNatively(
    `no write of ${one.length} bytes is lost by a chunk that is given back meanwhile`,
    () => race(one),
  );
}
