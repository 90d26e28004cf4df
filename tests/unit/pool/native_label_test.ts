/**
 * Making pools of format 2 and unmaking them: what is fitted, what is written,
 * what is refused; and that no file ever carries two labels.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  clearLabels,
  type FormatName,
  type LabelOptions,
  labelPool,
  openPool,
  readLabel,
  taste,
} from "../../../pool/mod.ts";
import type { OpenDevice } from "../../../pool/core/mod.ts";
import { isZero } from "../../helpers/bytes.ts";
import { labelOffset, readAt, writeAt } from "../../helpers/freebsd_raw.ts";
import {
  FORMATS,
  KIB,
  MIB,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertRefused,
  assertSound,
  makeQuickScratch,
  makeSparse,
} from "../../helpers/small_pools.ts";
import { Snapshot } from "../../helpers/stopping_device.ts";

const GIB = 1024 * MIB;
const TIB = 1024 * GIB;
/** What a component has beside its chunks: a page of the table, superblocks. */
const OVERHEAD = 3 * 4096 + 2 * 64 * KIB;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-/;

/** The default properties: a small pool. */
const SMALL = {
  name: "demo",
  chunkSize: 64 * KIB,
  virtualSize: 64 * MIB,
};

/** Where a slot of the superblock lies. */
function slotOffset(path: string, slot: number): number {
  const { size } = Deno.statSync(path);
  return size - size % 4096 - (2 - slot) * 64 * KIB;
}

Deno.test("labelPool() makes a 2 TiB disk of 256 KiB chunks in the native format by default", async () => {
  await using scratch = await makeQuickScratch();
  const paths = [scratch.file("a"), scratch.file("b")];
  const options = { name: "demo", paths };
  const { id, ...rest } = await labelPool({ ...options, createSize: 64 * MIB });
  assert(UUID.test(id), id);
  const component = { size: 64 * MIB, chunkCount: 253, chunkReserved: 0 };
  assertEquals(rest, {
    name: "demo",
    format: "native",
    virtualSize: 2 * TIB,
    chunkSize: 256 * KIB,
    components: paths.map((path) => ({ path, ...component })),
    notices: [],
  });
  const labels = paths.map(readLabel);
  for (const [i, label] of labels.entries()) {
    assert(label.format === "native");
    const { members, ...fields } = label;
    assertEquals(members.map(({ state }) => state), ["active", "active"]);
    assertEquals(fields.componentUuid, members[i]?.uuid);
    assertEquals([fields.poolUuid, fields.clean], [id, true]);
  }
  const other = await labelPool({ ...options, force: true });
  assertNotEquals(other.id, id);
});

Deno.test("labelPool() fits native sizes and says so", async () => {
  await using scratch = await makeQuickScratch();
  const path = makeSparse(scratch.file("a"), 2 * GIB);
  const fit = async (virtualSize: number, chunkSize: number) => {
    const options = { name: "demo", paths: [path], force: true };
    const made = await labelPool({ ...options, virtualSize, chunkSize });
    const notices = made.notices.filter((one) => !one.includes("smaller"));
    return [made.virtualSize, made.chunkSize, ...notices];
  };
  const chunks = (bytes: number) =>
    "The chunk size is rounded up to a power of two, 64 KiB or more: " +
    `${bytes} bytes`;
  const disk = (bytes: number) =>
    `The virtual size is rounded up to whole chunks: ${bytes} bytes`;
  assertEquals(await fit(MIB, 65_536), [MIB, 65_536]);
  assertEquals(await fit(MIB, 1), [MIB, 65_536, chunks(65_536)]);
  assertEquals(await fit(MIB, 65_537), [MIB, 131_072, chunks(131_072)]);
  assertEquals(await fit(MIB, 100_000), [MIB, 131_072, chunks(131_072)]);
  assertEquals(await fit(1, MIB), [MIB, MIB, disk(MIB)]);
  assertEquals(await fit(MIB + 1, MIB), [2 * MIB, MIB, disk(2 * MIB)]);
  assertEquals(await fit(GIB, GIB), [GIB, GIB]);
  assertEquals(await fit(2 ** 53, GIB), [2 ** 53, GIB]);
  assertEquals(
    await fit(100_000_000, 100_000),
    [763 * 131_072, 131_072, chunks(131_072), disk(763 * 131_072)],
  );
});

Deno.test("labelPool() tells when a native disk is smaller than its components", async () => {
  await using scratch = await makeQuickScratch();
  const path = makeSparse(scratch.file("a"), 65 * MIB);
  const { notices } = await labelPool({ ...SMALL, paths: [path] });
  assertEquals(notices, [
    "The virtual size (67108864 bytes) is smaller than the components " +
    "(68157440 bytes)",
  ]);
});

