/**
 * How far an evacuation is: it says so also at a low rate, and a stop undoes
 * little.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Pool } from "../../../pool/mod.ts";
import { openSmallPool, SMALL_CHUNK } from "../../helpers/scratch.ts";
import { eventually } from "../../helpers/patience.ts";
import {
  type Content,
  makeQuickScratch,
  writeChunk,
} from "../../helpers/small_pools.ts";

const CHUNKS = 5;

/** How many chunks have a new place already. */
async function movingChunks(pool: Pool): Promise<number> {
  const { signal } = new AbortController();
  const { components } = await pool.view.chunkMap(signal);
  return components.filter(({ isLeaving }) => !isLeaving)
    .flatMap(({ moving }) => moving)
    .reduce((sum, one) => sum + one, 0);
}

function movedBytes(pool: Pool): number {
  return pool.status().evacuation?.movedBytes ?? 0;
}

function leftBytes(pool: Pool): number {
  return pool.status().evacuation?.leftBytes ?? 0;
}

for (const isLate of [false, true]) {
  const when = isLate ? "that was lowered meanwhile" : "";
  Deno.test(`an evacuation shows its progress at a low rate ${when}`, async () => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 2, {
      format: "native",
      virtualSize: 64 * SMALL_CHUNK,
    });
    const content: Content = new Map();
    for (let v = 0; v < CHUNKS; v++) await writeChunk(pool, content, v);
    const [first] = pool.status().components.toSorted((a, b) =>
      b.used - a.used
    );
    const { path = "", used = 0 } = first ?? {};
    assert(used > 2);
    // A rate at which all chunks are one batch.
    const bytesPerSecond = isLate ? CHUNKS * SMALL_CHUNK : 1;
    await pool.remove([path], { bytesPerSecond });
    if (isLate) await pool.set({ evacuationBytesPerSecond: 1 });
    await eventually("something has moved", () => movedBytes(pool) > 0);
    await eventually(
      "a batch is one chunk",
      async () => await movingChunks(pool) === 1,
    );
    assertEquals(movedBytes(pool) + leftBytes(pool), used * SMALL_CHUNK);
    // What is copied has moved, whatever ends the evacuation.
    const moved = movedBytes(pool);
    await pool.cancelRemove([path]);
    const kept = pool.status().components.find((one) => one.path === path);
    assertEquals(kept?.used, used - moved / SMALL_CHUNK);
    await pool.close();
  });
}
