/**
 * The disk of a pool of format 2 gets another size, up or down, while it is
 * used.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { openPool, readLabel } from "../../../pool/mod.ts";
import {
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  assertSound,
  type Content,
  makeQuickScratch,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { StoppingFiles } from "../../helpers/stopping_device.ts";

const NATIVE = { format: "native" } as const;

Deno.test("Pool.resize() makes the disk larger, keeps what is there, and reads as zeroes beyond", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, events } = await openSmallPool(scratch, 2, {
    ...NATIVE,
    virtualSize: 8 * SMALL_CHUNK,
  });
  const content: Content = new Map();
  for (const v of [0, 7]) await writeChunk(pool, content, v);
  const beyond = () => pool.volume().read(new Uint8Array(1), 8 * SMALL_CHUNK);
  assertEquals(assertThrows(beyond, VirstorError).code, "invalid");
  const size = 100 * SMALL_CHUNK;
  // Up to whole chunks.
  assertEquals(await pool.resize(size - 1), { virtualSize: size });
  const { virtualSize, virtualChunks } = pool.status();
  assertEquals([pool.volume().size, virtualSize, virtualChunks], [
    size,
    size,
    100,
  ]);
  assert(events.some(({ kind }) => kind === "resized"));
  await assertContent(pool, content);
  for (const v of [8, 64, 99]) await writeChunk(pool, content, v);
  await pool.volume().write(pattern(10, 1), size - 10);
  content.get(99)?.set(pattern(10, 1), SMALL_CHUNK - 10);
  await assertContent(pool, content);
  assertEquals(pool.volume().extents(0, size).at(-1), {
    length: SMALL_CHUNK,
    kind: "data",
  });
  assertEquals(await pool.check(), []);
  // It is the size already.
  assertEquals(await pool.resize(size), { virtualSize: size });
  await pool.close();
  await assertSound("native", paths);
  for (const path of paths) assertEquals(readLabel(path).virtualSize, size);
  const again = await openPool(paths);
  assertEquals(again.volume().size, size);
  await assertContent(again, content);
  await again.close();
});

Deno.test("Pool.resize() makes a disk of up to 8 PiB", async () => {
  await using scratch = await makeQuickScratch();
  // So that there are not too many chunks of it.
  const { pool, paths } = await openSmallPool(scratch, 1, {
    ...NATIVE,
    chunkSize: 1024 * MIB,
    createSize: 1028 * MIB,
    virtualSize: 1024 * MIB,
  });
  await assertRefused(() => pool.resize(2 ** 53 + 2), "invalid", "8 PiB");
  assertEquals(await pool.resize(2 ** 53), { virtualSize: 2 ** 53 });
  await pool.volume().write(pattern(100, 1), 2 ** 53 - 100);
  await pool.close();
  const again = await openPool(paths);
  assertEquals(again.volume().size, 2 ** 53);
  assertEquals(
    await readBytes(again.volume(), 2 ** 53 - 100, 100),
    pattern(100, 1),
  );
  await again.close();
});

Deno.test("Pool.resize() makes the disk smaller with force only, and never over data", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, {
    ...NATIVE,
    virtualSize: 64 * SMALL_CHUNK,
  });
  const content: Content = new Map();
  for (const v of [0, 9, 40]) await writeChunk(pool, content, v);
  const size = 10 * SMALL_CHUNK;
  const shrink = (force: boolean) => () => pool.resize(size, { force });
  await assertRefused(shrink(false), "invalid", "smaller", "--force");
  await assertRefused(
    shrink(true),
    "invalid",
    `data at byte ${40 * SMALL_CHUNK}`,
    "discard",
  );
  assertEquals(pool.volume().size, 64 * SMALL_CHUNK);
  await assertContent(pool, content);
  await pool.volume().discard(40 * SMALL_CHUNK, SMALL_CHUNK);
  content.delete(40);
  assertEquals(await shrink(true)(), { virtualSize: size });
  assertEquals(pool.volume().size, size);
  for (
    const act of [
      () => pool.volume().read(new Uint8Array(2), size - 1),
      () => pool.volume().write(new Uint8Array(1), size),
      () => pool.volume().discard(0, size + 1),
      () => pool.volume().writeZeroes(size, 1),
      () => pool.volume().extents(size, 1),
    ]
  ) {
    assertEquals(assertThrows(act, VirstorError).code, "invalid");
  }
  await assertContent(pool, content);
  await pool.close();
  await assertSound("native", paths);
  const again = await openPool(paths);
  assertEquals(again.volume().size, size);
  await assertContent(again, content);
  // What was beyond is not there again when it grows.
  await again.resize(64 * SMALL_CHUNK);
  await assertContent(again, content);
  await again.close();
});

Deno.test("Pool.resize() does not take the place away for which a write waits", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, {
    ...NATIVE,
    virtualSize: 64 * SMALL_CHUNK,
  });
  const content: Content = new Map();
  for (let v = 0; v < 5; v++) await writeChunk(pool, content, v);
  const waiting = writeChunk(pool, content, 30);
  const shrink = () => pool.resize(20 * SMALL_CHUNK, { force: true });
  await assertRefused(shrink, "invalid", "wait for space");
  // Below it is none of its business.
  await pool.resize(31 * SMALL_CHUNK, { force: true });
  await pool.volume().discard(0, SMALL_CHUNK);
  content.delete(0);
  await waiting;
  await assertContent(pool, content);
  await pool.close();
});

Deno.test("Pool.resize() refuses sizes that are none, and pools that cannot", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, events } = await openSmallPool(scratch, 1, NATIVE);
  for (const size of [0, -1, NaN, Infinity]) {
    const resize = () => pool.resize(size, { force: true });
    await assertRefused(resize, "invalid", `pool "small" to ${size} bytes`);
  }
  await pool.volumeChanges.create("other", SMALL_CHUNK);
  await assertRefused(
    () => pool.resize(0, { volume: "other", force: true }),
    "invalid",
    'Cannot resize volume "small/other" to 0 bytes',
  );
  await pool.resize(3 * SMALL_CHUNK, { volume: "other" });
  assertEquals(
    events.filter(({ kind }) => kind === "resized").map(({ message }) =>
      message
    ),
    ['Volume "small/other" now has 393216 bytes'],
  );
  await pool.close();
  const reader = await openPool(paths, { readOnly: true });
  await assertRefused(() => reader.resize(128 * MIB), "read-only");
  await reader.close();
  await using other = await makeQuickScratch();
  const freebsd = await openSmallPool(other, 1);
  await assertRefused(
    () => freebsd.pool.resize(128 * MIB),
    "unsupported",
    "native format",
  );
  await freebsd.pool.close();
});

Deno.test("Pool.resize() that was not done on disk takes no effect", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 1, NATIVE);
  await pool.volume().write(pattern(10, 1), 0);
  await pool.volume().flush();
  await Deno.remove(paths[0] ?? "");
  await assertRefused(() => pool.resize(128 * MIB), "failed", "deleted");
  assertEquals(pool.volume().size, 64 * MIB);
  assertEquals(pool.status().state, "failed");
  assertEquals(await readBytes(pool.volume(), 0, 10), pattern(10, 1));
  await pool.close();
});

Deno.test("Pool.resize() to a smaller size leaves a pool that opens, also if a power cut takes back the discard before it", async () => {
  await using scratch = await makeQuickScratch();
  const files = new StoppingFiles();
  const { pool, paths } = await openSmallPool(scratch, 1, {
    ...NATIVE,
    openDevice: files.open,
  });
  const content: Content = new Map();
  for (const v of [0, 40]) await writeChunk(pool, content, v);
  await pool.volume().flush();
  files.stopAfter(Infinity);
  await pool.volume().discard(40 * SMALL_CHUNK, SMALL_CHUNK);
  const resized = pool.resize(20 * SMALL_CHUNK, { force: true });
  // The entry is cleared and the chunk punched, and perhaps the superblock
  // written: before any flush has ended.
  for (let i = 0; i < 100 && files.writes < 3; i++) await Promise.resolve();
  files.stop();
  const superblocks = Deno.statSync(paths[0] ?? "").size - 2 * 65_536;
  files.powerCut((offset) => offset >= superblocks);
  await Promise.allSettled([resized, pool.close()]);
  await files.closeAll();
  const again = await openPool(paths);
  assert([20 * SMALL_CHUNK, 64 * MIB].includes(again.volume().size));
  await again.close();
});
