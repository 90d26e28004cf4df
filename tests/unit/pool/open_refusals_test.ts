/**
 * Pools that are not opened, each with one line that names the file and the
 * fault. A refusal changes nothing, and a check tells the same as a finding.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { ErrorCode } from "../../../errors.ts";
import { checkComponents, labelPool, openPool } from "../../../pool/mod.ts";
import { assertFreebsd } from "../../helpers/freebsd_checker.ts";
import {
  labelOffset,
  patchLabel,
  type RawEntry,
  type RawLabel,
  readRawLabel,
  readSector,
  writeAt,
  writeEntry,
} from "../../helpers/freebsd_raw.ts";
import { MIB, pattern, SMALL_CHUNK } from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  makeQuickScratch,
  makeSparse,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot } from "../../helpers/stopping_device.ts";
import {
  assertDamage,
  assertIncludes,
  isFile,
  makeSample,
  type Sample,
} from "../../helpers/sample_pool.ts";

/** Damage, and what is said of it. */
interface Refusal {
  readonly title: string;
  /** Does the damage; returns the paths to open, or nothing for all. */
  readonly damage: (sample: Sample) => string[] | void;
  readonly code: ErrorCode;
  readonly parts: readonly string[];
  /** Whether the pool's name is given. */
  readonly named?: boolean;
}

function label(name: string, fields: Partial<RawLabel>): Refusal["damage"] {
  return ({ scratch }) => patchLabel(scratch.file(name), fields);
}

function entry(virtualChunk: number, entry: RawEntry): Refusal["damage"] {
  return ({ scratch }) => writeEntry(scratch.file("a"), virtualChunk, entry);
}

function only(...names: string[]): Refusal["damage"] {
  return ({ scratch }) => names.map(scratch.file);
}

const NONSENSE: readonly (readonly [Partial<RawLabel>, string])[] = [
  [{ name: "" }, "name"],
  [{ name: "a b" }, "name"],
  [{ count: 0 }, "no components"],
  [{ chunkSize: 0 }, "chunk size is 0"],
  [{ chunkSize: 777 }, "chunk size is 777"],
  [{ virtualSize: 0 }, "virtual size"],
  [{ virtualSize: 65 * SMALL_CHUNK }, "whole map sectors"],
  [{ virtualSize: 2 ** 54 }, "8 PiB"],
  [{ componentSize: 777 }, "whole sectors"],
  [{ chunkCount: 9 }, "counts 9 chunks"],
  [{ chunkReserved: 8 }, "reserved"],
];

