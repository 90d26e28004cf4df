/**
 * What a pool lends to other threads: chunks that are mapped and stay where
 * they are, and nothing else, for no longer than that.
 *
 * @module
 */

import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { LeasedFlush } from "../../../device/leases/mod.ts";
import { LeaseReader } from "../../../device/leases/leases.ts";
import {
  openPool,
  type Pool,
  type SnapshotDisk,
  type Volume,
} from "../../../pool/mod.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  componentSize,
  openSmallPool,
  pattern,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { makeQuickScratch, until } from "../../helpers/small_pools.ts";

/** A thread's view of what a pool lends. */
function join(pool: Pool): LeaseReader {
  return new LeaseReader(
    pool.volume().leases.memory,
    pool.volume().leases.join() ?? -1,
  );
}

function isLeased(reader: LeaseReader, chunk: number): boolean {
  const found = reader.use(chunk * SMALL_CHUNK, 1);
  if (found) reader.release();
  return found;
}

Deno.test("a pool leases chunks that are mapped, until they are discarded", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, { format: "native" });
  await using _closing = pool;
  const reader = join(pool);
  await pool.volume().write(pattern(SMALL_CHUNK, 1), 3 * SMALL_CHUNK);
  for (const chunk of [2, 3, 4]) {
    pool.volume().leases.grant(chunk * SMALL_CHUNK + 7);
  }
  assertEquals([2, 3, 4].map((v) => isLeased(reader, v)), [false, true, false]);
  await pool.volume().discard(3 * SMALL_CHUNK, 1);
  assertEquals(isLeased(reader, 3), true);
  await pool.volume().discard(3 * SMALL_CHUNK, SMALL_CHUNK);
  assertEquals(isLeased(reader, 3), false);
  pool.volume().leases.grant(3 * SMALL_CHUNK);
  assertEquals(isLeased(reader, 3), false);
});

Deno.test("a pool leases nothing beyond its end, wherever that is asked for", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, { format: "native" });
  await using _closing = pool;
  const reader = join(pool);
  await pool.volume().write(pattern(512, 1), 0);
  const { size } = pool.volume();
  const chunks = size / SMALL_CHUNK;
  // A page of the forward map has 8192 chunks: what wraps around must not.
  for (const chunk of [chunks, chunks + 8192, 2 ** 32, 2 ** 32 * 8192]) {
    pool.volume().leases.grant(chunk * SMALL_CHUNK);
    assertEquals(pool.volume().leases.prepare(chunk * SMALL_CHUNK), false);
    assertEquals(isLeased(reader, chunk), false, `${chunk}`);
  }
  await pool.resize(2 * SMALL_CHUNK, { force: true });
  assertEquals(pool.volume().leases.prepare(2 * SMALL_CHUNK), false);
});

testNatively(
  "a chunk that is prepared is mapped, reads as zeroes, and is leased",
  async () => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 1, {
      format: "native",
      createSize: componentSize("native", 3),
    });
    await using _closing = pool;
    const reader = join(pool);
    assertEquals(pool.volume().leases.prepare(5 * SMALL_CHUNK + 9), true);
    assertEquals(isLeased(reader, 5), true);
    assertEquals(pool.status().usedChunks, 1);
    assertEquals(pool.volume().leases.prepare(5 * SMALL_CHUNK), true);
    assertEquals(pool.status().usedChunks, 1);
    const found = pattern(SMALL_CHUNK, 1);
    await pool.volume().read(found, 5 * SMALL_CHUNK);
    assertEquals(found, new Uint8Array(SMALL_CHUNK));
    // A full pool has none, and no write waits.
    assertEquals(pool.volume().leases.prepare(6 * SMALL_CHUNK), true);
    assertEquals(pool.volume().leases.prepare(7 * SMALL_CHUNK), true);
    assertEquals(pool.volume().leases.prepare(8 * SMALL_CHUNK), false);
    assertEquals(isLeased(reader, 8), false);
    assertEquals(pool.volume().congestion, undefined);
    assertEquals(paths.length, 1);
  },
);

testNatively(
  "chunks that are prepared together are in the page cache before any other code learns of them",
  async () => {
    await using scratch = await makeQuickScratch();
    const copies: string[] = [];
    const copy = () => {
      copies.push(scratch.file(`copy${copies.length}`));
      Deno.copyFileSync(scratch.file("c0"), copies.at(-1) ?? "");
    };
    const { pool } = await openSmallPool(scratch, 1, {
      format: "native",
      createSize: componentSize("native", 10),
      chunkWatermark: 9,
      onEvent: ({ kind }) => kind === "watermark" && copy(),
    });
    await using _closing = pool;
    const reader = join(pool);
    const { leases } = pool.volume();
    const chunks = [1, 2, 8];
    const offsets = chunks.map((v) => v * SMALL_CHUNK);
    assertEquals(leases.prepare(...offsets), true);
    copy();
    assertEquals(chunks.map((v) => isLeased(reader, v)), [true, true, true]);
    // As after a kill: what is in the page cache counts.
    assertEquals(copies.length, 2);
    for (const path of copies) {
      await using again = await openPool([path]);
      assertEquals(again.status().usedChunks, 3);
    }
    // What is beyond the disk takes nothing from what came before.
    const { size } = pool.volume();
    assertEquals(leases.prepare(3 * SMALL_CHUNK, size, 0), false);
    const leased = [3, 0].map((v) => isLeased(reader, v));
    assertEquals(leased, [true, false]);
  },
);

