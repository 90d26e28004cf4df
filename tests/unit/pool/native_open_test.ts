/**
 * Opening pools of format 2: also without some components, with stale ones,
 * and after a stop in the middle of something.
 *
 * @module
 */

import { markInUse } from "../../helpers/damage.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import {
  checkComponents,
  inspectComponents,
  openPool,
  type Pool,
  taste,
} from "../../../pool/mod.ts";
import { writeAt } from "../../helpers/freebsd_raw.ts";
import {
  makeNativeSample,
  nativeLabel,
  own,
} from "../../helpers/native_sample.ts";
import {
  openSmallPool,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  assertSound,
  chunkBytes,
  makeQuickScratch,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot } from "../../helpers/stopping_device.ts";

/** Leaves the files as if the process was killed while the pool was open. */
async function killAfter(
  paths: readonly string[],
  work: (pool: Pool) => Promise<void>,
): Promise<void> {
  const pool = await openPool(paths);
  await work(pool);
  const left = new Snapshot(paths);
  await pool.close();
  left.restore();
}

Deno.test("openPool() recognises native components in any order and under any name", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeNativeSample(scratch);
  const renamed = ["z", "new name.img", "0"].map(scratch.file);
  for (const [i, path] of paths.entries()) {
    Deno.renameSync(path, renamed[i] ?? "");
  }
  const [a = "", b = "", c = ""] = renamed;
  for (const order of [[a, b, c], [c, b, a], [b, c, a, b]]) {
    const pool = await openPool(order);
    await assertContent(pool, content);
    const found = pool.status().components.map((one) => one.path);
    assertEquals(found, renamed);
    await pool.close();
    await assertSound("native", renamed);
  }
});

Deno.test("openPool() says on disk that a native pool is in use, and close() that it was stopped", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeNativeSample(scratch);
  const states = () =>
    paths.map(nativeLabel).map(({ clean, generation }) => [clean, generation]);
  const [[, before = 0] = []] = states() as [boolean, number][];
  assertEquals(states(), Array(3).fill([true, before]));
  const pool = await openPool(paths);
  assertEquals(states(), Array(3).fill([false, before + 1]));
  await pool.close();
  assertEquals(states(), Array(3).fill([true, before + 2]));
  const left = new Snapshot(paths);
  const reader = await openPool(paths, { readOnly: true });
  await readBytes(reader.volume(), 0, 10);
  await reader.close();
  assertEquals(left.changed(), []);
});

Deno.test("taste() and inspectComponents() tell what a native pool is", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeNativeSample(scratch);
  const [a = "", b = "", c = ""] = paths;
  const { poolUuid } = nativeLabel(a);
  const { pools, rejected } = await taste([c, a]);
  assertEquals(rejected, []);
  assertEquals(
    pools.map(({ components, ...rest }) => ({
      ...rest,
      paths: components.map(({ path }) => path),
    })),
    [{
      name: "small",
      id: poolUuid,
      format: "native",
      count: 3,
      missing: [1],
      paths: [a, c],
    }],
  );
  const status = await inspectComponents([b, c, a]);
  assertEquals([status.id, status.format], [poolUuid, "native"]);
  assertEquals([status.usedChunks, status.freeChunks], [8, 11]);
  assertEquals([status.missing, status.evacuation], [[], null]);
});

Deno.test("openPool() refuses a native pool with missing components and tells their UUIDs", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeNativeSample(scratch);
  const [a = "", b = "", c = ""] = paths;
  const uuids = paths.map((path) => nativeLabel(path).componentUuid);
  const before = new Snapshot(paths);
  await assertRefused(
    () => openPool([a, c]),
    "not-found",
    `component 1 (${uuids[1]}) of 3`,
    "is missing",
  );
  await assertRefused(
    () => openPool([c]),
    "not-found",
    `components 0 (${uuids[0]}), 1 (${uuids[1]}) of 3`,
    "are missing",
  );
  Deno.removeSync(b);
  const refused = () => openPool(paths);
  await assertRefused(refused, "not-found", `${uuids[1]}`, "no such file");
  const { findings } = await checkComponents([a, c]);
  assertEquals(findings.map(({ severity }) => severity), ["damage"]);
  assert(findings[0]?.what.includes(uuids[1] ?? "?"));
  before.restore();
  assertEquals(before.changed(), []);
});

