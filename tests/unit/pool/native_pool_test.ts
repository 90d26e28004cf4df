/**
 * What only pools of format 2 do: space that is given back is used again,
 * components go, and the disk gets another size. What pools of both formats do
 * is tested in `pool_test.ts` and `delayed_writes_test.ts`.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Completion, FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { openPool, type Pool, readLabel } from "../../../pool/mod.ts";
import { isZero } from "../../helpers/bytes.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  componentSize,
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
  until,
  writeChunk,
} from "../../helpers/small_pools.ts";

const NATIVE = { format: "native" } as const;

/** Uses up the chunks of a pool: virtual chunks 0 and up. */
async function fill(pool: Pool): Promise<Content> {
  const content: Content = new Map();
  for (let v = 0; pool.status().freeChunks > 0; v++) {
    await writeChunk(pool, content, v);
  }
  return content;
}

/** Host blocks of 512 bytes that files take. */
function blocksOf(paths: readonly string[]): number {
  return paths.reduce(
    (sum, path) => sum + (Deno.statSync(path).blocks ?? 0),
    0,
  );
}

/** Whether something still waits after others had their turns. */
async function waits(pending: Completion): Promise<boolean> {
  const later = new Promise((resolve) => setTimeout(resolve, 20, "later"));
  return await Promise.race([pending, later]) === "later";
}

for (const act of ["discard", "writeZeroes"] as const) {
  testNatively(
    `Volume.${act}() gives whole chunks back, which read as zeroes and are used again`,
    async () => {
      await using scratch = await makeQuickScratch();
      const { pool, paths } = await openSmallPool(scratch, 2, NATIVE);
      const content = await fill(pool);
      await pool.volume().flush();
      const before = blocksOf(paths);
      // Two whole chunks, and half of each one beside them.
      const half = SMALL_CHUNK / 2;
      await pool.volume()[act](3 * SMALL_CHUNK + half, 3 * SMALL_CHUNK);
      for (const v of [4, 5]) content.delete(v);
      content.get(3)?.fill(0, half);
      content.get(6)?.fill(0, 0, half);
      const { mappedChunks, usedChunks, freeChunks, freeingChunks } = pool
        .status();
      assertEquals([mappedChunks, usedChunks], [10, 10]);
      assertEquals(freeChunks + freeingChunks, 2);
      await assertContent(pool, content);
      await until(() => pool.status().freeChunks === 2);
      assertEquals(pool.status().freeingChunks, 0);
      await pool.volume().flush();
      const given = 3 * SMALL_CHUNK / 512;
      assert(
        blocksOf(paths) <= before - given + 16,
        "host space is given back",
      );
      assertEquals(await pool.check(), []);
      for (const v of [90, 91]) {
        await writeChunk(pool, content, v, pattern(10, v));
      }
      assertEquals(pool.status().freeChunks, 0);
      await assertContent(pool, content);
      await pool.close();
      await assertSound("native", paths);
      const again = await openPool(paths);
      await assertContent(again, content);
      await again.close();
    },
  );
}

testNatively(
  "Volume.discard() of the whole disk gives every chunk back, also what was never mapped",
  async () => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 2, NATIVE);
    const before = blocksOf(paths);
    for (let round = 0; round < 5; round++) {
      await fill(pool);
      await pool.volume().discard(0, pool.volume().size);
      assertEquals(pool.status().mappedChunks, 0);
      assert(isZero(await readBytes(pool.volume(), 0, 20 * SMALL_CHUNK)));
      await until(() => pool.status().freeChunks === 12);
    }
    await pool.close();
    await assertSound("native", paths);
    // All that is left are tables and superblocks, as in the beginning.
    assert(blocksOf(paths) <= before + 16);
  },
);