Deno.test("a pool lends no chunk while it is moved, and its new place after", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, {
    format: "native",
    createSize: componentSize("native", 8),
    virtualSize: 16 * SMALL_CHUNK,
  });
  await using _closing = pool;
  const reader = join(pool);
  for (let v = 0; v < 4; v++) {
    await pool.volume().write(pattern(SMALL_CHUNK, v), v * SMALL_CHUNK);
    pool.volume().leases.grant(v * SMALL_CHUNK);
  }
  reader.use(0, 1);
  reader.release();
  const { descriptor } = reader.lease;
  const [first = ""] = paths;
  await pool.remove([first], { bytesPerSecond: SMALL_CHUNK });
  // What has not been moved stays leased; nothing is leased anew there.
  await until(() => [0, 1, 2, 3].some((v) => !isLeased(reader, v)));
  for (let v = 0; v < 4; v++) {
    const wasLeased = isLeased(reader, v);
    pool.volume().leases.grant(v * SMALL_CHUNK);
    if (!wasLeased && isLeased(reader, v)) {
      assertEquals(reader.lease.descriptor === descriptor, false);
    }
  }
  await pool.cancelRemove([first]);
  await pool.remove([first]);
  await until(() => pool.status().evacuation === null);
  for (let v = 0; v < 4; v++) {
    assertEquals(
      isLeased(reader, v) && reader.lease.descriptor === descriptor,
      false,
    );
    pool.volume().leases.grant(v * SMALL_CHUNK);
    assertEquals(isLeased(reader, v), true);
  }
});

Deno.test("a flush of a pool covers what was written under leases", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, { format: "native" });
  await using _closing = pool;
  const reader = join(pool);
  await pool.volume().write(pattern(512, 1), 0);
  await pool.volume().flush();
  pool.volume().leases.grant(0);
  assertStrictEquals(pool.volume().flush(), undefined);
  reader.use(0, 512);
  reader.noteWritten(512);
  reader.release();
  const flushing = pool.volume().flush();
  assertEquals(flushing instanceof Promise, true);
  await flushing;
  assertStrictEquals(pool.volume().flush(), undefined);
  assertEquals(pool.status().counters.writes, 2);
  assertEquals(pool.status().counters.bytesWritten, 1024);
});

Deno.test("a pool for reading lends for reading, a closed one nothing", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 1, { format: "native" });
  await pool.volume().write(pattern(512, 1), 0);
  const reader = join(pool);
  pool.volume().leases.grant(0);
  assertEquals([isLeased(reader, 0), reader.isWritable], [true, true]);
  await pool.close();
  assertEquals(isLeased(reader, 0), false);
  assertEquals(pool.volume().leases.prepare(0), false);
  await using again = await openPool(paths, { readOnly: true });
  const second = join(again);
  again.volume().leases.grant(0);
  assertEquals([isLeased(second, 0), second.isWritable], [true, false]);
  assertEquals(again.volume().leases.prepare(SMALL_CHUNK), false);
});

/** A thread's flushes. */
function joinToFlush(pool: Pool): LeasedFlush {
  const { leases } = pool.volume();
  return new LeasedFlush(leases.memory, leases.join() ?? -1);
}

testNatively(
  "a thread flushes by itself only while no mapping has to be settled",
  async () => {
    await using scratch = await makeQuickScratch();
    const devices: FileDevice[] = [];
    const { pool } = await openSmallPool(scratch, 2, {
      format: "native",
      openDevice(path, options) {
        const device = new FileDevice(path, options);
        devices.push(device);
        return device;
      },
    });
    await using _closing = pool;
    const thread = joinToFlush(pool);
    const write = () => pool.volume().write(pattern(SMALL_CHUNK, 1), 0);
    await write();
    assertEquals(thread.begin(false), "owner", "where the chunk is");
    await pool.volume().flush();
    assertEquals(thread.begin(false), []);
    assert(thread.end(0));
    await pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]);
    await write();
    // Just as a component is durable: when the last one is, nothing is dirty,
    // and the mappings are still provisional.
    const found: unknown[] = [];
    for (const device of devices.slice(-2)) {
      const { observer } = device;
      assert(observer !== undefined);
      device.observer = {
        flushBegins: () => observer.flushBegins(),
        flushEnds() {
          observer.flushEnds();
          found.push(thread.begin(false));
        },
      };
    }
    await pool.volume().flush();
    assert(found.length >= 2);
    assertEquals(found.filter((one) => one !== "owner"), []);
    assertEquals(thread.begin(false), []);
    assert(thread.end(0));
  },
);

