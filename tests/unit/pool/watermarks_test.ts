/**
 * Watermarks: when a pool says that space runs out, also a small one, where
 * FreeBSD's figures wrap below zero (fault 11).
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { Component } from "../../../pool/core/component.ts";
import type { Watermarks } from "../../../pool/mod.ts";
import { passedMarks } from "../../../pool/core/watermarks.ts";
import { assertFreebsd } from "../../helpers/freebsd_checker.ts";
import { openSmallPool, SMALL_CHUNK } from "../../helpers/scratch.ts";
import { makeQuickScratch, makeSparse } from "../../helpers/small_pools.ts";

/** The marks passed by components with so many chunks: reserved, used, all. */
async function passed(
  members: readonly (readonly [number, number, number])[],
  marks: Partial<Watermarks> = {},
  change: (components: readonly Component[]) => void = () => {},
): Promise<string[]> {
  await using scratch = await makeQuickScratch();
  const device = new FileDevice(makeSparse(scratch.file("any"), 512));
  const components = members.map(([chunkReserved, used, chunkCount], i) => {
    const size = chunkCount * SMALL_CHUNK + 512;
    const geometry = { size, chunkCount, chunkReserved, hardcodedName: "" };
    const component = new Component(i + 1, i, device, geometry);
    for (let i = 0; i < used; i++) component.use(component.next);
    return component;
  });
  device.close();
  change(components);
  return passedMarks(components, { chunks: 100, components: 1, ...marks })
    .map(({ mark, message }) => `${mark}: ${message}`);
}

Deno.test("passedMarks() passes nothing where there is space", async () => {
  assertEquals(await passed([[2, 0, 1000]]), []);
  assertEquals(await passed([[2, 898, 1000]]), []);
  assertEquals(await passed([[2, 900, 1000], [0, 0, 1000]]), []);
});

Deno.test("passedMarks() passes the mark for chunks below it, and not at it", async () => {
  assertEquals(await passed([[2, 898, 1000]]), []);
  assertEquals(await passed([[2, 899, 1000]]), [
    "chunks: 99 of 998 chunks are free, fewer than 100",
  ]);
  assertEquals(await passed([[2, 998, 1000]]), [
    "chunks: All 998 chunks are in use",
  ]);
});

Deno.test("fault 11: passedMarks() takes a quarter as the mark of a pool smaller than the mark", async () => {
  assertEquals(await passed([[2, 0, 10]]), []);
  assertEquals(await passed([[2, 6, 10]]), []);
  assertEquals(await passed([[2, 7, 10]]), [
    "chunks: 1 of 8 chunks is free, fewer than 2",
  ]);
  assertEquals(await passed([[2, 8, 10]]), [
    "chunks: All 8 chunks are in use",
  ]);
  // Exactly as large as the mark, which would be passed by the first chunk.
  assertEquals(await passed([[2, 1, 102]]), []);
  assertEquals(await passed([[2, 75, 102]]), []);
  assertEquals(await passed([[2, 76, 102]]), [
    "chunks: 24 of 100 chunks are free, fewer than 25",
  ]);
});

Deno.test("fault 11: passedMarks() counts the reserve once, as no space at all", async () => {
  // 60 chunks are reserved and 90 are free: counted twice it would be 30.
  const marks = { chunks: 80 };
  assertEquals(await passed([[60, 10, 160]], marks), []);
  assertEquals(await passed([[60, 21, 160]], marks), [
    "chunks: 79 of 100 chunks are free, fewer than 80",
  ]);
  assertEquals(await passed([[4, 0, 4], [0, 0, 8]]), []);
});

Deno.test("fault 11: passedMarks() has no mark for components where there is one only", async () => {
  assertEquals(await passed([[2, 500, 1000]]), []);
  assertEquals(await passed([[2, 998, 1000], [0, 0, 500]]), []);
  assertEquals(await passed([[2, 998, 1000], [0, 1, 500]]), [
    "components: 0 of 2 components are unused, fewer than 1",
  ]);
  const three = [[2, 998, 1000], [0, 0, 500], [0, 0, 500]] as const;
  assertEquals(await passed(three, { components: 2 }), []);
  assertEquals(await passed(three, { components: 3 }), []);
  const four = [...three, [0, 0, 500]] as const;
  assertEquals(await passed(four, { components: 3 }), []);
  const used = [[2, 998, 1000], [0, 1, 500], [0, 0, 500], [0, 0, 500]] as const;
  assertEquals(await passed(used, { components: 3 }), [
    "components: 2 of 4 components are unused, fewer than 3",
  ]);
});

