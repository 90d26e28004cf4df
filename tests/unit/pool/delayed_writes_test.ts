/**
 * Writes to a full pool: they wait, in order and bounded, and nothing else
 * waits with them.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Completion } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { openPool, type Pool } from "../../../pool/mod.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  componentSize,
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertSound,
  makeQuickScratch,
  testFormats,
} from "../../helpers/small_pools.ts";

/** Uses up the 5 chunks of a pool of one component: virtual chunks 0 to 4. */
async function fill(pool: Pool): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await pool.volume().write(pattern(100, i), i * SMALL_CHUNK);
  }
  assertEquals(pool.status().freeChunks, 0);
}

/** Whether something still waits after others had their turns. */
async function waits(pending: Completion): Promise<boolean> {
  const later = new Promise((resolve) => setTimeout(resolve, 20, "later"));
  return await Promise.race([pending, later]) === "later";
}

async function codeOf(pending: Completion): Promise<string> {
  const error = await assertRejects(async () => await pending, VirstorError);
  return error.code;
}

testFormats(
  "Volume.write() waits when the pool is full, and everything else goes on",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths, events } = await openSmallPool(scratch, 1, { format });
    await fill(pool);
    const first = pool.volume().write(pattern(100, 50), 10 * SMALL_CHUNK);
    const second = pool.volume().write(pattern(100, 51), 11 * SMALL_CHUNK);
    assert(await waits(first) && await waits(second));
    assertEquals(await readBytes(pool.volume(), 0, 100), pattern(100, 0));
    assertEquals(
      await readBytes(pool.volume(), 10 * SMALL_CHUNK, 1),
      new Uint8Array(1),
    );
    assertEquals(pool.volume().write(pattern(100, 60), 0), undefined);
    await pool.volume().flush();
    pool.volume().discard(SMALL_CHUNK, SMALL_CHUNK / 2);
    assertEquals(pool.volume().writeZeroes(2 * SMALL_CHUNK, 10), undefined);
    // The chunk that the discard has left empty serves one of them soon.
    const { delayed } = pool.status();
    assertEquals([delayed.count, delayed.bytes, delayed.total], [2, 200, 2]);
    assert(delayed.oldestSeconds > 0);
    assertEquals(await pool.check(), []);
    await pool.add([scratch.file("new")], { createSize: MIB });
    await Promise.all([first, second]);
    assertEquals(
      await readBytes(pool.volume(), 10 * SMALL_CHUNK, 100),
      pattern(100, 50),
    );
    assertEquals(
      await readBytes(pool.volume(), 11 * SMALL_CHUNK, 100),
      pattern(100, 51),
    );
    assertEquals(pool.status().delayed.count, 0);
    const kinds = events.map((event) => event.kind);
    assertEquals(kinds.filter((kind) => kind === "delayed").length, 1);
    assert(kinds.includes("resumed") && kinds.includes("added"));
    await pool.close();
    await assertSound(format, [...paths, scratch.file("new")]);
  },
);

testFormats(
  "Volume.write() over two chunks that waits at the second one completes, and both are mapped on disk",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 1, { format });
    for (let i = 0; i < 4; i++) {
      await pool.volume().write(pattern(100, i), i * SMALL_CHUNK);
    }
    const bytes = pattern(2 * SMALL_CHUNK, 9);
    const write = pool.volume().write(bytes, 8 * SMALL_CHUNK);
    assert(await waits(write));
    assertEquals(pool.status().mappedChunks, 5);
    assertEquals(await pool.check(), []);
    // A later write to the part that is there is not undone by the resumption.
    await pool.volume().write(pattern(50, 77), 8 * SMALL_CHUNK);
    bytes.fill(0xbb); // The source is the caller's again.
    await pool.add([scratch.file("new")], { createSize: MIB });
    await write;
    const wanted = pattern(2 * SMALL_CHUNK, 9);
    wanted.set(pattern(50, 77));
    const read = await readBytes(
      pool.volume(),
      8 * SMALL_CHUNK,
      2 * SMALL_CHUNK,
    );
    assertEquals(read, wanted);
    await pool.close();
    await assertSound(format, [...paths, scratch.file("new")]);
    const again = await openPool([...paths, scratch.file("new")]);
    assertEquals(
      await readBytes(again.volume(), 8 * SMALL_CHUNK, 2 * SMALL_CHUNK),
      wanted,
    );
    await again.close();
  },
);

