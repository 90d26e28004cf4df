/**
 * What clients can ask of a pool: which chunks have a place, and how much is
 * left.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  CHUNK_COMPONENT_SHIFT,
  CHUNK_DELAYED,
  CHUNK_MAPPED,
  CHUNK_UNKNOWN,
  openPool,
  type Pool,
  PRESSURE_DELAYED,
  PRESSURE_FREE_SHIFT,
  PRESSURE_FULL,
  PRESSURE_LOW,
  PRESSURE_STOPPED,
} from "../../../pool/mod.ts";
import { openSmallPool, SMALL_CHUNK } from "../../helpers/scratch.ts";
import {
  chunkBytes,
  makeQuickScratch,
  testFormats,
  until,
} from "../../helpers/small_pools.ts";

function ask(
  pool: Pool,
  name: string,
  offset: number,
  length: number,
  limit = Infinity,
): [number, number][] {
  const context = pool.volume().contexts.find((one) => one.name === name);
  return (context?.status(offset, length, limit) ?? [])
    .map((run) => [run.length, run.flags]);
}

function pressure(pool: Pool): [flags: number, free: number] {
  const [[length, flags] = [0, 0], ...more] = ask(
    ...[pool, "virstor:pressure", SMALL_CHUNK, 1234] as const,
  );
  assertEquals([length, more], [1234, []]);
  return [flags & 0xffff, flags >>> PRESSURE_FREE_SHIFT];
}

testFormats(
  "virstor:chunk gives places, and which chunks wait for one",
  async (format) => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 2, { format });
    const size = SMALL_CHUNK;
    const chunks = (first: number, end: number, limit?: number) =>
      ask(pool, "virstor:chunk", first * size, (end - first) * size, limit)
        .map(([length, flags]) => [length / size, flags]);
    const all = pool.volume().size / size;
    assertEquals(chunks(0, all), [[all, 0]]);
    const { freeChunks, components } = pool.status();
    const first = components[0]?.free ?? 0;
    for (let v = 0; v < freeChunks; v++) {
      await pool.volume().write(
        chunkBytes(v),
        v * size,
      );
    }
    const second = (CHUNK_MAPPED | 1 << CHUNK_COMPONENT_SHIFT) >>> 0;
    const mapped = [[first, CHUNK_MAPPED], [freeChunks - first, second]];
    assertEquals(chunks(0, all), [...mapped, [all - freeChunks, 0]]);
    assertEquals(chunks(0, all, 1).slice(0, 1), [[first, CHUNK_MAPPED]]);
    const ends = new AbortController();
    const writes = [freeChunks + 5, freeChunks + 2, freeChunks + 3].map((v) =>
      pool.volume().write(chunkBytes(v), v * size, { signal: ends.signal })
    );
    const from = freeChunks;
    assertEquals(chunks(from, from + 8), [
      ...[[2, 0], [2, CHUNK_DELAYED], [1, 0], [1, CHUNK_DELAYED], [2, 0]],
    ]);
    // Not in whole chunks.
    assertEquals(ask(pool, "virstor:chunk", (from + 2) * size - 1, 2), [
      ...[[1, 0], [1, CHUNK_DELAYED]] as [number, number][],
    ]);
    ends.abort();
    await Promise.allSettled(writes);
    assertEquals(chunks(from, from + 8), [[8, 0]]);
    await pool.close();
  },
);

testFormats("virstor:pressure tells how much is left", async (format) => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 1, { format });
  assertEquals(pressure(pool), [0, 10_000]);
  const { freeChunks } = pool.status();
  for (let v = 0; v < freeChunks - 1; v++) {
    await pool.volume().write(chunkBytes(v), v * SMALL_CHUNK);
  }
  const share = Math.ceil(10_000 / freeChunks);
  assertEquals(pressure(pool), [PRESSURE_LOW, share]);
  await pool.volume().write(chunkBytes(1), freeChunks * SMALL_CHUNK);
  assertEquals(pressure(pool), [PRESSURE_LOW | PRESSURE_FULL, 0]);
  const ends = new AbortController();
  const options = { signal: ends.signal };
  const write = pool.volume().write(chunkBytes(1), 40 * SMALL_CHUNK, options);
  assertEquals(pressure(pool), [
    ...[PRESSURE_LOW | PRESSURE_FULL | PRESSURE_DELAYED, 0],
  ]);
  ends.abort();
  await Promise.allSettled([write]);
  await until(() => pressure(pool)[0] === (PRESSURE_LOW | PRESSURE_FULL));
  await pool.close();
  await using again = await openPool(paths, { readOnly: true });
  assertEquals(pressure(again)[0] & PRESSURE_STOPPED, PRESSURE_STOPPED);
});

Deno.test("virstor:chunk does not know what a missing component holds", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, { format: "native" });
  await pool.volume().write(chunkBytes(1), SMALL_CHUNK);
  await pool.close();
  const [path = ""] = paths;
  await using half = await openPool([path], { degraded: true });
  const length = 3 * SMALL_CHUNK;
  assertEquals(ask(half, "virstor:chunk", 0, length), [
    [SMALL_CHUNK, CHUNK_UNKNOWN],
    [SMALL_CHUNK, CHUNK_MAPPED],
    [SMALL_CHUNK, CHUNK_UNKNOWN],
  ]);
});
