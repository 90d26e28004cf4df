/**
 * Goal: zeroes without holes take chunks for a range of any length, a slice at
 * a time, and hold an entry while they wait, not one for each chunk. Method:
 * real pools; which requests wait meanwhile is what the tests look at, never
 * for how long.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Completion } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { openPool, type Pool } from "../../../pool/mod.ts";
import {
  componentSize,
  KIB,
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertSound,
  makeQuickScratch,
  testFormats,
  until,
} from "../../helpers/small_pools.ts";

const GIB = 1024 * MIB;
const NO_HOLE = { noHole: true } as const;

/** Uses up the 5 chunks of a pool of one component: virtual chunks 0 to 4. */
async function fill(pool: Pool): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await pool.volume().write(pattern(100, i), i * SMALL_CHUNK);
  }
  assertEquals(pool.status().freeChunks, 0);
}

/** Zeroes a range of chunks without holes. */
function zero(
  pool: Pool,
  first: number,
  count: number,
  signal?: AbortSignal,
): Completion {
  return pool.volume().writeZeroes(first * SMALL_CHUNK, count * SMALL_CHUNK, {
    ...NO_HOLE,
    ...signal !== undefined && { signal },
  });
}

/** A thin pool with room for everything: 32,768 chunks of 64 KiB and more. */
async function openRoomyPool(scratch: Scratch): Promise<Pool> {
  const { pool } = await openSmallPool(scratch, 1, {
    format: "native",
    createSize: 3 * GIB,
    chunkSize: 64 * KIB,
    virtualSize: 1024 * GIB,
  });
  return pool;
}

async function codeOf(pending: Completion): Promise<string> {
  const error = await assertRejects(async () => await pending, VirstorError);
  return error.code;
}

function chunksOf(pool: Pool, count: number): string {
  const context = pool.volume().contexts.find(({ name }) =>
    name === "virstor:chunk"
  );
  const runs = context?.status(0, count * SMALL_CHUNK, Infinity) ?? [];
  return runs.map(({ length, flags }) =>
    ".MD"[flags & 3]?.repeat(length / SMALL_CHUNK)
  ).join("");
}

Deno.test("a long range on a roomy pool leaves others the next chunk", async () => {
  await using scratch = await makeQuickScratch();
  const pool = await openRoomyPool(scratch);
  let done = 0;
  const ranges = [1, 2].map(async (i) => {
    await pool.volume().writeZeroes(i * 4 * GIB, GIB - 1, NO_HOLE);
    done++;
  });
  let firstWrites = 0;
  while (done < ranges.length) {
    // At once: nothing of it waits behind the ranges.
    const pending = pool.volume().write(pattern(10, 1), firstWrites * 64 * KIB);
    if (pending === undefined) firstWrites++;
    await pending;
    await new Promise((resolve) => setTimeout(resolve));
  }
  await Promise.all(ranges);
  assert(firstWrites > 2, `${firstWrites} first writes in between`);
  assertEquals(pool.status().delayed.total, 0);
  assertEquals(pool.status().mappedChunks, 2 * 16_384 + firstWrites);
  const [hole, zeroes, ...more] = pool.volume().extents(
    4 * GIB - MIB,
    GIB + MIB,
  );
  assertEquals([hole?.kind, zeroes?.kind, more], ["hole", "zero", []]);
  await pool.close();
});

Deno.test("many long ranges on a full pool hold next to nothing", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, {
    format: "native",
    virtualSize: 1024 * GIB,
  });
  await fill(pool);
  const before = Deno.memoryUsage().heapUsed;
  const ends = new AbortController();
  const ranges = Array.from(
    { length: 1000 },
    () =>
      codeOf(
        pool.volume().writeZeroes(GIB, 900 * GIB, {
          ...NO_HOLE,
          signal: ends.signal,
        }),
      ),
  );
  const { delayed } = pool.status();
  assertEquals([delayed.count, delayed.bytes], [1000, 0]);
  const growth = Deno.memoryUsage().heapUsed - before;
  assert(growth < 16 * MIB, `the heap has grown by ${growth} bytes`);
  assertEquals(chunksOf(pool, 8), "MMMMM...");
  ends.abort();
  assertEquals(new Set(await Promise.all(ranges)), new Set(["cancelled"]));
  assertEquals(pool.status().delayed.count, 0);
  await pool.close();
});

Deno.test("as many entries as may wait are congestion, whatever they hold", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, { format: "native" });
  await fill(pool);
  const ends = new AbortController();
  const waiting: Promise<string>[] = [];
  while (pool.volume().congestion === undefined) {
    const i = waiting.length;
    assert(i < 10_000, "there is a bound");
    const pending = i % 2 === 0
      ? zero(pool, 10, 1, ends.signal)
      : pool.volume().write(new Uint8Array(1), 20 * SMALL_CHUNK, ends);
    waiting.push(codeOf(pending));
  }
  assert(waiting.length > 1000, `${waiting.length} entries`);
  const { congestion } = pool.volume();
  ends.abort();
  await Promise.all([...waiting, congestion]);
  assertEquals(pool.volume().congestion, undefined);
  await pool.close();
});