testFormats(
  "Volume.write() keeps waiting writes that overlap in order",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, { format });
    await fill(pool);
    const order: number[] = [];
    const pending = [1, 2, 3].map(async (i) => {
      await pool.volume().write(pattern(1000, i), 10 * SMALL_CHUNK + i * 100);
      order.push(i);
    });
    await pool.add([scratch.file("new")], { createSize: MIB });
    await Promise.all(pending);
    assertEquals(order, [1, 2, 3]);
    const wanted = new Uint8Array(1300);
    for (const i of [1, 2, 3]) wanted.set(pattern(1000, i), i * 100);
    assertEquals(
      await readBytes(pool.volume(), 10 * SMALL_CHUNK, 1300),
      wanted,
    );
    await pool.close();
  },
);

testFormats(
  "Volume.write() to a mapped chunk never waits, also while earlier writes to other chunks do",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, { format });
    await fill(pool);
    // Waits for chunk 5 only: chunk 4 is mapped and written at once.
    const spanning = pool.volume().write(
      pattern(200, 1),
      5 * SMALL_CHUNK - 100,
    );
    assert(await waits(spanning));
    const before = await readBytes(pool.volume(), 5 * SMALL_CHUNK - 100, 100);
    assertEquals(before, pattern(200, 1).subarray(0, 100));
    const again = pool.volume().write(pattern(10, 2), 5 * SMALL_CHUNK - 100);
    assertEquals(again, undefined);
    const rejected = assertRejects(async () => await spanning, VirstorError);
    await pool.close();
    await rejected;
  },
);

testFormats(
  "Pool has congestion once more bytes wait than may",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, {
      format,
      maxDelayedBytes: 1000,
    });
    await fill(pool);
    const one = pool.volume().write(pattern(600, 1), 10 * SMALL_CHUNK);
    assertEquals(pool.volume().congestion, undefined);
    const two = pool.volume().write(pattern(600, 2), 11 * SMALL_CHUNK);
    const { congestion } = pool.volume();
    assert(congestion !== undefined);
    await pool.add([scratch.file("new")], { createSize: MIB });
    await Promise.all([one, two, congestion]);
    assertEquals(pool.volume().congestion, undefined);
    assertEquals(pool.status().delayed.bytes, 0);
    await pool.close();
  },
);

testFormats(
  "Volume.write() fails at once on a full pool with onFull error",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, {
      format,
      onFull: "error",
    });
    await fill(pool);
    const act = () => pool.volume().write(new Uint8Array(1), 10 * SMALL_CHUNK);
    assertEquals(
      assertThrows(act, VirstorError, "it is full").code,
      "no-space",
    );
    assertEquals(pool.volume().write(new Uint8Array(1), 0), undefined);
    assertEquals(pool.status().state, "open");
    await pool.add([scratch.file("new")], { createSize: MIB });
    assertEquals(act(), undefined);
    await pool.close();
  },
  testNatively,
);

testFormats(
  "Volume.write() fails after fullTimeoutSeconds, the first that came first",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, {
      format,
      fullTimeoutSeconds: 0.2,
    });
    await fill(pool);
    const failed: string[] = [];
    const write = async (chunk: number) => {
      const since = performance.now();
      const code = await codeOf(
        pool.volume().write(new Uint8Array(1), chunk * SMALL_CHUNK),
      );
      failed.push(`${chunk} ${code}`);
      // Timers may be a little early, and on a busy machine late.
      const waited = performance.now() - since;
      assert(waited >= 190, `${chunk} waited ${waited} ms`);
    };
    const first = write(10);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await Promise.all([first, write(11)]);
    assertEquals(failed, ["10 no-space", "11 no-space"]);
    assertEquals(pool.status().delayed.count, 0);
    assertEquals(pool.status().delayed.timedOut, 2);
    await pool.close();
  },
);

