/**
 * Goal: chunks that a pool maps ahead of a thread's first writes cost nothing
 * that a client would miss: they read as zeroes, are few where few are free, and
 * those without data are free again. Method: a thread's view of the leases, and
 * the pool's own requests, on real files.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { LeasedDisk } from "../../../device/leases/leased_disk.ts";
import { NativeBuffer } from "../../../device/linux/native_io.ts";
import {
  type LabelOptions,
  openPool,
  type Pool,
  type PoolOptions,
} from "../../../pool/mod.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  componentSize,
  openSmallPool,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { assertSound, makeQuickScratch } from "../../helpers/small_pools.ts";

const ZEROES = new Uint8Array(SMALL_CHUNK);

/** A pool of one component, and a thread that takes part. */
async function openWithThread(
  scratch: Scratch,
  chunks: number,
  options: Partial<LabelOptions> & PoolOptions = {},
) {
  const { pool, paths } = await openSmallPool(scratch, 1, {
    format: "native",
    createSize: componentSize(options.format ?? "native", chunks),
    ...options,
  });
  const volume = pool.volume();
  const { leases } = volume;
  const disk = new LeasedDisk(leases.memory, leases.join() ?? -1);
  const buffer = new NativeBuffer(SMALL_CHUNK);
  return {
    pool,
    paths,
    volume,
    /** Chunks that the pool maps ahead. */
    map: (first: number, count: number) =>
      leases.mapAhead(first * SMALL_CHUNK + 9, count),
    giveBack: (first: number, count: number) =>
      leases.giveBack(first * SMALL_CHUNK + 9, count),
    /** Whether the thread may write to a chunk. */
    isLeased: (chunk: number) => disk.isLeased(chunk * SMALL_CHUNK),
    /** Writes as the thread. */
    write(chunk: number, bytes: Uint8Array) {
      buffer.bytes.set(bytes);
      const offset = chunk * SMALL_CHUNK;
      return disk.write(buffer.address, bytes.length, offset);
    },
  };
}

function usedOf(pool: Pool): number {
  return pool.status().usedChunks;
}

testNatively(
  "a chunk that was mapped ahead and not written to is free again",
  async () => {
    await using scratch = await makeQuickScratch();
    const made = await openWithThread(scratch, 400);
    const { pool, paths, volume } = made;
    await using _closing = pool;
    assertEquals([made.map(10, 8), usedOf(pool)], [8, 8]);
    // Mapped already: nothing is mapped twice.
    assertEquals([made.map(10, 8), usedOf(pool)], [8, 8]);
    for (let v = 10; v < 18; v++) {
      assert(made.isLeased(v));
      assertEquals(
        await readBytes(volume, v * SMALL_CHUNK, 512),
        ZEROES.subarray(0, 512),
      );
    }
    // As after a kill: what is in the page cache counts.
    const copy = scratch.file("copy");
    await Deno.copyFile(paths[0] ?? "", copy);
    // The thread writes, also zeroes; the pool writes, provisions, discards.
    assert(made.write(10, pattern(512, 1)));
    assert(made.write(11, ZEROES.subarray(0, 512)));
    await volume.write(pattern(512, 2), 12 * SMALL_CHUNK + 5000);
    await volume.writeZeroes(13 * SMALL_CHUNK, SMALL_CHUNK, { noHole: true });
    await volume.discard(14 * SMALL_CHUNK, SMALL_CHUNK);
    made.giveBack(9, 10);
    await volume.flush();
    assertEquals(usedOf(pool), 4);
    const leased = [10, 11, 12, 13, 14, 15, 16, 17].map(made.isLeased);
    assertEquals(leased.slice(0, 2), [true, true]);
    assertEquals(leased.slice(4), [false, false, false, false]);
    assertEquals(made.write(15, pattern(512, 3)), false);
    assertEquals(
      await readBytes(volume, 10 * SMALL_CHUNK, 512),
      pattern(512, 1),
    );
    const found = await readBytes(volume, 12 * SMALL_CHUNK + 5000, 512);
    assertEquals(found, pattern(512, 2));
    made.giveBack(9, 10);
    assertEquals(usedOf(pool), 4);
    await pool.close();
    made.giveBack(9, 10);
    assertEquals(made.map(30, 8), 0);
    await assertSound("native", paths);
    await using again = await openPool([copy]);
    assertEquals(usedOf(again), 8);
    const old = await readBytes(again.volume(), 10 * SMALL_CHUNK, SMALL_CHUNK);
    assertEquals(old, ZEROES);
  },
);

