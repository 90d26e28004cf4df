/**
 * Pools of format 2 that are damaged: what has a second copy is mended, all
 * else is refused, and reported by a check.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { checkComponents, openPool } from "../../../pool/mod.ts";
import { readAt, writeAt } from "../../helpers/freebsd_raw.ts";
import { PAGE_BYTES } from "../../helpers/native_raw.ts";
import {
  makeNativeSample,
  own,
  readPage,
} from "../../helpers/native_sample.ts";
import { pattern } from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  assertSound,
  makeQuickScratch,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot } from "../../helpers/stopping_device.ts";

const FIRST = { volume: 0, birth: 0, isProvisional: false };

Deno.test("check() of an open pool tells entries of other volumes", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeNativeSample(scratch);
  const [a = ""] = paths;
  const pool = await openPool(paths);
  assertEquals(await pool.check(), []);
  const { view } = readPage(a);
  const virtualChunk = Number(view.getBigUint64(48 + 2 * 24 + 8, true));
  const sequence = Number(view.getBigUint64(48 + 2 * 24, true));
  own(a, 2, virtualChunk, sequence, { ...FIRST, volume: 3 });
  const findings = await pool.check();
  assert(findings.some(({ what }) => what.includes("volume 3")));
  await pool.close();
});

Deno.test("openPool() refuses entries of native tables that cannot be", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeNativeSample(scratch);
  const sound = new Snapshot(paths);
  const [a = "", , c = ""] = paths;
  const { view } = readPage(a);
  const sequence = Number(view.getBigUint64(48 + 2 * 24, true));
  const cases: [() => void, string[]][] = [
    [() => own(c, 4, 2, sequence), ["virtual chunk 2", "same sequence"]],
    [() => own(c, 4, 512, 99), ["virtual chunk 512", "512 virtual chunks"]],
    [() => own(c, 7, 99, 99), ["chunk 7", "7 chunks"]],
    [
      () => own(c, 4, 99, 99, { ...FIRST, volume: 3 }),
      ["virtual chunk 99", "volume 3, epoch 0", "no volume table"],
    ],
    [
      () => own(c, 4, 99, 99, { ...FIRST, birth: 2 ** 31 }),
      ["volume 0, epoch 2147483648", "no volume table"],
    ],
    [
      () => own(c, 4, 99, 99, { ...FIRST, isProvisional: true }),
      ["provisional", "no volume table"],
    ],
  ];
  for (const [damage, parts] of cases) {
    damage();
    const before = new Snapshot(paths);
    for (const readOnly of [true, false]) {
      const open = () => openPool(paths, { readOnly });
      await assertRefused(open, "corrupt", '/c2"', "check", ...parts);
    }
    const { findings } = await checkComponents(paths);
    const damages = findings.filter(({ severity }) => severity === "damage");
    assertEquals(damages.length, 1);
    assertEquals(before.changed(), []);
    sound.restore();
  }
});

Deno.test("openPool() mends a damaged copy of a page or of a superblock from the other one, and refuses both", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeNativeSample(scratch);
  const [a = ""] = paths;
  const sound = new Snapshot(paths);
  const { slot, positionOf } = readPage(a);
  const twin = [0, 1, 2].find((other) =>
    other !== slot &&
    readAt(a, positionOf(other), PAGE_BYTES).some((byte) => byte !== 0)
  ) ?? -1;
  const { size } = Deno.statSync(a);
  const places: [first: number, second: number, part: string][] = [
    [positionOf(slot), positionOf(twin), "chunk table"],
    [size - 2 * 65_536, size - 65_536, "superblock"],
  ];
  const noise = pattern(PAGE_BYTES, 5);
  for (const [first, second, part] of places) {
    for (const place of [first, second]) {
      sound.restore();
      writeAt(a, place, noise);
      const { findings } = await checkComponents(paths);
      assert(findings.every(({ severity }) => severity === "notice"));
      assert(findings.some(({ what }) => what.includes(part)), part);
      const pool = await openPool(paths);
      await assertContent(pool, content);
      assertEquals(await pool.check(), []);
      await pool.close();
      await assertSound("native", paths);
    }
    sound.restore();
    writeAt(a, first, noise);
    writeAt(a, second, noise);
    const before = new Snapshot(paths);
    const error = await assertRejects(() => openPool(paths), VirstorError);
    assert(["corrupt", "not-found"].includes(error.code), error.message);
    assert(error.message.includes(a), error.message);
    const { findings } = await checkComponents(paths);
    assert(findings.some(({ severity }) => severity === "damage"));
    assertEquals(before.changed(), []);
  }
});

Deno.test("Pool.check() of a native pool in use finds what was changed behind its back", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeNativeSample(scratch);
  const [a = "", , c = ""] = paths;
  const pool = await openPool(paths);
  assertEquals(await pool.check(), []);
  await writeChunk(pool, content, 50);
  assertEquals(await pool.check(), []);
  const sound = new Snapshot(paths);
  own(c, 6, 3, 999);
  const [stolen] = await pool.check();
  assertEquals([stolen?.severity, stolen?.where], ["damage", c]);
  sound.restore();
  writeAt(a, readPage(a).positionOf(0), new Uint8Array(3 * PAGE_BYTES));
  const [lost] = await pool.check();
  assertEquals([lost?.severity, lost?.where], ["damage", a]);
  assert(lost?.what.includes("5 entries are missing"), lost?.what);
  sound.restore();
  writeAt(a, Deno.statSync(a).size - 2 * 65_536, new Uint8Array(131_072));
  const [unknown] = await pool.check();
  assertEquals([unknown?.severity, unknown?.where], ["damage", a]);
  sound.restore();
  assertEquals(await pool.check(), []);
  await pool.close();
  await assertSound("native", paths);
});