Deno.test("labelPool() takes native names of up to 255 bytes, in any script", async () => {
  await using scratch = await makeQuickScratch();
  const path = makeSparse(scratch.file("a"), MIB);
  const names = [
    "a",
    "x".repeat(255),
    "é".repeat(127),
    "\u{1f4be}".repeat(63) + "end",
    "sixteen-letters-",
    "two words / and more",
    "..",
    "プール",
  ];
  for (const name of names) {
    await labelPool({ ...SMALL, name, paths: [path], force: true });
    const pool = await openPool([path]);
    assertEquals([readLabel(path).name, pool.name], [name, name]);
    await pool.close();
    await assertSound("native", [path]);
  }
});

Deno.test("labelPool() writes both slots of the native superblock, and either is enough", async () => {
  await using scratch = await makeQuickScratch();
  const sizes = [MIB, 2 * MIB + 4095];
  const paths = sizes.map((size, i) => makeSparse(scratch.file(`c${i}`), size));
  await labelPool({ ...SMALL, paths });
  const sound = new Snapshot(paths);
  const label = readLabel(paths[1] ?? "");
  const magic = new TextEncoder().encode("VIRSTOR::POOL");
  for (const path of paths) {
    for (const slot of [0, 1]) {
      const at = slotOffset(path, slot);
      assertEquals(readAt(path, at, magic.length), magic);
      writeAt(path, at, new Uint8Array(64 * KIB));
      const pool = await openPool(paths);
      await pool.close();
      sound.restore();
    }
  }
  writeAt(paths[1] ?? "", slotOffset(paths[1] ?? "", 0), pattern(100, 1));
  assertEquals(readLabel(paths[1] ?? ""), label);
});

Deno.test("labelPool() takes a file that is just large enough for a native chunk, and none smaller", async () => {
  await using scratch = await makeQuickScratch();
  for (const chunkSize of [64 * KIB, MIB]) {
    const path = makeSparse(scratch.file(`${chunkSize}`), chunkSize + OVERHEAD);
    const options = { ...SMALL, chunkSize, paths: [path] };
    const { components } = await labelPool(options);
    assertEquals(components[0]?.chunkCount, 1);
    Deno.truncateSync(path, chunkSize + OVERHEAD - 1);
    await assertRefused(
      () => labelPool(options),
      "invalid",
      path,
      "room for 0 chunks",
      "at least 1",
      `(${chunkSize + OVERHEAD} bytes)`,
    );
  }
});

/** A refusal; the paths are names in the scratch directory. */
interface Refusal {
  readonly title: string;
  readonly options: Partial<LabelOptions>;
  readonly code: Parameters<typeof assertRefused>[1];
  readonly parts: readonly string[];
}

const BAD_NAMES = [
  "",
  "x".repeat(256),
  "é".repeat(128),
  "two\nlines",
  "tab\t",
  "\u0000",
  "\u007f",
  "\u0085",
  "half a pair \ud800",
];

const REFUSALS: readonly Refusal[] = [
  ...BAD_NAMES.map((name): Refusal => ({
    title: `the name ${JSON.stringify(name).slice(0, 20)}`,
    options: { name },
    code: "invalid",
    parts: ["Cannot name a pool", "1 to 255 bytes", "control characters"],
  })),
  ...[0, -1, NaN, Infinity, GIB + 1, 2 * GIB].map((chunkSize): Refusal => ({
    title: `a chunk size of ${chunkSize} bytes`,
    options: { chunkSize },
    code: "invalid",
    parts: [`chunk size of ${chunkSize} bytes`, "1 to 1073741824 bytes"],
  })),
  ...[0, -1, NaN].map((virtualSize): Refusal => ({
    title: `a disk of ${virtualSize} bytes`,
    options: { virtualSize },
    code: "invalid",
    parts: [`disk of ${virtualSize} bytes`, "one chunk"],
  })),
  ...[2 ** 53 + 2, Infinity].map((virtualSize): Refusal => ({
    title: `a disk of ${virtualSize} bytes`,
    options: { virtualSize },
    code: "invalid",
    parts: [`disk of ${virtualSize} bytes`, "8 PiB"],
  })),
  {
    title: "to tie components to their names",
    options: { hardcode: true },
    code: "invalid",
    parts: ['/good"', "-h", "UUID"],
  },
  {
    title: "a file that is too small",
    options: { paths: ["good", "small"] },
    code: "invalid",
    parts: ['/small"', "room for 0 chunks", "at least 1"],
  },
  {
    title: "an empty file",
    options: { paths: ["good", "empty"] },
    code: "invalid",
    parts: ['/empty"', "0 bytes"],
  },
  {
    title: "a file with a native label",
    options: { paths: ["good", "native"] },
    code: "exists",
    parts: ['/native"', 'pool "other"', "-f"],
  },
  {
    title: "a file with a label of FreeBSD",
    options: { paths: ["good", "freebsd"] },
    code: "exists",
    parts: ['/freebsd"', 'pool "other"', "-f"],
  },
  {
    title: "a file with half a native label",
    options: { paths: ["good", "half"] },
    code: "exists",
    parts: ['/half"', "-f"],
  },
  {
    title: "no components",
    options: { paths: [] },
    code: "invalid",
    parts: ["no components"],
  },
  {
    title: "files to be made that are too small",
    options: { paths: ["new"], createSize: 64 * KIB },
    code: "invalid",
    parts: ['/new"', "65536 bytes"],
  },
];

