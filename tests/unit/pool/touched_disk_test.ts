/**
 * A client that writes to a disk everywhere and discards again leaves no memory
 * behind, however large the disk is.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { labelPool, openPool } from "../../../pool/mod.ts";
import { makeScratch } from "../../helpers/scratch.ts";

const CHUNK = 64 * 1024;
/** Chunks of a page of the forward map. */
const PAGE = 8192;
/** Pages that the client touches: 64 MiB and more, if they stayed. */
const PAGES = 1024;

Deno.test("what was written and discarded again takes no memory", async () => {
  await using scratch = await makeScratch();
  const paths = [scratch.file("a")];
  const sizes = { createSize: 2 ** 22, virtualSize: PAGES * PAGE * CHUNK };
  await labelPool({ name: "demo", paths, chunkSize: CHUNK, ...sizes });
  await using pool = await openPool(paths);
  const disk = pool.volume();
  const touch = async (page: number) => {
    const at = page * PAGE * CHUNK;
    // Provisions the chunk, and writes to it.
    await disk.writeZeroes(at, CHUNK, { noHole: true });
    await disk.write(new Uint8Array([1]), at);
    await disk.discard(at, CHUNK);
  };
  for (let page = 0; page < 64; page++) await touch(page);
  const before = Deno.memoryUsage().external;
  for (let page = 64; page < PAGES; page++) await touch(page);
  const grown = Deno.memoryUsage().external - before;
  assert(grown < 2 ** 24, `${grown} bytes more`);
  assertEquals(pool.status().usedChunks, 0);
});
