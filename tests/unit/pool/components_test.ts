/**
 * Components are recognised in any order and under any name, and checked
 * without being written.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { checkComponents, labelPool, openPool } from "../../../pool/mod.ts";
import { assertFreebsd } from "../../helpers/freebsd_checker.ts";
import {
  patchLabel,
  type RawEntry,
  writeEntry,
} from "../../helpers/freebsd_raw.ts";
import { MIB } from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  makeQuickScratch,
  makeSparse,
} from "../../helpers/small_pools.ts";
import { Snapshot } from "../../helpers/stopping_device.ts";
import { makeSample } from "../../helpers/sample_pool.ts";

Deno.test("openPool() recognises components in any order and under any name", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeSample(scratch);
  const renamed = ["z", "new name.img", "0"].map(scratch.file);
  for (const [i, path] of paths.entries()) {
    Deno.renameSync(path, renamed[i] ?? "");
  }
  const [a = "", b = "", c = ""] = renamed;
  Deno.symlinkSync(b, scratch.file("link"));
  const link = scratch.file("link");
  const other = makeSparse(scratch.file("unlabelled"), MIB);
  const orders = [
    [a, b, c],
    [a, c, b],
    [b, a, c],
    [b, c, a],
    [c, a, b],
    [c, b, a],
    [c, link, a],
    [c, b, a, link, c],
    [other, c, b, a, scratch.file("missing")],
  ];
  for (const order of orders) {
    const pool = await openPool(order);
    await assertContent(pool, content);
    const { components } = pool.status();
    assertEquals(components.map((one) => one.index), [0, 1, 2]);
    const names = order.includes(b) ? [a, b, c] : [a, link, c];
    assertEquals(components.map((one) => one.path), names);
    await pool.close();
    assertFreebsd(renamed);
  }
});

Deno.test("openPool() takes the components of the pool that is named and leaves the others alone", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeSample(scratch);
  const other = scratch.file("other");
  await labelPool({
    name: "other",
    format: "freebsd",
    paths: [other],
    createSize: 64 * MIB,
  });
  const before = new Snapshot([other]);
  const pool = await openPool([other, ...paths], { name: "demo" });
  await assertContent(pool, content);
  // It is not locked either.
  const second = await openPool([other, ...paths], { name: "other" })
    .catch((error) => error);
  assertEquals(second.code, "busy");
  const third = await openPool([other]);
  await third.close();
  await pool.close();
  assertEquals(before.changed(), []);
  assertFreebsd(paths);
  assertFreebsd([other]);
});

Deno.test("openPool() opens a component that is bound to its name under that name only", async () => {
  await using scratch = await makeQuickScratch();
  const path = scratch.file("disk.img");
  await labelPool({
    name: "demo",
    format: "freebsd",
    paths: [path],
    createSize: 64 * MIB,
    hardcode: true,
  });
  await (await openPool([path])).close();
  const other = scratch.file("other.img");
  Deno.renameSync(path, other);
  await assertRefused(
    () => openPool([other]),
    "corrupt",
    '/other.img"',
    '"disk.img"',
  );
  Deno.renameSync(other, path);
  await (await openPool([path])).close();
  assertFreebsd([path]);
});

Deno.test("openPool() opens a component that has become longer by less than a sector", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeSample(scratch);
  Deno.truncateSync(paths[1] ?? "", MIB + 511);
  const pool = await openPool(paths);
  await assertContent(pool, content);
  await pool.close();
  assertFreebsd(paths);
});

Deno.test("checkComponents() finds nothing wrong with a sound pool, and writes nothing", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeSample(scratch);
  const before = new Snapshot(paths);
  const times = paths.map((path) => Deno.statSync(path).mtime?.getTime());
  await new Promise((resolve) => setTimeout(resolve, 20));
  const report = await checkComponents(paths);
  assertEquals(report, { name: "demo", findings: [] });
  assertEquals(before.changed(), []);
  assertEquals(
    paths.map((path) => Deno.statSync(path).mtime?.getTime()),
    times,
  );
});

Deno.test("checkComponents() tells every damage of the map, each with its place", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeSample(scratch);
  const [first = ""] = paths;
  const damages: [number, RawEntry, string][] = [
    [20, { flags: 1, component: 9, chunk: 0 }, "component 9 of 3"],
    [30, { flags: 1, component: 0, chunk: 0 }, "reserved area"],
    [40, { flags: 0, component: 1, chunk: 7 }, "chunk 7 of component 1"],
    [50, { flags: 1, component: 1, chunk: 7 }, "chunk 7 of component 1"],
    [60, { flags: 1, component: 1, chunk: 0 }, "another virtual chunk"],
  ];
  for (const [v, damage] of damages) writeEntry(first, v, damage);
  const before = new Snapshot(paths);
  const { findings } = await checkComponents(paths);
  assertEquals(findings.length, damages.length);
  for (const [i, [v, , part]] of damages.entries()) {
    const { severity, what, where, effect } = findings[i] ?? raise();
    assertEquals([severity, where], ["damage", `${first} at ${v * 8}`]);
    assert(what.includes(`virtual chunk ${v} `) && what.includes(part), what);
    assert(effect.includes(`virtual chunk ${v}`), effect);
  }
  assertEquals(before.changed(), []);
});

function raise(): never {
  throw new Error("There is no such finding");
}

Deno.test("checkComponents() tells gaps and what a stop left behind as notices", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeSample(scratch);
  const [a = "", b = "", c = ""] = paths;
  const notices = async (given: string[]) => {
    const { findings } = await checkComponents(given);
    assert(findings.every(({ severity }) => severity === "notice"));
    return findings.map(({ what, where }) => `${what}: ${where}`);
  };
  // The entry of the chunk that was mapped first is lost.
  writeEntry(a, 3, { flags: 0, component: 0, chunk: 0 });
  assertEquals(await notices(paths), [
    "The allocation has gaps, left by a power cut: demo",
  ]);
  writeEntry(a, 3, { flags: 1, component: 0, chunk: 2 });
  // A remove of c that was stopped just before its end.
  patchLabel(a, { count: 2 });
  patchLabel(c, { count: 2 });
  assertEquals(await notices(paths), [
    `Its label is outdated: an add or remove did not finish: ${b}`,
    `It was removed from the pool, but it still carries a label: ${c}`,
  ]);
  // An add of c that was stopped before it came to component 0.
  patchLabel(b, { count: 2 });
  patchLabel(c, { count: 3, flags: 4 });
  assertEquals(await notices(paths), [
    `It is no component: its add did not finish: ${c}`,
  ]);
  const pool = await openPool(paths);
  await assertContent(pool, content);
  await pool.close();
  assertFreebsd([a, b]);
  assertEquals(await notices([a, b]), []);
});

Deno.test("checkComponents() refuses what is not about damage", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeSample(scratch);
  const pool = await openPool(paths);
  await assertRefused(() => checkComponents(paths), "busy", '/a"', "process");
  await pool.close();
  await assertRefused(() => checkComponents([]), "invalid");
  await assertRefused(
    () => checkComponents([...paths, scratch.path]),
    "invalid",
    "is a directory",
  );
});