Deno.test("labelPool() refuses what cannot be a native pool in one line, and writes nothing", async (t) => {
  await using scratch = await makeQuickScratch();
  const sizes = { good: MIB, small: OVERHEAD, empty: 0, half: MIB };
  const paths = Object.entries(sizes).map(([name, size]) =>
    makeSparse(scratch.file(name), size)
  );
  for (const format of FORMATS) {
    const path = makeSparse(scratch.file(format), MIB);
    paths.push(path);
    const chunkSize = SMALL_CHUNK;
    await labelPool({
      ...SMALL,
      format,
      chunkSize,
      name: "other",
      paths: [path],
    });
  }
  const half = scratch.file("half");
  writeAt(half, slotOffset(half, 1), new TextEncoder().encode("VIRSTOR::POOL"));
  const before = new Snapshot(paths);
  for (const { title, options, code, parts } of REFUSALS) {
    await t.step(title, async () => {
      const names = options.paths ?? ["good"];
      const all = { ...SMALL, ...options, paths: names.map(scratch.file) };
      await assertRefused(() => labelPool(all), code, ...parts);
      assertEquals(before.changed(), []);
      const found = [...Deno.readDirSync(scratch.path)].length;
      assertEquals(found, paths.length);
    });
  }
});

Deno.test("labelPool() refuses more native components than a superblock lists, before it opens any", async () => {
  const opened: string[] = [];
  const openDevice: OpenDevice = (path, options) => {
    opened.push(path);
    return new FileDevice(path, options);
  };
  const paths = Array.from({ length: 2033 }, (_, i) => `missing${i}`);
  await assertRefused(
    () => labelPool({ ...SMALL, paths, openDevice, createSize: MIB }),
    "invalid",
    "2033 components",
    "2032",
  );
  assertEquals(opened, []);
});

/** As on a system without native calls. */
function withoutHoles(...args: Parameters<OpenDevice>): FileDevice {
  return new FileDevice(args[0], { ...args[1], native: false });
}

/** Whole pages, whole sectors, and neither. */
const ODD_SIZES = [0, 512, 600, 1024, 3584, 4095];

/** Whether the bytes of a label are in a file at all. */
function hasMagic(path: string, magic: string): boolean {
  return Buffer.from(Deno.readFileSync(path).buffer).includes(magic);
}

for (const native of [true, false]) {
  const how = native ? "with" : "without";
  const openDevice = native ? {} : { openDevice: withoutHoles };
  for (const before of FORMATS) {
    for (const after of FORMATS) {
      Deno.test(`labelPool() makes an empty pool and leaves one label, ${after} over ${before}, ${how} native calls`, async () => {
        await using scratch = await makeQuickScratch();
        for (const odd of ODD_SIZES) {
          const path = makeSparse(scratch.file("a"), 2 * MIB + odd);
          await relabel(path, before, after, openDevice);
        }
      });
    }
  }
}

/** Fills a pool of one format, and makes one of another of it. */
async function relabel(
  path: string,
  before: FormatName,
  after: FormatName,
  openDevice: { openDevice?: OpenDevice },
): Promise<void> {
  const options = { ...SMALL, chunkSize: SMALL_CHUNK, paths: [path] };
  await labelPool({ ...options, name: "old", format: before, ...openDevice });
  const old = await openPool([path], openDevice);
  for (let v = 0; old.status().freeChunks > 0; v++) {
    await old.volume().write(pattern(SMALL_CHUNK, v), v * SMALL_CHUNK);
  }
  await old.close();
  const made = { ...options, format: after, force: true };
  await labelPool({ ...made, ...openDevice });
  assertEquals([readLabel(path).name, readLabel(path).format], ["demo", after]);
  assertEquals(hasMagic(path, "GEOM::VIRSTOR"), after === "freebsd");
  assertEquals(hasMagic(path, "VIRSTOR::POOL"), after === "native");
  const pool = await openPool([path], openDevice);
  assertEquals(pool.status().mappedChunks, 0);
  for (let v = 0; pool.status().freeChunks > 0; v++) {
    await pool.volume().write(Uint8Array.of(1), v * SMALL_CHUNK);
    const rest = await readBytes(
      pool.volume(),
      v * SMALL_CHUNK + 1,
      SMALL_CHUNK - 1,
    );
    assert(isZero(rest), `chunk ${v} shows old bytes`);
  }
  await pool.close();
  await assertSound(after, [path]);
}