const REFUSALS: readonly Refusal[] = [
  {
    title: "one component missing",
    damage: only("a", "c"),
    code: "not-found",
    parts: ["component 1 of 3", "is missing", "--component"],
  },
  {
    title: "two components missing",
    damage: only("a"),
    code: "not-found",
    parts: ["components 1, 2 of 3", "are missing", "--component"],
  },
  {
    title: "the first component missing",
    damage: only("c", "b"),
    code: "not-found",
    parts: ["component 0 of 3", "is missing"],
  },
  {
    title: "a component whose file is gone",
    damage: ({ scratch, paths }) => {
      Deno.removeSync(scratch.file("b"));
      return paths;
    },
    code: "not-found",
    parts: ["component 1 of 3", '/b"', "no such file"],
  },
  {
    title: "nothing at all",
    damage: only("nothing"),
    code: "not-found",
    parts: ['/nothing"', "no such file"],
  },
  {
    title: "no component of the name",
    damage: ({ scratch }) => {
      const path = makeSparse(scratch.file("other"), MIB);
      return [path];
    },
    named: true,
    code: "not-found",
    parts: ['"demo"', '/other"', "no label"],
  },
  {
    title: "two files that claim one place",
    damage: ({ scratch, paths }) => {
      Deno.copyFileSync(scratch.file("b"), scratch.file("copy"));
      return [...paths, scratch.file("copy")];
    },
    code: "corrupt",
    parts: ['/b"', '/copy"', "component 1"],
  },
  {
    title: "a copy of one in the place of another",
    damage: ({ scratch }) =>
      Deno.copyFileSync(scratch.file("b"), scratch.file("c")),
    code: "corrupt",
    parts: ['/b"', '/c"', "component 1"],
  },
  {
    title: "an older copy of the first in the place of an empty one",
    damage: ({ scratch }) => {
      Deno.copyFileSync(scratch.file("a"), scratch.file("c"));
      patchLabel(scratch.file("c"), { count: 2 });
    },
    code: "corrupt",
    parts: ['/a"', '/c"', "component 0"],
  },
  {
    title: "two ids under one name",
    damage: label("b", { id: 7 }),
    code: "corrupt",
    parts: ['/b"', '/a"', "7", "two pools of this name"],
  },
  {
    title: "labels that disagree on the virtual size",
    damage: label("b", { virtualSize: 128 * SMALL_CHUNK }),
    code: "corrupt",
    parts: ['/b"', "disagree", "virtual size"],
  },
  {
    title: "labels that disagree on the chunk size",
    damage: label("b", { chunkSize: SMALL_CHUNK / 2, chunkCount: 1 }),
    code: "corrupt",
    parts: ['/b"', "disagree", "chunk size"],
  },
  {
    title: "two pools and no name",
    damage: label("b", { name: "other" }),
    code: "invalid",
    parts: ["choose a pool", '"demo"', '"other"'],
  },
  {
    title: "a component that is of another pool",
    damage: label("b", { name: "other" }),
    named: true,
    code: "not-found",
    parts: ['"demo"', "component 1 of 3"],
  },
  {
    title: "a component that was cut",
    damage: ({ scratch }) => Deno.truncateSync(scratch.file("b"), MIB - 512),
    code: "not-found",
    parts: ["component 1 of 3", '/b"', "no label"],
  },
  {
    title: "a component that was extended",
    damage: ({ scratch }) => Deno.truncateSync(scratch.file("b"), MIB + 512),
    code: "not-found",
    parts: ["component 1 of 3", '/b"', "no label"],
  },
  {
    title: "a component that was cut to nothing",
    damage: ({ scratch }) => Deno.truncateSync(scratch.file("b"), 100),
    code: "not-found",
    parts: ["component 1 of 3", '/b"', "no label"],
  },
  {
    title: "a label on a file of another size",
    damage: ({ scratch }) => {
      const path = scratch.file("b");
      const sector = readSector(path);
      Deno.truncateSync(path, 2 * MIB);
      writeAt(path, labelOffset(path), sector);
    },
    code: "corrupt",
    parts: ['/b"', "2097152", "1048576"],
  },
  {
    title: "a directory among the components",
    damage: ({ scratch, paths }) => {
      Deno.mkdirSync(scratch.file("directory"));
      return [...paths, scratch.file("directory")];
    },
    code: "invalid",
    parts: ['/directory"', "is a directory"],
  },
  {
    title: "a label of another version",
    damage: label("b", { version: 2 }),
    code: "unsupported",
    parts: ['/b"', "version is 2"],
  },
  {
    title: "a place that no component has",
    damage: label("b", { index: 3 }),
    code: "not-found",
    parts: ["component 1 of 3"],
  },
  {
    title: "a component that is bound to another name",
    damage: label("b", { hardcodedName: "da1" }),
    code: "corrupt",
    parts: ['/b"', '"da1"', "-h"],
  },
  {
    title: "no room for the map",
    damage: label("a", { chunkReserved: 0 }),
    code: "corrupt",
    parts: ['/a"', "reserves 0 chunks"],
  },
  ...NONSENSE.map(([fields, part]): Refusal => ({
    title: `a label with ${JSON.stringify(fields)}`,
    damage: label("b", fields),
    code: "corrupt",
    parts: ['/b"', part],
  })),
  {
    title: "a chunk on a component that there is not",
    damage: entry(40, { flags: 1, component: 3, chunk: 0 }),
    code: "corrupt",
    parts: ["virtual chunk 40", "component 3 of 3", '/a at 320"', "check"],
  },
  {
    title: "a chunk behind the end of a component",
    damage: entry(40, { flags: 1, component: 2, chunk: 7 }),
    code: "corrupt",
    parts: ["virtual chunk 40", "chunk 7 of component 2", '/a at 320"'],
  },
  {
    title: "an unallocated entry for a component that there is not",
    damage: entry(40, { flags: 0, component: 3, chunk: 0 }),
    code: "corrupt",
    parts: ["virtual chunk 40", "component 3 of 3", '/a at 320"'],
  },
  {
    title: "an unallocated entry for a chunk behind the end",
    damage: entry(40, { flags: 0, component: 2, chunk: 2 ** 32 - 1 }),
    code: "corrupt",
    parts: ["virtual chunk 40", "chunk 4294967295", '/a at 320"'],
  },
  {
    title: "a chunk in the reserved area",
    damage: entry(40, { flags: 1, component: 0, chunk: 1 }),
    code: "corrupt",
    parts: ["virtual chunk 40", "reserved area", "chunk 1", '/a at 320"'],
  },
  {
    title: "a chunk mapped twice",
    damage: entry(40, { flags: 1, component: 1, chunk: 2 }),
    code: "corrupt",
    parts: ["virtual chunk", "chunk 2 of component 1", "another", "/a at "],
  },
];