Deno.test("Volume.writeZeroes() with noHole keeps chunks, and the host's space with them", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 1, NATIVE);
  await fill(pool);
  const before = blocksOf(paths);
  await pool.volume().writeZeroes(0, 5 * SMALL_CHUNK, { noHole: true });
  assertEquals(pool.status().mappedChunks, 5);
  assertEquals(blocksOf(paths), before);
  assert(isZero(await readBytes(pool.volume(), 0, 5 * SMALL_CHUNK)));
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("Pool shows nothing of an earlier owner in a chunk that is used again, also without holes", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 1, {
    ...NATIVE,
    openDevice: (path, options) =>
      new FileDevice(path, { ...options, native: false }),
  });
  for (let round = 0; round < 3; round++) {
    for (let v = 0; v < 5; v++) {
      await pool.volume().write(pattern(SMALL_CHUNK, v), v * SMALL_CHUNK);
    }
    await pool.volume().discard(0, 5 * SMALL_CHUNK);
    for (let v = 10; v < 15; v++) {
      await pool.volume().write(Uint8Array.of(1), v * SMALL_CHUNK);
      const rest = await readBytes(
        pool.volume(),
        v * SMALL_CHUNK + 1,
        SMALL_CHUNK - 1,
      );
      assert(isZero(rest), `round ${round}: chunk ${v} shows old bytes`);
    }
    await pool.volume().discard(0, pool.volume().size);
  }
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("Volume.write() that waits goes on when chunks are given back, in order", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, events } = await openSmallPool(scratch, 1, NATIVE);
  const content = await fill(pool);
  const order: number[] = [];
  const pending = [10, 11, 12].map(async (v) => {
    await writeChunk(pool, content, v);
    order.push(v);
  });
  assert(await waits(Promise.race(pending)));
  await pool.volume().discard(0, SMALL_CHUNK);
  content.delete(0);
  await pending[0];
  assert(await waits(pending[1]));
  assertEquals([order, pool.status().delayed.count], [[10], 2]);
  await pool.volume().discard(SMALL_CHUNK, 2 * SMALL_CHUNK);
  for (const v of [1, 2]) content.delete(v);
  await Promise.all(pending);
  assertEquals(order, [10, 11, 12]);
  await assertContent(pool, content);
  const kinds = events.map(({ kind }) => kind)
    .filter((kind) => kind === "delayed" || kind === "resumed");
  assertEquals(kinds, ["delayed", "resumed"]);
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("Volume.write() with onFull error waits for chunks that are about to be free, and fails when there are none", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, {
    ...NATIVE,
    onFull: "error",
  });
  await fill(pool);
  const act = () => pool.volume().write(pattern(10, 1), 10 * SMALL_CHUNK);
  assertThrows(act, VirstorError, "it is full");
  await pool.volume().discard(0, SMALL_CHUNK);
  await act();
  assertEquals(
    await readBytes(pool.volume(), 10 * SMALL_CHUNK, 10),
    pattern(10, 1),
  );
  const next = () => pool.volume().write(pattern(10, 1), 11 * SMALL_CHUNK);
  assertThrows(next, VirstorError, "it is full");
  await pool.close();
});

Deno.test("Volume.write() with onFull error does not wait for chunks that could not be freed", async () => {
  await using scratch = await makeQuickScratch();
  let isBroken = false;
  const { pool, paths, events } = await openSmallPool(scratch, 1, {
    ...NATIVE,
    onFull: "error",
    openDevice: (path, options) => {
      const device = new FileDevice(path, options);
      const writeZeroes = device.writeZeroes.bind(device);
      device.writeZeroes = (...args) => {
        if (!isBroken) return writeZeroes(...args);
        throw new VirstorError("io", "Cannot zero: no spindle turns");
      };
      return device;
    },
  });
  const content = await fill(pool);
  isBroken = true;
  await pool.volume().discard(0, SMALL_CHUNK);
  content.delete(0);
  await until(() => events.some(({ kind }) => kind === "space"));
  assert(events.at(-1)?.message.includes("no spindle turns"));
  assertEquals(pool.status().state, "open");
  await assertContent(pool, content);
  // If it waited for work that is not under way, this would not end.
  const act = async () =>
    await pool.volume().write(pattern(10, 1), 10 * SMALL_CHUNK);
  const error = await assertRejects(act, VirstorError, "it is full");
  assertEquals(error.code, "no-space");
  isBroken = false;
  await pool.close();
  // The next open frees it.
  const again = await openPool(paths);
  assertEquals(again.status().freeChunks, 1);
  await assertContent(again, content);
  await again.close();
});

Deno.test("Volume.discard() and writeZeroes() refuse nothing on a full pool, and need no chunk", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, NATIVE);
  const content = await fill(pool);
  const write = pool.volume().write(pattern(10, 1), 50 * SMALL_CHUNK);
  write?.catch(() => {});
  await pool.volume().discard(60 * SMALL_CHUNK, 10 * SMALL_CHUNK);
  await pool.volume().writeZeroes(SMALL_CHUNK + 5, 10);
  content.get(1)?.fill(0, 5, 15);
  await assertContent(pool, content);
  assertEquals(pool.status().delayed.count, 1);
  await pool.close();
});

