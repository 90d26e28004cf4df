/**
 * Writes while everything stops: after each single one as after SIGKILL, where
 * every acknowledged write is there and FreeBSD could go on at once (P1), and
 * at random places as after a power cut, where what was flushed is there and
 * no chunk ever shows another's bytes (P2).
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { VirstorError } from "../../../errors.ts";
import { labelPool, openPool } from "../../../pool/mod.ts";
import { assertFreebsd, checkFreebsd } from "../../helpers/freebsd_checker.ts";
import { writeAt } from "../../helpers/freebsd_raw.ts";
import {
  KIB,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  type Content,
  makeQuickScratch,
  makeSparse,
  randomOf,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot, StoppingFiles } from "../../helpers/stopping_device.ts";

/** Room for four chunks; the first component has two of them for data. */
const COMPONENT_SIZE = 4 * SMALL_CHUNK + KIB;
/** Chunks for data on three components. */
const USABLE_CHUNKS = 10;

/** Labels a pool of three, whose free chunks are full of old bytes. */
async function makeUsed(scratch: Scratch): Promise<string[]> {
  const paths = ["a", "b", "c"].map((name) =>
    makeSparse(scratch.file(name), COMPONENT_SIZE)
  );
  await labelPool({
    name: "used",
    format: "freebsd",
    paths,
    chunkSize: SMALL_CHUNK,
    virtualSize: 64 * SMALL_CHUNK,
  });
  for (const [i, path] of paths.entries()) {
    const first = i === 0 ? 2 : 0;
    const old = new Uint8Array((4 - first) * SMALL_CHUNK).fill(0xee);
    writeAt(path, first * SMALL_CHUNK, old);
  }
  return paths;
}

/** What a chunk holds whose start was written. */
function padded(bytes: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(SMALL_CHUNK);
  chunk.set(bytes);
  return chunk;
}

/** Fills a pool, with overwrites; returns what was acknowledged. */
async function fillUntilStop(
  paths: string[],
  files: StoppingFiles,
): Promise<{ content: Content; last: number }> {
  const content: Content = new Map();
  let last = -1;
  let pool;
  try {
    pool = await openPool(paths, { openDevice: files.open });
    for (let i = 0; i < USABLE_CHUNKS; i++) {
      last = (i * 29 + 11) % 64;
      await writeChunk(pool, content, last, pattern(1000, last));
      const again = (Math.floor(i / 2) * 29 + 11) % 64;
      await pool.volume().write(pattern(1000, again), again * SMALL_CHUNK);
    }
    last = -1;
  } catch (error) {
    assert(files.isStopped && error instanceof VirstorError, String(error));
  }
  files.stop();
  await pool?.close().catch(() => {});
  await files.closeAll();
  return { content, last };
}

Deno.test("Pool keeps every acknowledged write over SIGKILL at any write, and FreeBSD could go on at once", async () => {
  await using scratch = await makeQuickScratch();
  const paths = await makeUsed(scratch);
  const start = new Snapshot(paths);
  let last = 0;
  for (let writes = 0; last >= 0; writes++) {
    start.restore();
    const files = new StoppingFiles();
    files.stopAfter(writes);
    const stopped = await fillUntilStop(paths, files);
    last = stopped.last;
    assertFreebsd(paths);
    const pool = await openPool(paths);
    const { content } = stopped;
    if (last >= 0 && !content.has(last)) {
      // Not acknowledged: it may be there or not, but nothing else.
      const bytes = await readBytes(
        pool.volume(),
        last * SMALL_CHUNK,
        SMALL_CHUNK,
      );
      const wanted = padded(pattern(1000, last));
      if (Buffer.compare(bytes, wanted) === 0) content.set(last, wanted);
    }
    await assertContent(pool, content);
    let free = pool.status().freeChunks;
    for (let v = 0; free > 0; v++) {
      if (content.has(v) || v === last) continue;
      await writeChunk(pool, content, v, pattern(50, v));
      free--;
    }
    await assertContent(pool, content);
    await pool.close();
    assertFreebsd(paths);
    assert(writes < 200, "the work comes to an end");
  }
});