for (const { title, damage, code, parts, named } of REFUSALS) {
  Deno.test(`openPool() refuses ${title} and changes nothing, and checkComponents() tells the same`, async () => {
    await using scratch = await makeQuickScratch();
    const sample = await makeSample(scratch);
    const paths = damage(sample) ?? sample.paths;
    const before = new Snapshot(paths.filter(isFile));
    const name = named === true ? { name: "demo" } : {};
    const open = async (given: string[], readOnly: boolean) => {
      const pool = await openPool(given, { ...name, readOnly });
      await pool.close();
    };
    const orders = [paths, paths.toReversed(), [...paths, ...paths]];
    for (const readOnly of [true, false]) {
      for (const order of orders) {
        const error = await assertRefused(() => open(order, readOnly), code);
        if (order !== paths) continue;
        for (const part of parts) assertIncludes(error.message, part);
      }
    }
    if (code !== "invalid") {
      const { findings } = await checkComponents(paths, name);
      assertDamage(findings, parts);
    }
    assertEquals(before.changed(), []);
    // Nothing was left open or locked.
    await restore(sample);
    const pool = await openPool(sample.paths);
    await assertContent(pool, sample.content);
    await pool.close();
    assertFreebsd(sample.paths);
  });
}

async function restore({ scratch, sound }: Sample): Promise<void> {
  for await (const { name } of Deno.readDir(scratch.path)) {
    await Deno.remove(scratch.file(name), { recursive: true });
  }
  sound.restore();
}

Deno.test("openPool() refuses a timeout that is none", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeSample(scratch);
  for (const fullTimeoutSeconds of [-1, NaN, 2_147_484, Infinity]) {
    await assertRefused(
      () => openPool(paths, { fullTimeoutSeconds }),
      "invalid",
      `${fullTimeoutSeconds} seconds`,
    );
  }
});

Deno.test("openPool() refuses to take a component that was leaving for a missing one that holds data, and so does a check", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeSample(scratch);
  const [a = "", b = "", c = ""] = paths;
  // b left long ago, but a stop kept its label from being wiped; what was
  // added in its place and written since is not here.
  patchLabel(b, { index: 1, count: 1 });
  await assertRefused(() => openPool([a, b, c]), "not-found", "component 1");
  const { findings } = await checkComponents([a, b, c]);
  assertDamage(findings, ["component 1", "missing"]);
});

Deno.test("Pool.remove() leaves no map entry that names what has left, allocated or not", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeSample(scratch);
  const [a = "", b = "", c = ""] = paths;
  // Sound as long as there are three components.
  writeEntry(a, 40, { flags: 0, component: 2, chunk: 6 });
  assertFreebsd(paths);
  const pool = await openPool(paths);
  await pool.remove([c]);
  await pool.close();
  assertFreebsd([a, b]);
  const again = await openPool([a, b]);
  await assertContent(again, content);
  await again.close();
});

Deno.test("Pool.add() that is refused leaves the pool and the files as they were", async (t) => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeSample(scratch);
  const [a = "", b = ""] = paths;
  const good = makeSparse(scratch.file("good"), MIB);
  const small = makeSparse(scratch.file("small"), MIB / 2);
  const other = scratch.file("other");
  await labelPool({
    name: "other",
    format: "freebsd",
    paths: [other],
    createSize: 64 * MIB,
  });
  Deno.symlinkSync(b, scratch.file("link"));
  Deno.mkdirSync(scratch.file("directory"));
  writeAt(good, 0, pattern(1000, 1));
  const pool = await openPool(paths);
  const before = new Snapshot([...paths, good, small, other]);
  const cases: [string[], ErrorCode, string, { createSize?: number }?][] = [
    [[], "invalid", "no components"],
    [["good", "small"], "invalid", '/small"'],
    [["good", "other"], "exists", 'pool "other"'],
    [["good", "a"], "exists", "in the pool already"],
    [["good", "link"], "exists", "in the pool already"],
    [["good", "good"], "exists", "given twice"],
    [["good", "directory"], "invalid", "is a directory"],
    [["good", "missing"], "not-found", "--create"],
    [["good", "new", "small"], "invalid", '/small"', { createSize: MIB }],
    [["good", "new", "new2"], "invalid", '/new"', { createSize: 512 }],
  ];
  for (const [names, code, part, options] of cases) {
    await t.step(`${names}`, async () => {
      const files = names.map(scratch.file);
      const add = () => pool.add(files, options);
      await assertRefused(add, code, part);
      assertEquals(before.changed(), []);
      for (const name of ["missing", "new", "new2"]) {
        assert(!isFile(scratch.file(name)));
      }
      assertEquals(pool.status().components.length, 3);
    });
  }
  const many = Array.from({ length: 65_533 }, (_, i) => `missing${i}`);
  await assertRefused(() => pool.add(many), "invalid", "65536 components");
  await writeChunk(pool, content, 63);
  await assertContent(pool, content);
  await pool.close();
  assertFreebsd(paths);
  assertEquals(readRawLabel(a).count, 3);
});
