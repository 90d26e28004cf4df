/**
 * The map of chunks: what its cells count, and how many there are.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { labelPool, openPool } from "../../../pool/mod.ts";
import { eventually } from "../../helpers/patience.ts";
import { makeScratch } from "../../helpers/scratch.ts";

const CHUNK = 128 * 1024;
const BYTE = new Uint8Array([1]);
const never = new AbortController().signal;

/** The sum of some numbers. */
function sum(numbers: readonly number[] = []): number {
  return numbers.reduce((total, each) => total + each, 0);
}

Deno.test("the map of chunks counts what volumes and snapshots hold", async () => {
  await using scratch = await makeScratch();
  const paths = [`${scratch.path}/a`, `${scratch.path}/b`];
  const sizes = { createSize: 2 ** 21, virtualSize: 64 * CHUNK };
  await labelPool({ name: "demo", paths, chunkSize: CHUNK, ...sizes });
  await using pool = await openPool(paths);
  const disk = pool.volume();
  for (const chunk of [0, 1, 40]) await disk.write(BYTE, chunk * CHUNK);
  await pool.snapshotChanges.take([{ volume: "demo", snapshot: "s" }]);
  await disk.write(BYTE, 0);
  await disk.write(BYTE, 41 * CHUNK);
  const { components, volumes, chunkSize, left } = await pool.view.chunkMap(
    never,
  );
  assertEquals([chunkSize, left], [CHUNK, 0]);
  assertEquals(components.map(({ name }) => name), paths);
  // The old version of chunk 0, too.
  assertEquals(sum(components.flatMap(({ mapped }) => mapped)), 5);
  assertEquals(sum(components.flatMap(({ shared }) => shared)), 3);
  const [volume] = volumes;
  assertEquals([volume?.name, volume?.chunks, volume?.chunksPerCell], [
    "demo",
    64,
    1,
  ]);
  const cells = (numbers: readonly number[] = []) =>
    numbers.flatMap((value, cell) => value === 1 ? [cell] : []);
  assertEquals(cells(volume?.mapped), [0, 1, 40, 41]);
  assertEquals(cells(volume?.shared), [1, 40]);
  assertEquals(volume?.owner[2], -1);
  assertEquals(sum(volume?.moving), 0);
});

Deno.test("the map of chunks shows what leaves, and its new places", async () => {
  await using scratch = await makeScratch();
  const paths = [`${scratch.path}/a`, `${scratch.path}/b`];
  const sizes = { createSize: 2 ** 21, virtualSize: 64 * CHUNK };
  await labelPool({ name: "demo", paths, chunkSize: CHUNK, ...sizes });
  await using pool = await openPool(paths);
  for (let i = 0; i < 6; i++) await pool.volume().write(BYTE, i * CHUNK);
  const [from = ""] = paths;
  await pool.remove([from], { bytesPerSecond: 1 });
  await eventually("the first chunks move", async () => {
    const { components: [leaving, other] } = await pool.view.chunkMap(never);
    const places = sum(other?.moving);
    assertEquals([leaving?.isLeaving, other?.isLeaving], [true, false]);
    assertEquals(sum(leaving?.moving), sum(leaving?.mapped));
    return places > 0;
  });
  await pool.cancelRemove([from]);
  const { components } = await pool.view.chunkMap(never);
  assertEquals(sum(components.flatMap(({ moving }) => moving)), 0);
  assertEquals(sum(components.flatMap(({ mapped }) => mapped)), 6);
});

Deno.test("the map of a huge volume has few cells, and can be ended", async () => {
  await using scratch = await makeScratch();
  const paths = [`${scratch.path}/a`];
  const sizes = { createSize: 2 ** 26, virtualSize: 2 ** 53 };
  await labelPool({ name: "demo", paths, ...sizes });
  await using pool = await openPool(paths);
  await pool.volume().write(BYTE, 2 ** 53 - 1);
  const { volumes: [row] } = await pool.view.chunkMap(never);
  assertEquals([row?.mapped.length, row?.mapped.at(-1)], [2048, 1]);
  assertEquals(row?.chunksPerCell, 2 ** 35 / 2048);
  const ended = await pool.view.chunkMap(AbortSignal.abort());
  assert(sum(ended.volumes[0]?.mapped) === 0);
});