Deno.test("Pool.add() gives a native pool more chunks, which last", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, events } = await openSmallPool(scratch, 1, NATIVE);
  const content = await fill(pool);
  const waiting = writeChunk(pool, content, 20);
  const added = [scratch.file("x"), scratch.file("y")];
  const { components } = await pool.add(added, {
    createSize: componentSize("native", 3),
  });
  assertEquals(
    components.map(({ index, path, chunkCount }) => [index, path, chunkCount]),
    [[1, added[0], 3], [2, added[1], 3]],
  );
  await waiting;
  for (let v = 30; v < 35; v++) await writeChunk(pool, content, v);
  const used = pool.status().components.map((one) => one.used);
  assertEquals(used, [5, 3, 3]);
  assert(events.some(({ kind }) => kind === "added"));
  assertEquals(await pool.check(), []);
  await pool.close();
  await assertSound("native", [...paths, ...added]);
  const again = await openPool([...added.toReversed(), ...paths]);
  await assertContent(again, content);
  const order = again.status().components.map(({ path }) => path);
  assertEquals(order, [...paths, ...added]);
  await again.close();
  await assertRefused(
    () => openPool([...paths, added[0] ?? ""]),
    "not-found",
    "component 2",
    "of 3",
  );
});

Deno.test("Pool.add() to a native pool refuses what does not fit, and changes nothing", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, NATIVE);
  const small = scratch.file("small");
  Deno.writeFileSync(small, new Uint8Array(SMALL_CHUNK));
  const before = Deno.readFileSync(small);
  await assertRefused(() => pool.add([small]), "invalid", "room for 0 chunks");
  await assertRefused(() => pool.add(paths), "exists", "in the pool already");
  await assertRefused(
    () =>
      pool.add([scratch.file("new")], { createSize: 1 << 20, hardcode: true }),
    "invalid",
    "-h",
  );
  assertEquals(Deno.readFileSync(small), before);
  assertEquals(pool.status().components.length, 2);
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("Pool.remove() ends the membership of native components that hold no chunk at once", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, events } = await openSmallPool(scratch, 4, NATIVE);
  const [a = "", b = "", c = "", d = ""] = paths;
  const content: Content = new Map();
  for (let v = 0; v < 6; v++) await writeChunk(pool, content, v);
  // Empty again, in the middle.
  await pool.volume().discard(5 * SMALL_CHUNK, SMALL_CHUNK);
  content.delete(5);
  assertEquals(await pool.remove([b, d]), {
    removed: [b, d],
    evacuating: [],
  });
  const places = pool.status().components.map((one) => [one.index, one.path]);
  assertEquals(places, [[0, a], [1, c]]);
  assert(events.some(({ kind }) => kind === "removed"));
  for (const path of [b, d]) {
    assertThrows(() => readLabel(path), VirstorError, "no label");
    new FileDevice(path, { lock: "exclusive" }).close();
  }
  for (let v = 10; v < 17; v++) await writeChunk(pool, content, v);
  assertEquals(pool.status().freeChunks, 0);
  await assertContent(pool, content);
  assertEquals(await pool.check(), []);
  await pool.close();
  await assertSound("native", [a, c]);
  const again = await openPool([a, c]);
  await assertContent(again, content);
  await again.close();
});

Deno.test("Pool.remove() of all native components, or of none, or of others, is refused", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, NATIVE);
  const other = scratch.file("other");
  Deno.writeFileSync(other, new Uint8Array(10));
  await assertRefused(() => pool.remove(paths), "invalid", "one has to stay");
  await assertRefused(() => pool.remove([]), "invalid", "no components");
  await assertRefused(() => pool.remove([other]), "invalid", "no component of");
  assertEquals(pool.status().components.length, 2);
  // Also the first one may go, and the last one that is left may not.
  const [a = "", b = ""] = paths;
  await pool.remove([a]);
  await assertRefused(() => pool.remove([b]), "invalid", "one has to stay");
  await pool.volume().write(pattern(10, 1), 0);
  await pool.close();
  await assertSound("native", [b]);
});