Deno.test("passedMarks() counts what stays, when components leave", async () => {
  const leaving = (count: number) => (members: readonly Component[]) => {
    for (const one of members.slice(0, count)) one.fenced = true;
  };
  const pair = [[0, 6, 6], [0, 2, 2]] as const;
  assertEquals(await passed(pair, {}, leaving(1)), [
    "chunks: All 2 chunks of the components that stay are in use",
  ]);
  assertEquals(await passed([[0, 6, 6], [0, 1, 1]], {}, leaving(1)), [
    "chunks: The only chunk of the components that stay is in use",
  ]);
  // The free ones of the first are no room any more.
  assertEquals(await passed([[0, 1, 6], [0, 7, 8]], {}, leaving(1)), [
    "chunks: 1 of 8 chunks of the components that stay is free, fewer than 2",
  ]);
  const three = [[0, 0, 6], [0, 1, 9], [0, 1, 9]] as const;
  assertEquals(await passed(three, { chunks: 1 }, leaving(1)), [
    "components: 0 of 2 components that stay are unused, fewer than 1",
  ]);
});

Deno.test("passedMarks() tells chunks that are being freed from those in use", async () => {
  const freeing = ([one]: readonly Component[]) => one && one.used--;
  assertEquals(await passed([[0, 8, 8]], {}, freeing), [
    "chunks: None of 8 chunks is free, 1 is being freed",
  ]);
});

Deno.test("passedMarks() passes nothing at marks of zero", async () => {
  const none = { chunks: 0, components: 0 };
  assertEquals(await passed([[2, 998, 1000], [0, 5, 5]], none), []);
});

Deno.test("Pool tells each mark once when it is passed, and again after it was not", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths, events } = await openSmallPool(scratch, 2, {
    chunkWatermark: 3,
  });
  const said = () =>
    events.filter(({ kind }) => kind === "watermark").map((one) => one.message);
  const write = async (first: number, last: number) => {
    for (let v = first; v <= last; v++) {
      await pool.volume().write(new Uint8Array(1), v * SMALL_CHUNK);
    }
  };
  assertEquals([said(), pool.status().warnings], [[], []]);
  await write(1, 5);
  assertEquals(said(), []);
  const components = "0 of 2 components are unused, fewer than 1";
  await write(6, 6);
  assertEquals(said(), [components]);
  await write(7, 9);
  assertEquals(said(), [components]);
  await write(10, 10);
  const chunks = "2 of 12 chunks are free, fewer than 3";
  assertEquals(said(), [components, chunks]);
  assertEquals(pool.status().warnings, [chunks, components]);
  await write(11, 12);
  assertEquals(said(), [components, chunks]);
  assert(pool.status().warnings.includes("All 12 chunks are in use"));
  const added = scratch.file("added");
  await pool.add([added], { createSize: 5 * SMALL_CHUNK });
  assertEquals(pool.status().warnings, []);
  await write(13, 14);
  assertEquals(said(), [
    components,
    chunks,
    "0 of 3 components are unused, fewer than 1",
    "2 of 16 chunks are free, fewer than 3",
  ]);
  await pool.close();
  assertFreebsd([...paths, added]);
});

Deno.test("Pool has figures between none and all, however small it is", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 1);
  for (let v = 0; v <= 5; v++) {
    const status = pool.status();
    assertEquals([status.reservedChunks, status.physicalChunks], [2, 7]);
    assertEquals([status.usedChunks, status.freeChunks], [v, 5 - v]);
    assertEquals(status.usedPercent, 20 * v);
    assertEquals(status.backingPercent, 1);
    if (v < 5) await pool.volume().write(new Uint8Array(1), v * SMALL_CHUNK);
  }
  await pool.close();
  assertFreebsd(paths);
});
