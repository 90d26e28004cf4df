/**
 * A component takes in what its file got, in an open pool and in one that was
 * opened for it. Wherever everything stops, the pool is what it was before, with
 * a component that has grown, or it opens at its new size; its data are there.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type FormatName,
  openPool,
  openToGrow,
  type Pool,
  readLabel,
} from "../../../pool/mod.ts";
import { firstDifference } from "../../helpers/bytes.ts";
import {
  openSmallPool,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  assertSound,
  chunkBytes,
  type Content,
  makeQuickScratch,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot, StoppingFiles } from "../../helpers/stopping_device.ts";

const MIB = 1 << 20;

/** Makes a component longer. */
async function lengthen(path: string, by: number): Promise<number> {
  const { size } = await Deno.stat(path);
  await Deno.truncate(path, size + by);
  return size + by;
}

for (const format of ["native", "freebsd"] as const) {
  Deno.test(`grow() takes in what the file of a component got (${format})`, async () => {
    await using scratch = await makeQuickScratch();
    const options = { format, virtualSize: 64 * SMALL_CHUNK };
    const { pool, paths } = await openSmallPool(scratch, 2, options);
    const last = paths[1] ?? "";
    const content: Content = new Map();
    // The last component has two of them.
    for (const v of [0, 9, 3, 1, 2, 4, 5]) await writeChunk(pool, content, v);
    const before = pool.status();
    await assertRefused(() => pool.grow(last), "invalid", "as its label says");
    const size = await lengthen(last, MIB);
    const grown = await pool.grow(last);
    assertEquals([grown.size, grown.before], [
      ...[size, before.components[1]?.size],
    ]);
    assert(grown.chunksAdded > 0);
    assertEquals(
      pool.status().freeChunks,
      before.freeChunks + grown.chunksAdded,
    );
    // Every chunk can be used, also those where the former end was.
    let v = 10;
    while (pool.status().freeChunks > 0) await writeChunk(pool, content, v++);
    await assertContent(pool, content);
    assertEquals(await pool.check(), []);
    await pool.close();
    await assertSound(format, paths);
    await using again = await openPool(paths);
    await assertContent(again, content);
  });
}

Deno.test("grow() refuses what does not fit, and changes nothing", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, { format: "native" });
  const [first = ""] = paths;
  await assertRefused(() => pool.grow("/none"), "not-found");
  await lengthen(first, 8192);
  const start = new Snapshot(paths);
  await assertRefused(() => pool.grow(first), "invalid", "too little");
  assertEquals(start.changed(), []);
  assertEquals(pool.status().state, "open");
  await pool.close();
  await assertRefused(() => openPool(paths), "not-found", "virstor grow");
  await using other = await makeQuickScratch();
  const freebsd = await openSmallPool(other, 2);
  const content: Content = new Map();
  for (
    let v = 0;
    (freebsd.pool.status().components[1]?.used ?? 0) === 0;
  ) {
    await writeChunk(freebsd.pool, content, v++);
  }
  await lengthen(freebsd.paths[0] ?? "", MIB);
  const act = () => freebsd.pool.grow(freebsd.paths[0] ?? "");
  await assertRefused(act, "invalid", "in order");
  await freebsd.pool.close();
});

Deno.test("openToGrow() opens a pool of which several components have grown", async () => {
  for (const format of ["native", "freebsd"] as const) {
    await using scratch = await makeQuickScratch();
    const options = { format, virtualSize: 64 * SMALL_CHUNK };
    const { pool, paths } = await openSmallPool(scratch, 3, options);
    const content: Content = new Map();
    await writeChunk(pool, content, 3);
    await pool.close();
    // In the FreeBSD format the last one first.
    const grown = paths.slice(1).toReversed();
    for (const path of grown) await lengthen(path, MIB);
    for (const path of grown) {
      await assertRefused(() => openPool(paths), "not-found", "virstor grow");
      const pool = await openToGrow(paths, path);
      assert((await pool.grow(path)).chunksAdded > 0);
      await assertContent(pool, content);
      await pool.close();
    }
    await using again = await openPool(paths);
    await assertContent(again, content);
  }
});

/** Takes over what is there of a write that failed: all of it, or nothing. */
async function takeOver(
  pool: Pool,
  failed: number | undefined,
  content: Content,
): Promise<void> {
  if (failed === undefined) return;
  const bytes = await readBytes(
    pool.volume(),
    failed * SMALL_CHUNK,
    SMALL_CHUNK,
  );
  const wanted = new Uint8Array(SMALL_CHUNK);
  wanted.set(chunkBytes(failed + 1));
  if (firstDifference(wanted, bytes) === -1) content.set(failed, wanted);
}

async function assertGrows(
  paths: readonly string[],
  grown: string,
  content: Content,
  format: FormatName,
  failed?: number,
): Promise<string> {
  let state = "after";
  try {
    const pool = await openPool(paths, { readOnly: true });
    await takeOver(pool, failed, content);
    await pool.close();
  } catch {
    state = "before";
    const pool = await openToGrow(paths, grown);
    await takeOver(pool, failed, content);
    await assertContent(pool, content);
    await pool.grow(grown);
    await pool.close();
  }
  const pool = await openPool(paths);
  await assertContent(pool, content);
  await pool.close();
  await assertSound(format, paths);
  assertEquals(readLabel(grown).componentSize, (await Deno.stat(grown)).size);
  return state;
}

for (const end of ["SIGKILL", "a power cut"]) {
  for (const format of ["native", "freebsd"] as const) {
    Deno.test(`grow() loses nothing after each write before ${end} (${format})`, async () => {
      await using scratch = await makeQuickScratch();
      const options = { format, virtualSize: 64 * SMALL_CHUNK };
      const { pool, paths } = await openSmallPool(scratch, 2, options);
      const last = paths[1] ?? "";
      const content: Content = new Map();
      // The last component has two of them.
      for (let v = 0; v < 7; v++) await writeChunk(pool, content, v);
      await pool.close();
      await lengthen(last, MIB);
      const start = new Snapshot(paths);
      const states: string[] = [];
      let isDone = false;
      for (let writes = 0; !isDone; writes++) {
        start.restore();
        const files = new StoppingFiles();
        const { open: openDevice } = files;
        const pool = await openToGrow(paths, last, { openDevice });
        files.stopAfter(writes);
        const growing = pool.grow(last).then(() => true, () => false);
        // Writes go on meanwhile; what is acknowledged survives a kill.
        const written = new Map(content);
        let failed: number | undefined;
        for (const v of end === "SIGKILL" ? [9, 10, 11] : []) {
          await writeChunk(pool, written, v).catch(() => failed ??= v);
          await new Promise((done) => setTimeout(done));
        }
        isDone = await growing;
        files.stop();
        await pool.close().catch(() => {});
        if (end !== "SIGKILL") files.powerCut((at) => at % 3 === writes % 3);
        await files.closeAll();
        const kept = end === "SIGKILL" ? written : content;
        states.push(await assertGrows(paths, last, kept, format, failed));
      }
      assertEquals(states[0], "before");
      assertEquals(states.at(-1), "after");
      // Writes of clients come in between, now here, now there.
      if (end !== "SIGKILL") {
        assertEquals(states, states.toSorted().toReversed());
      }
    });
  }
}
