/**
 * Pools of format 1 that are not made, and labels that are not taken off: each
 * refusal is one line, and leaves no trace.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import {
  checkComponents,
  clearLabels,
  type LabelOptions,
  labelPool,
} from "../../../pool/mod.ts";
import type { OpenDevice } from "../../../pool/core/mod.ts";
import { patchLabel } from "../../helpers/freebsd_raw.ts";
import {
  makeScratch,
  MIB,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { assertRefused, makeSparse } from "../../helpers/small_pools.ts";
import { Snapshot } from "../../helpers/stopping_device.ts";

const GIB = 1024 * MIB;
const TIB = 1024 * GIB;
const PIB = 1024 * TIB;

/** The default properties: a small pool. */
const SMALL = {
  name: "demo",
  format: "freebsd" as const,
  chunkSize: SMALL_CHUNK,
  virtualSize: 64 * SMALL_CHUNK,
};

/** A refusal, and that it leaves no trace. */
interface Refusal {
  readonly title: string;
  readonly options: Partial<LabelOptions>;
  readonly code: Parameters<typeof assertRefused>[1];
  readonly parts: readonly string[];
}

const REFUSALS: readonly Refusal[] = [
  ...["", "sixteen-letters-", "a b", "a/b", ".", "..", "caf\u00e9", "a\n"]
    .map((name): Refusal => ({
      title: `the name ${JSON.stringify(name)}`,
      options: { name },
      code: "invalid",
      parts: ["Cannot name a pool", "1 to 15"],
    })),
  {
    title: "no components",
    options: { paths: [] },
    code: "invalid",
    parts: ["no components"],
  },
  ...[0, -1, NaN, Infinity, 2 ** 32].map((chunkSize): Refusal => ({
    title: `a chunk size of ${chunkSize} bytes`,
    options: { chunkSize },
    code: "invalid",
    parts: [`chunk size of ${chunkSize} bytes`],
  })),
  ...[0, -1, NaN, SMALL_CHUNK - 1].map((virtualSize): Refusal => ({
    title: `a disk of ${virtualSize} bytes`,
    options: { virtualSize },
    code: "invalid",
    parts: [`disk of ${virtualSize} bytes`, "one chunk"],
  })),
  ...[2 ** 53 + 2, 16 * PIB, Infinity].map((virtualSize): Refusal => ({
    title: `a disk of ${virtualSize} bytes`,
    options: { virtualSize, chunkSize: 2 * GIB },
    code: "invalid",
    parts: [`disk of ${virtualSize} bytes`, "8 PiB"],
  })),
  {
    title: "a disk that is above 8 PiB only once it is fitted",
    options: { virtualSize: 2 ** 53, chunkSize: 3 * GIB },
    code: "invalid",
    parts: ["8 PiB", "whole chunks"],
  },
  {
    title: "a map that does not fit",
    options: { virtualSize: 2 * TIB },
    code: "invalid",
    parts: ["map", '/good"', "2048 chunks", "room for 7", "larger"],
  },
  {
    title: "a map that needs more chunks than a label can count",
    options: { virtualSize: PIB, paths: ["huge"] },
    code: "invalid",
    parts: ["map", '/huge"', "1048576 chunks", "room for 65535"],
  },
  {
    title: "a directory",
    options: { paths: ["good", "directory"] },
    code: "invalid",
    parts: ['/directory"', "is a directory"],
  },
  {
    title: "a missing file",
    options: { paths: ["good", "missing"] },
    code: "not-found",
    parts: ['/missing"', "no such file", "--create"],
  },
  {
    title: "a file too small by one byte",
    options: { paths: ["good", "small"] },
    code: "invalid",
    parts: ['/small"', "room for 3 chunks", "at least 4", "524800 bytes"],
  },
  {
    title: "an empty file",
    options: { paths: ["good", "empty"] },
    code: "invalid",
    parts: ['/empty"', "0 bytes", "at least 4"],
  },
  {
    title: "a file that carries a label",
    options: { paths: ["good", "labelled"] },
    code: "exists",
    parts: ['/labelled"', 'pool "other"', "-f"],
  },
  {
    title: "a file that carries a label that makes no sense",
    options: { paths: ["good", "nonsense"] },
    code: "exists",
    parts: ['/nonsense"', "carries a label", "-f"],
  },
  {
    title: "the same file twice",
    options: { paths: ["good", "good"] },
    code: "exists",
    parts: ['/good"', "given twice"],
  },
  {
    title: "the same file twice with force",
    options: { paths: ["good", "good"], force: true },
    code: "exists",
    parts: ['/good"', "given twice"],
  },
  {
    title: "the same file behind a symbolic link",
    options: { paths: ["good", "symlink"] },
    code: "exists",
    parts: ['/symlink"', "given twice", '/good"'],
  },
  {
    title: "the same file behind a hard link",
    options: { paths: ["hardlink", "good"] },
    code: "exists",
    parts: ['/good"', "given twice", '/hardlink"'],
  },
  {
    title: "the same file by another path",
    options: { paths: ["good", "./good"] },
    code: "exists",
    parts: ["given twice"],
  },
  {
    title: "a name too long to be tied to",
    options: { paths: ["good", "sixteen-letters-"], hardcode: true },
    code: "invalid",
    parts: ['/sixteen-letters-"', "-h", "15"],
  },
  {
    title: "files to be made that are too small",
    options: { paths: ["good", "new"], createSize: MIB / 2 },
    code: "invalid",
    parts: ['/new"', "524288 bytes", "at least 4"],
  },
  {
    title: "a bad file behind files to be made",
    options: { paths: ["new", "new2", "directory"], createSize: MIB },
    code: "invalid",
    parts: ['/directory"'],
  },
  {
    title: "files to be made where there is no directory",
    options: { paths: ["new", "nowhere/new"], createSize: MIB },
    code: "not-found",
    parts: ["nowhere"],
  },
  {
    title: "one file to be made twice",
    options: { paths: ["new", "new"], createSize: MIB },
    code: "exists",
    parts: ['/new"', "given twice"],
  },
  {
    title: "one file to be made twice, by another path",
    options: { paths: ["new", "./new"], createSize: MIB },
    code: "exists",
    parts: ['new"'],
  },
  {
    title: "files to be made on which the map does not fit",
    options: { paths: ["new", "new2"], createSize: MIB, virtualSize: TIB },
    code: "invalid",
    parts: ["map", '/new"'],
  },
];