/** Random writes, flushes and a power cut; what each chunk may hold then. */
async function workUntilPowerCut(
  paths: string[],
  seed: number,
): Promise<Map<number, Uint8Array[]>> {
  const random = randomOf(seed);
  const pick = (below: number) => Math.floor(random() * below);
  const files = new StoppingFiles();
  const pool = await openPool(paths, { openDevice: files.open });
  const zeroes = new Uint8Array(SMALL_CHUNK);
  const may = new Map<number, Uint8Array[]>();
  for (let i = 0; i < 12; i++) {
    const v = pick(64);
    const known = may.get(v);
    if (known === undefined && pool.status().freeChunks === 0) continue;
    const bytes = pattern(1000, 1 + pick(50));
    await pool.volume().write(bytes, v * SMALL_CHUNK);
    may.set(v, [...known ?? [zeroes], padded(bytes)]);
    if (pick(5) > 0) continue;
    await pool.volume().flush();
    for (const [chunk, all] of may) may.set(chunk, all.slice(-1));
  }
  files.stop();
  await pool.close().catch(() => {});
  await files.closeAll();
  const share = random();
  files.powerCut(() => random() < share);
  return may;
}

Deno.test("Pool keeps what was flushed over a power cut, and never shows one chunk's bytes in another", async () => {
  await using scratch = await makeQuickScratch();
  const start = new Snapshot(await makeUsed(scratch));
  const paths = ["a", "b", "c"].map(scratch.file);
  let withGaps = 0;
  for (let seed = 1; seed <= 80; seed++) {
    start.restore();
    const may = await workUntilPowerCut(paths, seed);
    const found = checkFreebsd(paths);
    if (found.some((what) => /dense|in use/.test(what))) withGaps++;
    const pool = await openPool(paths);
    const content: Content = new Map();
    for (const [v, all] of may) {
      const bytes = await readBytes(
        pool.volume(),
        v * SMALL_CHUNK,
        SMALL_CHUNK,
      );
      assert(
        all.some((each) => Buffer.compare(each, bytes) === 0),
        `seed ${seed}: chunk ${v} is none of what was written to it`,
      );
      content.set(v, bytes);
    }
    await assertContent(pool, content);
    let free = pool.status().freeChunks;
    for (let v = 0; free > 0; v++) {
      if (content.has(v)) continue;
      await writeChunk(pool, content, v, pattern(100, v));
      free--;
    }
    await assertContent(pool, content);
    await pool.close();
    assertFreebsd(paths);
  }
  assert(withGaps > 5, "some power cuts leave gaps");
});

Deno.test("Volume.write() with fua survives a power cut by itself", async () => {
  await using scratch = await makeQuickScratch();
  const paths = await makeUsed(scratch);
  const files = new StoppingFiles();
  const pool = await openPool(paths, { openDevice: files.open });
  await pool.volume().write(pattern(1000, 1), 50 * SMALL_CHUNK);
  await pool.volume().write(pattern(1000, 2), 20 * SMALL_CHUNK, { fua: true });
  await pool.volume().write(pattern(1000, 3), 30 * SMALL_CHUNK);
  files.stop();
  await pool.close().catch(() => {});
  await files.closeAll();
  files.powerCut(() => false);
  const again = await openPool(paths);
  assertEquals(
    await readBytes(again.volume(), 20 * SMALL_CHUNK, SMALL_CHUNK),
    padded(pattern(1000, 2)),
  );
  const lost = await readBytes(again.volume(), 30 * SMALL_CHUNK, SMALL_CHUNK);
  assertEquals(lost, new Uint8Array(SMALL_CHUNK));
  await again.close();
  assertFreebsd(paths);
});