testFormats("data and ranges that wait take turns", async (format) => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 1, { format });
  await fill(pool);
  const ended: string[] = [];
  const note = async (name: string, pending: Completion) => {
    await pending;
    ended.push(name);
  };
  const all = [
    note("range 10", zero(pool, 10, 100)),
    note("range 200", zero(pool, 200, 3)),
    note("data 300", pool.volume().write(pattern(10, 1), 300 * SMALL_CHUNK)),
    note("data 301", pool.volume().write(pattern(10, 2), 301 * SMALL_CHUNK)),
    note("range 5", zero(pool, 4, 2)),
  ];
  assertEquals(pool.status().delayed.count, 5);
  assertEquals(chunksOf(pool, 12), "MMMMMD....DD");
  // Seven chunks: neither the long range nor the data gets all of them.
  await pool.add([scratch.file("c1")], { createSize: MIB });
  await until(() => pool.status().freeChunks === 0 && ended.length >= 2);
  assert(ended.includes("data 300") && ended.includes("data 301"), `${ended}`);
  await pool.add([scratch.file("c2")], { createSize: 32 * MIB });
  await Promise.all(all);
  assertEquals(ended.at(-1), "range 10");
  assertEquals(pool.status().mappedChunks, 5 + 100 + 3 + 2 + 1);
  assertEquals(
    await readBytes(pool.volume(), 301 * SMALL_CHUNK, 10),
    pattern(10, 2),
  );
  await pool.close();
  await assertSound(format, [...paths, scratch.file("c1"), scratch.file("c2")]);
});

testFormats(
  "a range that reaches a chunk that data wait for serves them, in order",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, { format });
    await fill(pool);
    const elsewhere = pool.volume().write(pattern(10, 9), 50 * SMALL_CHUNK);
    const range = zero(pool, 10, 1);
    const data = [1, 2, 3].map((i) =>
      pool.volume().write(pattern(1000, i), 10 * SMALL_CHUNK + i * 100)
    );
    await pool.add([scratch.file("new")], { createSize: MIB });
    await Promise.all([elsewhere, range, ...data]);
    const wanted = new Uint8Array(1300);
    for (const i of [1, 2, 3]) wanted.set(pattern(1000, i), i * 100);
    assertEquals(
      await readBytes(pool.volume(), 10 * SMALL_CHUNK, 1300),
      wanted,
    );
    // What is mapped never waits.
    assertEquals(
      pool.volume().write(pattern(10, 4), 10 * SMALL_CHUNK),
      undefined,
    );
    assertEquals(pool.status().mappedChunks, 7);
    await pool.close();
  },
);

testFormats(
  "a range ends when others have mapped all of it, though nothing is free",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, { format });
    for (let i = 0; i < 4; i++) {
      await pool.volume().write(pattern(100, i), i * SMALL_CHUNK);
    }
    // One chunk is free: the range takes it, and waits for the other.
    const range = zero(pool, 10, 2);
    assertEquals(pool.status().delayed.count, 1);
    const data = Array.from(
      { length: 8 },
      (_, i) => pool.volume().write(pattern(10, i), (11 + i) * SMALL_CHUNK),
    );
    await pool.add([scratch.file("new")], {
      createSize: componentSize(format, 7),
    });
    await Promise.all([range, ...data.slice(0, 7)]);
    const { delayed, freeChunks } = pool.status();
    assertEquals([delayed.count, freeChunks], [1, 0]);
    const rejected = codeOf(data[7]);
    await pool.close();
    assertEquals(await rejected, "shutdown");
  },
);

Deno.test("ranges that wait, or are being mapped, end with the pool", async () => {
  for (const isFull of [false, true]) {
    await using scratch = await makeQuickScratch();
    const pool = await openRoomyPool(scratch);
    const { freeChunks } = pool.status();
    const length = isFull ? 4 * GIB : 2 * GIB;
    const codes = [1, 2].map((i) =>
      codeOf(pool.volume().writeZeroes(i * 8 * GIB, length, NO_HOLE))
    );
    if (isFull) await until(() => pool.status().delayed.count === 2);
    await pool.close();
    assertEquals(await Promise.all(codes), ["shutdown", "shutdown"]);
    const { path } = scratch;
    const again = await openPool([`${path}/c0`]);
    assert(again.status().mappedChunks <= freeChunks);
    assertEquals(await again.check(), []);
    await again.close();
  }
});

Deno.test("a disk does not become smaller than what a range is about to map", async () => {
  await using scratch = await makeQuickScratch();
  const pool = await openRoomyPool(scratch);
  const ends = new AbortController();
  const range = codeOf(
    pool.volume().writeZeroes(512 * GIB, 2 * GIB, {
      ...NO_HOLE,
      signal: ends.signal,
    }),
  );
  const refused = await assertRejects(
    () => pool.resize(513 * GIB, { force: true }),
    VirstorError,
  );
  assertEquals(refused.code, "invalid");
  ends.abort();
  assertEquals(await range, "cancelled");
  await pool.close();
});

testFormats("a range that waits for too long fails", async (format) => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, {
    format,
    fullTimeoutSeconds: 0.05,
  });
  await fill(pool);
  assertEquals(await codeOf(zero(pool, 10, 100)), "no-space");
  assertEquals(pool.status().delayed.timedOut, 1);
  await pool.close();
});

testFormats("a range does not wait where nothing may", async (format) => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, {
    format,
    onFull: "error",
  });
  await fill(pool);
  assertEquals(
    await codeOf(Promise.try(() => zero(pool, 3, 10))),
    "no-space",
  );
  assertEquals(pool.status().delayed.count, 0);
  await pool.close();
});