Deno.test("clearLabels() takes labels of both formats off and leaves all data", async () => {
  await using scratch = await makeQuickScratch();
  const paths = FORMATS.map(scratch.file);
  for (const format of FORMATS) {
    const path = makeSparse(scratch.file(format), 2 * MIB + 700);
    const chunkSize = SMALL_CHUNK;
    await labelPool({
      ...SMALL,
      format,
      chunkSize,
      name: format,
      paths: [path],
    });
    const pool = await openPool([path]);
    for (let v = 0; pool.status().freeChunks > 0; v++) {
      await pool.volume().write(pattern(SMALL_CHUNK, v), v * SMALL_CHUNK);
    }
    await pool.close();
  }
  const before = paths.map((path) => Deno.readFileSync(path));
  for (const path of paths) {
    await assertRefused(
      () => clearLabels([path]),
      "exists",
      path,
      "data",
      "-f",
    );
  }
  const cleared = await clearLabels(paths, { force: true });
  assertEquals(
    cleared,
    FORMATS.map((format) => ({ path: scratch.file(format), name: format })),
  );
  for (const [i, path] of paths.entries()) {
    const at = FORMATS[i] === "native"
      ? slotOffset(path, 0)
      : labelOffset(path);
    const now = Deno.readFileSync(path);
    assertEquals(now.subarray(0, at), before[i]?.subarray(0, at));
    await assertRefused(() => openPool([path]), "not-found", path, "no label");
    await assertRefused(() => clearLabels([path]), "not-found", "no label");
  }
});

Deno.test("A file with labels of both formats is refused, until it is cleared or labelled anew", async () => {
  await using scratch = await makeQuickScratch();
  // No chunk of format 1 reaches to where the superblocks are.
  const path = makeSparse(scratch.file("both"), 2 * MIB);
  const options = { ...SMALL, chunkSize: SMALL_CHUNK, paths: [path] };
  const makeBoth = async () => {
    await labelPool({ ...options, format: "native", force: true });
    const at = slotOffset(path, 0);
    const slots = readAt(path, at, 128 * KIB - 512);
    await labelPool({ ...options, format: "freebsd", force: true });
    writeAt(path, at, slots);
  };
  await makeBoth();
  const before = new Snapshot([path]);
  const text = "labels of both formats";
  await assertRefused(() => openPool([path]), "corrupt", path, text);
  await assertRefused(() => labelPool(options), "exists", path, "-f");
  const { pools, rejected } = await taste([path]);
  assertEquals([pools, rejected.length], [[], 1]);
  assert(rejected[0]?.reason.includes(text), rejected[0]?.reason);
  assertThrows(() => readLabel(path), VirstorError, text);
  assertEquals(before.changed(), []);
  await assertRefused(() => clearLabels([path]), "exists", path, "-f");
  assertEquals(before.changed(), []);
  assertEquals(await clearLabels([path], { force: true }), [{
    path,
    name: "",
  }]);
  assert(!hasMagic(path, "GEOM::VIRSTOR") && !hasMagic(path, "VIRSTOR::POOL"));
  for (const format of FORMATS) {
    await makeBoth();
    await labelPool({ ...options, format, force: true });
    assertEquals(readLabel(path).format, format);
    await (await openPool([path])).close();
  }
});

Deno.test("openPool() opens a pool of format 1 also if its data look like a native label", async () => {
  await using scratch = await makeQuickScratch();
  // The superblocks of format 2 would be at the start of the last chunk.
  const path = makeSparse(scratch.file("a"), 2 * MIB + 512);
  const options = { ...SMALL, chunkSize: SMALL_CHUNK, paths: [path] };
  await labelPool({ ...options, format: "freebsd" });
  const pool = await openPool([path]);
  const { freeChunks } = pool.status();
  for (let v = 0; v < freeChunks; v++) {
    await pool.volume().write(
      new TextEncoder().encode("VIRSTOR::POOL"),
      v * SMALL_CHUNK,
    );
  }
  await pool.close();
  assertEquals(readLabel(path).format, "freebsd");
  const again = await openPool([path]);
  assertEquals(again.status().mappedChunks, freeChunks);
  await again.close();
});