testFormats(
  "Volume.write() gives up when its client has disconnected",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, { format });
    await fill(pool);
    const client = new AbortController();
    const { signal } = client;
    const gone = [10, 11].map((chunk) =>
      codeOf(
        pool.volume().write(pattern(10, 1), chunk * SMALL_CHUNK, { signal }),
      )
    );
    const stays = pool.volume().write(pattern(10, 2), 12 * SMALL_CHUNK);
    client.abort();
    assertEquals(await Promise.all(gone), ["cancelled", "cancelled"]);
    const { delayed } = pool.status();
    assertEquals([delayed.count, delayed.bytes, delayed.cancelled], [1, 10, 2]);
    await pool.add([scratch.file("new")], { createSize: MIB });
    await stays;
    const chunk = await readBytes(pool.volume(), 10 * SMALL_CHUNK, 10);
    assertEquals(chunk, new Uint8Array(10));
    assertEquals(pool.status().mappedChunks, 6);
    await pool.close();
  },
);

testFormats(
  "Pool.close() ends waits with shutdown and keeps what was acknowledged",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 1, { format });
    await fill(pool);
    const code = codeOf(pool.volume().write(pattern(10, 1), 10 * SMALL_CHUNK));
    await pool.close();
    assertEquals(await code, "shutdown");
    const again = await openPool(paths);
    for (let i = 0; i < 5; i++) {
      assertEquals(
        await readBytes(again.volume(), i * SMALL_CHUNK, 100),
        pattern(100, i),
      );
    }
    assertEquals(again.status().mappedChunks, 5);
    await again.close();
    await assertSound(format, paths);
  },
);

testFormats(
  "Volume.write() with fua that waited is durable when it ends",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 1, { format });
    await fill(pool);
    const write = pool.volume().write(pattern(10, 1), 10 * SMALL_CHUNK, {
      fua: true,
    });
    await pool.add([scratch.file("new")], { createSize: MIB });
    await write;
    assertEquals(pool.volume().flush(), undefined); // Nothing is left to be flushed.
    await pool.close();
    await assertSound(format, [...paths, scratch.file("new")]);
  },
);

testFormats(
  "Pool resumes many waiting writes in turns, in order",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, {
      format,
      virtualSize: 128 * MIB,
    });
    await fill(pool);
    const order: number[] = [];
    const pending = Array.from({ length: 100 }, async (_, i) => {
      await pool.volume().write(
        pattern(SMALL_CHUNK, i),
        (100 + i) * SMALL_CHUNK,
      );
      order.push(i);
    });
    // Room for 96 of them only.
    await pool.add([scratch.file("new")], {
      createSize: componentSize(format, 96),
    });
    while (pool.status().delayed.count > 4) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assertEquals(order, Array.from({ length: 96 }, (_, i) => i));
    await pool.add([scratch.file("more")], { createSize: MIB });
    await Promise.all(pending);
    assertEquals(order.length, 100);
    for (const i of [0, 50, 99]) {
      const bytes = await readBytes(
        pool.volume(),
        (100 + i) * SMALL_CHUNK,
        SMALL_CHUNK,
      );
      assertEquals(bytes, pattern(SMALL_CHUNK, i));
    }
    await pool.close();
  },
);

testFormats(
  "Pool.endWaiting() ends waits, now and later, and nothing else",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 1, { format });
    await fill(pool);
    const waiting = codeOf(
      pool.volume().write(pattern(10, 1), 10 * SMALL_CHUNK),
    );
    pool.endWaiting();
    assertEquals(await waiting, "shutdown");
    const wait = () => pool.volume().write(pattern(10, 2), 11 * SMALL_CHUNK);
    assertEquals(assertThrows(wait, VirstorError).code, "shutdown");
    const zero = () =>
      pool.volume().writeZeroes(11 * SMALL_CHUNK, 512, { noHole: true });
    assertEquals(assertThrows(zero, VirstorError).code, "shutdown");
    assertEquals(pool.status().delayed.count, 0);
    assertEquals(pool.status().state, "open");
    pool.volume().write(pattern(100, 7), 0);
    await pool.volume().flush();
    await pool.volume().discard(SMALL_CHUNK, SMALL_CHUNK);
    assertEquals(await readBytes(pool.volume(), 0, 100), pattern(100, 7));
    await pool.close();
    await assertSound(format, paths);
  },
);