testNatively(
  "a snapshot keeps nothing that was mapped ahead and not written to",
  async () => {
    await using scratch = await makeQuickScratch();
    const made = await openWithThread(scratch, 400);
    const { pool, paths } = made;
    await using _closing = pool;
    assertEquals(made.map(0, 8), 8);
    assert(made.write(3, pattern(512, 3)));
    await made.volume.write(pattern(512, 4), 4 * SMALL_CHUNK);
    const { name } = made.volume;
    await pool.snapshotChanges.take([{ volume: name, snapshot: "s" }]);
    assertEquals(usedOf(pool), 2);
    assertEquals([made.write(0, pattern(512, 5)), usedOf(pool)], [false, 2]);
    // What the snapshot sees is neither mapped ahead nor given back.
    assertEquals([made.map(0, 8), usedOf(pool)], [3, 5]);
    made.giveBack(0, 40);
    await made.volume.flush();
    assertEquals(usedOf(pool), 2);
    for (const v of [3, 4]) {
      const found = await readBytes(made.volume, v * SMALL_CHUNK, 512);
      assertEquals(found, pattern(512, v));
    }
    await pool.close();
    await assertSound("native", paths);
  },
);

testNatively("few chunks are mapped ahead where few may be taken", async () => {
  await using scratch = await makeQuickScratch();
  const made = await openWithThread(scratch, 40);
  const { pool, volume } = made;
  await using _closing = pool;
  const { freeChunks } = pool.status();
  assertEquals(made.map(3, 64), Math.floor(freeChunks / 16));
  assertEquals(made.map(volume.size / SMALL_CHUNK - 1, 64), 1);
  assertEquals(made.map(volume.size / SMALL_CHUNK, 64), 0);
  made.giveBack(0, volume.size / SMALL_CHUNK + 10);
  await volume.flush();
  assertEquals(usedOf(pool), 0);
  // What is mapped already is leased all the same.
  const half = Math.floor(freeChunks / 2);
  await volume.write(new Uint8Array(half * SMALL_CHUNK), 0);
  assertEquals(made.map(0, half), half);
  await volume.write(new Uint8Array(half * SMALL_CHUNK), half * SMALL_CHUNK);
  assertEquals(made.map(2 * half, 64), 0);
});

testNatively("a volume at its quota maps nothing ahead", async () => {
  await using scratch = await makeQuickScratch();
  const made = await openWithThread(scratch, 400);
  const { pool, volume } = made;
  await using _closing = pool;
  await pool.volumeChanges.set(volume.name, { quota: 33 * SMALL_CHUNK });
  assertEquals(made.map(3, 64), 2);
  // This one a client has asked for.
  assert(volume.leases.prepare(8 * SMALL_CHUNK));
  await pool.volumeChanges.set(volume.name, { isReadOnly: true });
  assertEquals(made.map(9, 64), 0);
  // Its clients see no difference.
  made.giveBack(3, 64);
  assertEquals(usedOf(pool), 1);
});

Deno.test("format 1 maps nothing ahead: it never gives a chunk back", async () => {
  await using scratch = await makeQuickScratch();
  const made = await openWithThread(scratch, 400, { format: "freebsd" });
  await using _closing = made.pool;
  assertEquals([made.map(3, 64), usedOf(made.pool)], [0, 0]);
});