testNatively(
  "a thread flushes what the components of a pool hold after a change",
  async () => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 1, { format: "native" });
    await using _closing = pool;
    const thread = joinToFlush(pool);
    const path = scratch.file("more");
    await pool.add([path], { createSize: componentSize("native", 4) });
    assertEquals(thread.begin(false), []);
    assert(thread.end(0));
    await pool.remove([path]);
    await pool.volume().flush();
    assertEquals(thread.begin(false), []);
    assert(thread.end(0));
  },
);
/** A thread's view of what a volume or a snapshot lends. */
function readerOf({ leases }: Volume | SnapshotDisk): LeaseReader {
  return new LeaseReader(leases.memory, leases.join() ?? -1);
}

/** Where a thread reads a chunk; undefined without a lease. */
function placeOf(reader: LeaseReader, chunk: number): string | undefined {
  if (!reader.find(chunk * SMALL_CHUNK, 1)) return undefined;
  return `${reader.lease.descriptor}:${reader.lease.at}`;
}

Deno.test("a shared chunk is leased for reads, until it is written to", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, { format: "native" });
  await using _closing = pool;
  const volume = pool.volume();
  const reader = readerOf(volume);
  for (const v of [0, 1]) await volume.write(pattern(512, v), v * SMALL_CHUNK);
  volume.leases.grant(0);
  assertEquals(isLeased(reader, 0), true);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]);
  assertEquals(placeOf(reader, 0), undefined);
  for (const v of [0, 1]) volume.leases.grant(v * SMALL_CHUNK);
  const shared = placeOf(reader, 0);
  assertEquals([shared !== undefined, isLeased(reader, 0)], [true, false]);
  assertEquals(volume.leases.prepare(0), false);
  // A read that began before the write sees that it is out of date.
  reader.find(0, 1);
  await volume.write(pattern(512, 2), 0);
  assertEquals(reader.holds(), false);
  assertEquals(placeOf(reader, 0), undefined);
  volume.leases.grant(0);
  assertEquals(isLeased(reader, 0), true);
  assertEquals(placeOf(reader, 0) === shared, false);
  // What no snapshot sees any more may be written to where it is.
  await pool.snapshotChanges.remove("small", "a");
  assertEquals(isLeased(reader, 1), false);
  assertEquals(volume.leases.prepare(SMALL_CHUNK), true);
  assertEquals(isLeased(reader, 1), true);
});

Deno.test("a snapshot leases what it sees, for reads, as long as it is there", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, { format: "native" });
  await using _closing = pool;
  const volume = pool.volume();
  await volume.write(pattern(512, 1), 0);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]);
  const disk = pool.snapshotDisk("small", "a");
  const reader = readerOf(disk);
  for (const v of [0, 1, 1000, 2 ** 40]) disk.leases.grant(v * SMALL_CHUNK);
  const place = placeOf(reader, 0);
  assertEquals([place !== undefined, isLeased(reader, 0)], [true, false]);
  assertEquals([reader.isWritable, placeOf(reader, 1)], [false, undefined]);
  assertEquals(disk.leases.prepare(0), false);
  const flushes = new LeasedFlush(disk.leases.memory, 0);
  assertEquals(flushes.begin(false), "owner");
  // A write to the volume changes nothing for the snapshot.
  await volume.write(pattern(512, 2), 0);
  assertEquals(placeOf(reader, 0), place);
  // The evacuation does: the chunk is an old version by now.
  const [first = ""] = paths;
  await pool.remove([first]);
  await pool.evacuated(first);
  assertEquals(placeOf(reader, 0), undefined);
  disk.leases.grant(0);
  assertEquals(
    [placeOf(reader, 0) !== undefined, placeOf(reader, 0) === place],
    [
      ...[true, false],
    ],
  );
  reader.find(0, 1);
  await pool.snapshotChanges.remove("small", "a");
  assertEquals([reader.holds(), placeOf(reader, 0)], [false, undefined]);
});

Deno.test("a clone leases what its parent sees, until it has a chunk of its own", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, { format: "native" });
  await using _closing = pool;
  for (const v of [0, 1]) {
    await pool.volume().write(pattern(512, v), v * SMALL_CHUNK);
  }
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]);
  await pool.volumeChanges.clone("small", "a", "c");
  const clone = pool.volume("c");
  const reader = readerOf(clone);
  const grant = () => [0, 1].map((v) => clone.leases.grant(v * SMALL_CHUNK));
  grant();
  const [first, second] = [0, 1].map((v) => placeOf(reader, v));
  assertEquals([first === undefined, isLeased(reader, 0)], [false, false]);
  await clone.write(pattern(512, 2), 0);
  assertEquals([placeOf(reader, 0), placeOf(reader, 1)], [undefined, second]);
  grant();
  assertEquals([isLeased(reader, 0), isLeased(reader, 1)], [true, false]);
  const [path = ""] = paths;
  await pool.remove([path]);
  await pool.evacuated(path);
  assertEquals(placeOf(reader, 1), undefined);
  grant();
  assertEquals(placeOf(reader, 1) === second, false);
  await pool.volumeChanges.flatten("c");
  assertEquals(isLeased(reader, 1), false);
  grant();
  assertEquals(isLeased(reader, 1), true);
  await pool.snapshotChanges.remove("small", "a");
});