Deno.test("openPool() with degraded reads what is there, and fails what may not be, and takes no writes", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeNativeSample(scratch);
  const [a = "", b = "", c = ""] = paths;
  const { componentUuid: uuid } = nativeLabel(b);
  const before = new Snapshot(paths);
  const pool = await openPool([a, c], { degraded: true });
  for (let v = 0; v < 5; v++) {
    const bytes = await readBytes(pool.volume(), v * SMALL_CHUNK, SMALL_CHUNK);
    assertEquals(bytes, content.get(v));
  }
  for (const v of [5, 7, 8, 100]) {
    const read = () => pool.volume().read(new Uint8Array(10), v * SMALL_CHUNK);
    const error = assertThrows(read, VirstorError, "missing");
    assertEquals(error.code, "io");
  }
  // Also a read that is only half there.
  const both = new Uint8Array(20);
  assertThrows(
    () => pool.volume().read(both, 5 * SMALL_CHUNK - 10),
    VirstorError,
  );
  // Nothing is known of what is not there: a hole would be read as zeroes.
  assertEquals(pool.volume().extents(0, 10 * SMALL_CHUNK), [
    { length: 10 * SMALL_CHUNK, kind: "data" },
  ]);
  for (
    const act of [
      () => pool.volume().write(new Uint8Array(1), 0),
      () => pool.volume().discard(0, 1),
      () => pool.volume().writeZeroes(0, 1),
    ]
  ) {
    assertEquals(assertThrows(act, VirstorError).code, "read-only");
  }
  for (const act of [() => pool.add([b]), () => pool.remove([c])]) {
    const error = await assertRejects(act, VirstorError);
    assertEquals(error.code, "read-only");
  }
  const { readOnly, missing, warnings } = pool.status();
  assertEquals([readOnly, missing], [true, [{
    index: 1,
    uuid,
    chunkCount: 7,
  }]]);
  assert(warnings[0]?.includes(`1 (${uuid})`), warnings[0]);
  await pool.close();
  assertEquals(before.changed(), []);
});

Deno.test("openPool() with degraded warns of a pool that was not stopped cleanly, and opens whole pools for reading", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeNativeSample(scratch);
  await killAfter(paths, async (pool) => {
    await writeChunk(pool, content, 20);
  });
  const before = new Snapshot(paths);
  const [a = "", b = ""] = paths;
  const pool = await openPool([a, b], { degraded: true });
  const [, warning = ""] = pool.status().warnings;
  assert(warning.includes("not stopped cleanly"), warning);
  await pool.close();
  const whole = await openPool(paths, { degraded: true });
  await assertContent(whole, content);
  assertEquals([whole.status().readOnly, whole.status().missing], [true, []]);
  await whole.close();
  assertEquals(before.changed(), []);
});

Deno.test("openPool() with degraded refuses pools of format 1", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2);
  await pool.close();
  await assertRefused(
    () => openPool(paths.slice(0, 1), { degraded: true }),
    "unsupported",
    "native format",
  );
});

