/**
 * Changes of a pool that overlap: a second one begins before the first has
 * ended, or the pool closes meanwhile.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { openPool, type Pool } from "../../../pool/mod.ts";
import {
  componentSize,
  makeScratch,
  openSmallPool,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
  type SmallPool,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  assertSound,
  chunkBytes,
  type Content,
  makeQuickScratch,
  until,
  writeChunk,
} from "../../helpers/small_pools.ts";

/** Chunks of each component. */
const CHUNKS = 120;
/** A component is evacuated for some seconds. */
const RATE = 40 * SMALL_CHUNK;

function openPoolOf(scratch: Scratch, count: number): Promise<SmallPool> {
  return openSmallPool(scratch, count, {
    format: "native",
    createSize: componentSize("native", CHUNKS),
    virtualSize: 1024 * SMALL_CHUNK,
  });
}

/** Overwrites mapped chunks until the test ends it. */
async function overwrite(
  pool: Pool,
  content: Content,
  isOver: () => boolean,
): Promise<void> {
  for (let i = 0; !isOver(); i++) {
    const v = i % content.size;
    await writeChunk(pool, content, v, chunkBytes(1000 + i % 64 + v));
    if (i % 8 === 0) await turn();
  }
}

async function fill(pool: Pool, chunks: number): Promise<Content> {
  const content: Content = new Map();
  for (let v = 0; v < chunks; v++) await writeChunk(pool, content, v);
  return content;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "";
  } catch (error) {
    assert(error instanceof VirstorError, String(error));
    return error.code;
  }
}

Deno.test("Two Pool.cancelRemove() at once keep the component, and every acknowledged write", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openPoolOf(scratch, 3);
  const [a = ""] = paths;
  const content = await fill(pool, 200);
  let isOver = false;
  const writing = overwrite(pool, content, () => isOver);
  for (let round = 0; round < 5; round++) {
    await pool.remove([a], { bytesPerSecond: RATE });
    // Some chunks are half way by then.
    for (let i = 0; i < 3 * round; i++) await turn();
    const codes = await Promise.all([
      codeOf(pool.cancelRemove([a])),
      codeOf(pool.cancelRemove([a])),
    ]);
    // The second one finds that the component stays already.
    assertEquals(codes, ["", "invalid"]);
    assertEquals(pool.status().evacuation, null);
  }
  isOver = true;
  await writing;
  assert(pool.status().components.some(({ path }) => path === a));
  await assertContent(pool, content);
  assertEquals(await pool.check(), []);
  await pool.close();
  await assertSound("native", paths);
  const again = await openPool(paths);
  await assertContent(again, content);
  await again.close();
});

Deno.test("Pool.cancelRemove() beside Pool.remove() of another component keeps the one and evacuates the other", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openPoolOf(scratch, 4);
  const [a = "", b = ""] = paths;
  const content = await fill(pool, 220);
  let isOver = false;
  const writing = overwrite(pool, content, () => isOver);
  await pool.remove([a], { bytesPerSecond: RATE });
  for (let i = 0; i < 10; i++) await turn();
  const added = scratch.file("added");
  const createSize = componentSize("native", CHUNKS);
  const codes = await Promise.all([
    codeOf(pool.add([added], { createSize })),
    codeOf(pool.remove([b], { bytesPerSecond: 0 })),
    codeOf(pool.cancelRemove([a])),
  ]);
  assertEquals(codes, ["", "", ""]);
  await until(() => pool.status().evacuation === null);
  isOver = true;
  await writing;
  const left = pool.status().components.map(({ path }) => path);
  assertEquals(left, [a, ...paths.slice(2), added]);
  await assertContent(pool, content);
  assertEquals(await pool.check(), []);
  await pool.close();
  await assertSound("native", left);
});

