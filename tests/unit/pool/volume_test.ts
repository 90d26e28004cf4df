/**
 * Volumes: which a pool has, and what is left of a pool whose volume is closed.
 *
 * @module
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { openPool } from "../../../pool/mod.ts";
import {
  FORMATS,
  makeScratch,
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { assertSound } from "../../helpers/small_pools.ts";

function codeOf(act: () => unknown): string {
  return assertThrows(act, VirstorError).code;
}

Deno.test("Pool.volume() finds the only volume, by the pool's name, and no other", async () => {
  await using scratch = await makeScratch();
  const { pool } = await openSmallPool(scratch, 1);
  await using _ = pool;
  const [volume] = pool.volumes;
  assertEquals(pool.volumes.length, 1);
  assertEquals(pool.volume(), volume);
  assertEquals(pool.volume("small"), volume);
  assertEquals(volume?.name, "small");
  assertEquals(volume?.id, pool.id);
  const error = assertThrows(() => pool.volume("other"), VirstorError);
  assertEquals(error.code, "not-found");
  assertEquals(
    error.message,
    'Cannot find volume "small/other": pool "small" has only "small"',
  );
});

for (const format of FORMATS) {
  Deno.test(`Volume.close() ends the volume, and the pool goes on (${format})`, async () => {
    await using scratch = await makeScratch();
    const { pool, paths } = await openSmallPool(scratch, 1, { format });
    const volume = pool.volume();
    await volume.write(pattern(1000, 1), 5);
    await volume.close();
    await volume.close();
    for (
      const act of [
        () => volume.read(new Uint8Array(1), 0),
        () => volume.write(new Uint8Array(1), 0),
        () => volume.flush(),
        () => volume.discard(0, 1),
        () => volume.writeZeroes(0, 1),
        () => volume.extents(0, 1),
      ]
    ) assertEquals(codeOf(act), "shutdown");
    assertEquals(volume.leadingHole(SMALL_CHUNK, 1), 0);
    assertEquals(volume.leases.prepare(SMALL_CHUNK), false);
    assertEquals(pool.status().state, "open");
    assertEquals(await pool.check(), []);
    const added = scratch.file("added");
    await pool.add([added], { createSize: MIB });
    await pool.close();
    await assertSound(format, [...paths, added]);
    await using again = await openPool([...paths, added]);
    assertEquals(await readBytes(again.volume(), 5, 1000), pattern(1000, 1));
  });
}

Deno.test("Volume.close() waits for a request in flight, and ends a write that waits for space", async () => {
  await using scratch = await makeScratch();
  const { pool } = await openSmallPool(scratch, 1, { format: "native" });
  await using _ = pool;
  const volume = pool.volume();
  for (let v = 0; pool.status().freeChunks > 0; v++) {
    await volume.write(pattern(100, v), v * SMALL_CHUNK);
  }
  let isFlushed = false;
  const flushed = Promise.resolve(volume.flush()).then(() => isFlushed = true);
  const write = volume.write(pattern(100, 1), 50 * SMALL_CHUNK);
  const refused = assertRejects(() => Promise.resolve(write), VirstorError);
  await volume.close();
  assertEquals([isFlushed, volume.requestsInFlight], [true, 0]);
  const { code, message } = await refused;
  assertEquals([code, message], ["shutdown", 'Volume "small" is closed']);
  assertEquals(pool.status().delayed.count, 0);
  await flushed;
});
