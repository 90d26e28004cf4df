/**
 * A pool gets another name, and its first volume with it. Wherever everything
 * stops, the pool has one of the two names, opens under it, and is found under
 * it.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { lookBeside, openPool, readLabel, taste } from "../../../pool/mod.ts";
import { openSmallPool, SMALL_CHUNK } from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  assertSound,
  type Content,
  makeQuickScratch,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot, StoppingFiles } from "../../helpers/stopping_device.ts";

const NATIVE = { format: "native", virtualSize: 16 * SMALL_CHUNK } as const;

Deno.test("renamePool() renames the pool and its first volume, and nothing else", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, NATIVE);
  const content: Content = new Map();
  for (const v of [0, 9]) await writeChunk(pool, content, v);
  await pool.volumeChanges.create("v", SMALL_CHUNK);
  await pool.volumeChanges.renamePool("big");
  const names = () => pool.volumes.map(({ name }) => name);
  assertEquals([pool.name, pool.status().name, ...names()], [
    ...["big", "big", "big", "v"],
  ]);
  await assertContent(pool, content);
  assertEquals(await pool.check(), []);
  await pool.close();
  const late = () => pool.volumeChanges.renamePool("late");
  await assertRefused(late, "shutdown", 'Pool "big" is stopped');
  await assertSound("native", paths);
  assertEquals(paths.map((path) => readLabel(path).name), ["big", "big"]);
  const former = () => openPool(paths, { name: "small" });
  await assertRefused(former, "not-found", 'is a component of pool "big"');
  await using again = await openPool(paths, { name: "big" });
  assertEquals(again.volumes.map(({ name }) => name), ["big", "v"]);
  await assertContent(again, content);
});

Deno.test("renamePool() refuses names that are taken or malformed, and format 1", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 1, NATIVE);
  await pool.volumeChanges.create("v", SMALL_CHUNK);
  const start = new Snapshot(paths);
  let prepared = 0;
  const rename = (to: string) => () =>
    pool.volumeChanges.renamePool(to, () => {
      prepared++;
      return Promise.reject(new Error("Refused by the test"));
    });
  for (const to of ["v", "small"]) await assertRefused(rename(to), "exists");
  for (const to of ["", "a/b", "a@b", "a\n", "x".repeat(256)]) {
    await assertRefused(rename(to), "invalid");
  }
  assertEquals(prepared, 0);
  const refused = await rename("big")().catch(({ message }) => message);
  assertEquals([refused, prepared], ["Refused by the test", 1]);
  assertEquals([pool.name, pool.status().state], ["small", "open"]);
  assertEquals(start.changed(), []);
  await pool.close();
  await using other = await makeQuickScratch();
  const freebsd = await openSmallPool(other, 1);
  const act = () => freebsd.pool.volumeChanges.renamePool("big");
  await assertRefused(act, "unsupported", "gvirstor");
  await freebsd.pool.close();
});

for (const end of ["SIGKILL", "a power cut"]) {
  Deno.test(`renamePool() leaves a pool of one name after each write before ${end}`, async () => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openSmallPool(scratch, 3, NATIVE);
    const content: Content = new Map();
    for (const v of [0, 7]) await writeChunk(pool, content, v);
    await pool.close();
    const start = new Snapshot(paths);
    const names: string[] = [];
    let isDone = false;
    for (let writes = 0; !isDone; writes++) {
      start.restore();
      const files = new StoppingFiles();
      const pool = await openPool(paths, { openDevice: files.open });
      files.stopAfter(writes);
      const renamed = pool.volumeChanges.renamePool("big");
      isDone = await renamed.then(() => true, () => false);
      files.stop();
      await pool.close().catch(() => {});
      if (end !== "SIGKILL") files.powerCut(() => false);
      await files.closeAll();
      names.push(await assertOneName(paths, content));
    }
    // One write to each component.
    const [before, ...after] = names;
    assertEquals(before, "small");
    const isCut = end !== "SIGKILL";
    assertEquals(
      after,
      isCut ? ["small", "small", "big"] : [
        ...["big", "big", "big"],
      ],
    );
  });
}

/** The pool opens under one name only, and has it everywhere afterwards. */
async function assertOneName(
  paths: readonly string[],
  content: Content,
): Promise<string> {
  const { pools } = await taste(paths);
  const name = pools[0]?.name ?? "";
  assertEquals(pools.map(({ missing }) => missing), [[]]);
  const other = name === "big" ? "small" : "big";
  const wrong = () => openPool(paths, { name: other });
  await assertRefused(wrong, "not-found", `pool "${name}"`);
  const [first = "", ...others] = paths;
  if (readLabel(first).name === name) {
    const { found } = await lookBeside([first], { name });
    assertEquals(found.toSorted(), others);
  }
  const pool = await openPool(paths);
  assertEquals([pool.name, pool.volume().name], [name, name]);
  await assertContent(pool, content);
  await pool.close();
  await assertSound("native", paths);
  assertEquals(
    new Set(paths.map((path) => readLabel(path).name)),
    new Set([name]),
  );
  return name;
}

Deno.test("a renamed copy of a pool takes no component of the original", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, NATIVE);
  await pool.close();
  const copies = paths.map((path) => `${path}.copy`);
  for (const [i, copy] of copies.entries()) {
    await Deno.copyFile(paths[i] ?? "", copy);
  }
  const copy = await openPool(copies);
  await copy.volumeChanges.renamePool("copy");
  await copy.close();
  const { pools } = await taste([...paths, ...copies]);
  assertEquals(
    pools.map((
      { name, components },
    ) => [name, components.map(({ path }) => path)]),
    [["copy", copies], ["small", paths]],
  );
  const both = await openPool([...paths, ...copies], { name: "copy" });
  const used = both.status().components.map(({ path }) => path);
  await both.close();
  assertEquals(used, copies);
});