/** Files of all kinds that a refusal may be about. */
async function makeFiles(scratch: Scratch): Promise<string[]> {
  const sizes = {
    good: MIB,
    huge: 256 * GIB,
    small: 4 * SMALL_CHUNK + 511,
    empty: 0,
    labelled: MIB,
    nonsense: MIB,
    "sixteen-letters-": MIB,
  };
  const paths = Object.entries(sizes).map(([name, size]) =>
    makeSparse(scratch.file(name), size)
  );
  Deno.mkdirSync(scratch.file("directory"));
  Deno.symlinkSync(scratch.file("good"), scratch.file("symlink"));
  Deno.linkSync(scratch.file("good"), scratch.file("hardlink"));
  await labelPool({
    ...SMALL,
    name: "other",
    paths: [scratch.file("labelled")],
  });
  await labelPool({ ...SMALL, paths: [scratch.file("nonsense")] });
  patchLabel(scratch.file("nonsense"), { chunkSize: 1 });
  return paths;
}

/** Which files are in a directory, and how large they are. */
function traces(directory: string): string[] {
  const found = [...Deno.readDirSync(directory)].map(({ name }) => {
    const stat = Deno.lstatSync(`${directory}/${name}`);
    return `${name} ${stat.size} ${stat.blocks}`;
  });
  return found.toSorted();
}

/** When each file was last changed. */
function times(paths: readonly string[]): [string, number][] {
  return paths.map((path) => [path, Deno.statSync(path).mtime?.getTime() ?? 0]);
}

Deno.test("labelPool() refuses in one line, and leaves no trace", async (t) => {
  await using scratch = await makeScratch();
  const paths = await makeFiles(scratch);
  const content = new Snapshot(paths.filter((path) => !path.endsWith("huge")));
  const before = traces(scratch.path);
  for (const { title, options, code, parts } of REFUSALS) {
    await t.step(title, async () => {
      const names = options.paths ?? ["good"];
      await assertRefused(
        () =>
          labelPool({
            ...SMALL,
            ...options,
            paths: names.map(scratch.file),
          }),
        code,
        ...parts,
      );
      const now = traces(scratch.path);
      for (const name of ["new", "new2"]) {
        await Deno.remove(scratch.file(name)).catch(() => {});
      }
      assertEquals(now, before);
    });
  }
  assertEquals(content.changed(), []);
});

Deno.test("labelPool() and clearLabels() that refuse do not even change the times of files", async () => {
  await using scratch = await makeScratch();
  const paths = await makeFiles(scratch);
  // So that a change would show in the time of the last one.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const before = times(paths);
  const [good, labelled] = ["good", "labelled"].map(scratch.file);
  for (const { options, code } of REFUSALS) {
    if (options.createSize !== undefined) continue;
    const names = (options.paths ?? ["good"]).map(scratch.file);
    const all = { ...SMALL, ...options, paths: names };
    await assertRefused(() => labelPool(all), code).catch(() => {});
  }
  await assertRefused(
    () => clearLabels([labelled ?? "", good ?? ""]),
    "not-found",
  );
  assertEquals(times(paths), before);
});

Deno.test("labelPool() refuses more components than can be counted, before it opens any", async () => {
  const opened: string[] = [];
  const openDevice: OpenDevice = (path, options) => {
    opened.push(path);
    return new FileDevice(path, options);
  };
  const paths = Array.from({ length: 65_536 }, (_, i) => `missing${i}`);
  await assertRefused(
    () => labelPool({ ...SMALL, paths, openDevice, createSize: MIB }),
    "invalid",
    "65536 components",
    "65535",
  );
  assertEquals(opened, []);
});

Deno.test("labelPool() leaves a new file to the pool that labels it first", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("new");
  const options = { ...SMALL, paths: [path], createSize: MIB };
  const openDevice: OpenDevice = async (path, how) => {
    // Another process finds the file before it is locked.
    await labelPool({ ...SMALL, name: "first", paths: [path] });
    return new FileDevice(path, how);
  };
  const second = { ...options, name: "second", openDevice };
  const act = () => labelPool({ ...second, force: true });
  await assertRefused(act, "exists", 'a label of pool "first"');
  const { findings } = await checkComponents([path]);
  assertEquals(findings, []);
});

Deno.test("clearLabels() refuses in one line, and leaves no trace", async (t) => {
  await using scratch = await makeScratch();
  const paths = await makeFiles(scratch);
  const content = new Snapshot(paths.filter((path) => !path.endsWith("huge")));
  const before = traces(scratch.path);
  const cases = [
    ["good", "not-found", "carries no label"],
    ["empty", "not-found", "carries no label"],
    ["missing", "not-found", "no such file"],
    ["directory", "invalid", "is a directory"],
  ] as const;
  for (const [name, code, part] of cases) {
    await t.step(name, async () => {
      const paths = [scratch.file("labelled"), scratch.file(name)];
      const act = () => clearLabels(paths);
      await assertRefused(act, code, `/${name}"`, part);
      assertEquals(traces(scratch.path), before);
    });
  }
  assertEquals(content.changed(), []);
});