Deno.test("Pool.cancelRemove() does not wait for the evacuation", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openPoolOf(scratch, 2);
  const [a = ""] = paths;
  const content = await fill(pool, 60);
  await pool.remove([a], { bytesPerSecond: SMALL_CHUNK });
  await until(() => pool.status().evacuation?.state === "moving");
  await pool.cancelRemove([a]);
  assertEquals(pool.status().evacuation, null);
  const used = pool.status().components[0]?.used ?? 0;
  assert(used > 0, "at one chunk a second most are still there");
  await assertContent(pool, content);
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("Changes of all kinds at once leave a sound pool, whatever their order", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openPoolOf(scratch, 4);
  const [a = "", b = ""] = paths;
  const content = await fill(pool, 150);
  const createSize = componentSize("native", CHUNKS);
  for (let round = 0; round < 6; round++) {
    const added = scratch.file(`added${round}`);
    const size = (1024 + round) * SMALL_CHUNK;
    const acts: (() => Promise<unknown>)[] = [
      () => pool.remove([a], { bytesPerSecond: RATE }),
      () => pool.cancelRemove([a]),
      () => pool.add([added], { createSize }),
      () => pool.remove([b], { bytesPerSecond: RATE }),
      () => pool.resize(size, { force: true }),
      () => pool.cancelRemove([a]),
      () => pool.check().then((findings) => assertEquals(findings, [])),
      () => pool.cancelRemove([b]),
    ];
    // Another order each time.
    const turned = [...acts.slice(round), ...acts.slice(0, round)];
    const ends: Promise<void>[] = [];
    for (const act of turned) {
      for (let i = 0; i < round; i++) await Promise.resolve();
      ends.push(
        codeOf(act()).then((code) =>
          assert(["", "invalid"].includes(code), code)
        ),
      );
      void writeChunk(pool, content, round * 8 + 3, chunkBytes(round + 2000));
    }
    await pool.check();
    for (const path of [a, b]) await codeOf(pool.cancelRemove([path]));
    // The add opens its component beside the other changes.
    await Promise.all(ends);
    await pool.remove([added]);
    await until(() => pool.status().evacuation === null);
  }
  await assertContent(pool, content);
  await pool.close();
  await assertSound("native", paths);
});

/** A pool of many small chunks, all mapped: to discard it takes turns. */
async function openWide(scratch: Scratch): Promise<SmallPool> {
  const chunks = 100_000;
  const small = await openSmallPool(scratch, 1, {
    format: "native",
    chunkSize: 4096,
    createSize: chunks * 4096 + (16 << 20),
    virtualSize: chunks * 4096,
  });
  await small.pool.volume().writeZeroes(0, small.pool.volume().size, {
    noHole: true,
  });
  for (let v = 0; v < chunks; v += 997) {
    await small.pool.volume().write(new Uint8Array([1]), v * 4096);
  }
  return small;
}

for (const kind of ["discard", "writeZeroes", "writeZeroes, no hole"]) {
  for (const turns of [0, 1, 2]) {
    Deno.test(`Pool.close() during a ${kind} that is ${turns} turns old leaves a pool that opens`, async () => {
      await using scratch = await makeQuickScratch();
      const { pool, paths } = await openWide(scratch);
      const { size } = pool.volume();
      const erased = kind === "discard"
        ? pool.volume().discard(0, size, { fua: true })
        : pool.volume().writeZeroes(0, size, { noHole: kind.endsWith("hole") });
      const outcome = codeOf(Promise.resolve(erased));
      for (let i = 0; i < turns; i++) await turn();
      await pool.close();
      assert(["", "shutdown"].includes(await outcome), await outcome);
      await assertSound("native", paths);
      const again = await openPool(paths);
      // Each chunk is as it was or zeroes.
      for (let at = 0; at < size; at += 997 * 4096) {
        const [first = 0] = await readBytes(again.volume(), at, 1);
        assert(first === 0 || first === 1);
      }
      await again.close();
    });
  }
}

Deno.test("After Pool.close() nothing writes to its files", async () => {
  await using scratch = await makeScratch();
  const { pool, paths } = await openWide(scratch);
  const pending: Promise<string>[] = [];
  const act = (completion: void | Promise<void>) => {
    pending.push(codeOf(Promise.resolve(completion)));
  };
  const half = pool.volume().size / 2;
  act(pool.volume().discard(0, half));
  act(pool.volume().writeZeroes(half, half, { noHole: true, fua: true }));
  act(pool.volume().flush());
  act(pool.volume().write(new Uint8Array(8192), 4096, { fua: true }));
  await pool.close();
  const before = Deno.statSync(paths[0] ?? "").mtime?.getTime();
  for (const code of await Promise.all(pending)) {
    assert(["", "shutdown"].includes(code), code);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(Deno.statSync(paths[0] ?? "").mtime?.getTime(), before);
  await assertSound("native", paths);
});

Deno.test("Pool.resize() to a smaller size does not let a lane map a chunk beyond the new end", async () => {
  await using scratch = await makeQuickScratch();
  for (let wait = 0; wait < 12; wait++) {
    const { pool, paths } = await openSmallPool(scratch, 1, {
      format: "native",
      virtualSize: 64 * SMALL_CHUNK,
      force: true,
    });
    const { leases } = pool.volume();
    const resized = pool.resize(16 * SMALL_CHUNK, { force: true });
    for (let i = 0; i < wait; i++) await Promise.resolve();
    const isMapped = leases.prepare(40 * SMALL_CHUNK);
    const code = await codeOf(resized);
    // Either came first; not both.
    assertEquals(code, isMapped ? "invalid" : "");
    assertEquals(pool.volume().size, (isMapped ? 64 : 16) * SMALL_CHUNK);
    await pool.close();
    await assertSound("native", paths);
    const again = await openPool(paths);
    await again.close();
  }
});
