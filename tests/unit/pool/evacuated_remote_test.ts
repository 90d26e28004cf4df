/**
 * Chunks that move off a component on another machine: what they do not use
 * takes no room in their new place.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { labelPool, openPool } from "../../../pool/mod.ts";
import { FarMemory } from "../../helpers/far_memory.ts";
import { makeScratch, MIB, pattern } from "../../helpers/scratch.ts";

const CHUNK = 4 * MIB;
const BLOCK = 4096;

Deno.test("zeroes of a remote component stay holes when its chunks move", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(5 * CHUNK);
  const content = far.content;
  const remote = {
    connect: () =>
      Promise.resolve(Object.assign(new FarMemory(far.size, content), {
        capabilities: { readOnly: false },
      })),
    journals: scratch.path,
    journalSize: MIB,
    intervalMs: 50,
  };
  const uri = "nbd://far/";
  await labelPool({ name: "p", paths: [uri], chunkSize: CHUNK, remote });
  await using pool = await openPool([uri], { remote });
  const volume = pool.volume();
  // Two pages at the end of a chunk, and three around a piece's end in another.
  const writes = [[CHUNK - 5000, 5000], [CHUNK + MIB - 5000, 6000]] as const;
  for (const [at, length] of writes) {
    await volume.write(pattern(length, at), at);
  }
  const near = scratch.file("near");
  await pool.add([near], { createSize: 5 * CHUNK });
  await volume.flush();
  const before = allocated(near);
  await pool.remove([uri]);
  await pool.evacuated(uri);
  await volume.flush();
  const taken = allocated(near) - before;
  // Five pages of data, and some of the chunk table.
  assert(taken <= 40 * BLOCK, `${taken} bytes`);
  for (const [at, length] of writes) {
    const bytes = new Uint8Array(length + 2 * BLOCK);
    await volume.read(bytes, at - BLOCK);
    const wanted = new Uint8Array(bytes.length);
    wanted.set(pattern(length, at), BLOCK);
    assertEquals(bytes, wanted);
  }
});

/** Bytes of a file that its file system has allocated. */
function allocated(path: string): number {
  return (Deno.statSync(path).blocks ?? 0) * 512;
}