Deno.test("openPool() leaves a component out that is stale, and says so", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeNativeSample(scratch);
  const [a = "", b = "", c = ""] = paths;
  const old = new Snapshot([c]);
  const { componentUuid } = nativeLabel(c);
  const pool = await openPool(paths);
  await pool.remove([c]);
  await writeChunk(pool, content, 30);
  await pool.close();
  // It comes back from a backup.
  old.restore();
  const { findings } = await checkComponents(paths);
  assertEquals(
    findings.map(({ severity, where }) => [severity, where]),
    [["notice", c]],
  );
  assert(findings[0]?.what.includes("stale"), findings[0]?.what);
  const events: string[] = [];
  const again = await openPool(paths, {
    onEvent: ({ message }) => events.push(message),
  });
  const said = events.find((message) => message.includes(`"${c}"`)) ?? "";
  for (const part of ["left out", componentUuid, "generation"]) {
    assert(said.includes(part), said);
  }
  await assertContent(again, content);
  assertEquals(again.status().components.length, 2);
  // It is not locked, and not touched.
  assertEquals(old.changed(), []);
  await assertRefused(() => again.add([c]), "exists", 'pool "small"', "-f");
  await again.add([c], { force: true });
  assertEquals(again.status().components.length, 3);
  await again.close();
  await assertSound("native", [a, b, c]);
  const { pools } = await taste(paths);
  assertEquals(pools.map(({ count, missing }) => [count, missing]), [[3, []]]);
});

Deno.test("openPool() refuses two copies of a native component", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeNativeSample(scratch);
  const copy = scratch.file("copy");
  Deno.copyFileSync(paths[1] ?? "", copy);
  const before = new Snapshot([...paths, copy]);
  await assertRefused(
    () => openPool([...paths, copy]),
    "corrupt",
    '/c1"',
    '/copy"',
    nativeLabel(copy).componentUuid,
  );
  assertEquals(before.changed(), []);
});

Deno.test("openPool() keeps what a killed process has acknowledged, and frees what it had given back", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeNativeSample(scratch);
  await killAfter(paths, async (pool) => {
    for (const v of [20, 21]) await writeChunk(pool, content, v);
    await pool.volume().discard(3 * SMALL_CHUNK, 3 * SMALL_CHUNK);
    for (const v of [3, 4, 5]) content.delete(v);
  });
  const { findings } = await checkComponents(paths);
  assertEquals(findings.filter(({ severity }) => severity === "damage"), []);
  const pool = await openPool(paths);
  await assertContent(pool, content);
  assertEquals([pool.status().freeChunks, pool.status().usedChunks], [12, 7]);
  // Whatever was in them, free chunks read as zeroes.
  for (let v = 40; v < 52; v++) {
    await writeChunk(pool, content, v, pattern(10, v));
  }
  await assertContent(pool, content);
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("openPool() never shows what a free chunk of a native pool held", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeNativeSample(scratch);
  // A power cut kept the data of chunks and lost their entries.
  for (const path of paths.slice(1)) {
    writeAt(path, 3 * SMALL_CHUNK, pattern(4 * SMALL_CHUNK, 99));
  }
  const pool = await openPool(paths);
  for (let v = 40; pool.status().freeChunks > 0; v++) {
    await writeChunk(pool, content, v, pattern(10, v));
  }
  await assertContent(pool, content);
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("openPool() takes the newer one of two chunks that claim a virtual chunk, and frees the other", async () => {
  for (const isNewer of [true, false]) {
    await using scratch = await makeQuickScratch();
    const { paths, content } = await makeNativeSample(scratch);
    const [, , c = ""] = paths;
    // Virtual chunk 2 has been moved to c2, or was there before.
    const sequence = isNewer ? 1000 : 1;
    own(c, 4, 2, sequence);
    markInUse(paths);
    writeAt(c, 4 * SMALL_CHUNK, chunkBytes(77));
    if (isNewer) content.set(2, chunkBytes(77));
    const { findings } = await checkComponents(paths);
    assert(findings.every(({ severity }) => severity === "notice"));
    const text = `1 chunk holds what nothing refers to any more: ${
      isNewer ? 2 : 4
    }`;
    assert(findings.some(({ what }) => what.includes(text)), text);
    const pool = await openPool(paths);
    await assertContent(pool, content);
    const used = pool.status().components.map((one) => one.used);
    assertEquals(used, isNewer ? [4, 3, 1] : [5, 3, 0]);
    for (let v = 40; pool.status().freeChunks > 0; v++) {
      await writeChunk(pool, content, v, pattern(10, v));
    }
    await assertContent(pool, content);
    await pool.close();
    await assertSound("native", paths);
    const again = await openPool(paths);
    await assertContent(again, content);
    await again.close();
  }
});
