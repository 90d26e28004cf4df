/**
 * Making pools of format 1 and unmaking them: what is fitted, what is written.
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import {
  clearLabels,
  labelPool,
  openPool,
  readLabel,
} from "../../../pool/mod.ts";
import type { OpenDevice } from "../../../pool/core/mod.ts";
import { assertFreebsd } from "../../helpers/freebsd_checker.ts";
import {
  labelOffset,
  patchLabel,
  readRawLabel,
  readSector,
  writeAt,
} from "../../helpers/freebsd_raw.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  KIB,
  makeScratch,
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertRefused,
  makeQuickScratch,
  makeSparse,
} from "../../helpers/small_pools.ts";
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

Deno.test("labelPool() makes a 2 TiB disk of 4 MiB chunks by default", async () => {
  await using scratch = await makeQuickScratch();
  const paths = [scratch.file("a"), scratch.file("b")];
  const options = { name: "demo", format: "freebsd", paths } as const;
  const result = await labelPool({ ...options, createSize: 64 * MIB });
  const { id, ...rest } = result;
  assert(/^\d+$/.test(id) && Number(id) < 2 ** 32);
  assertEquals(rest, {
    name: "demo",
    format: "freebsd",
    virtualSize: 2 * TIB,
    chunkSize: 4 * MIB,
    components: [
      {
        path: paths[0] ?? "",
        size: 64 * MIB,
        chunkCount: 15,
        chunkReserved: 2,
      },
      {
        path: paths[1] ?? "",
        size: 64 * MIB,
        chunkCount: 15,
        chunkReserved: 0,
      },
    ],
    notices: [],
  });
  assertFreebsd(paths);
  const other = await labelPool({ ...options, force: true });
  assertNotEquals(other.id, id);
});

Deno.test("labelPool() fits sizes as gvirstor does, and says so", async () => {
  await using scratch = await makeQuickScratch();
  const path = makeSparse(scratch.file("a"), 64 * MIB);
  const fit = async (virtualSize: number, chunkSize: number) => {
    const options = { ...SMALL, paths: [path], force: true };
    const made = await labelPool({ ...options, virtualSize, chunkSize });
    assertFreebsd([path]);
    const notices = made.notices.filter((one) => !one.includes("smaller"));
    return [made.virtualSize, made.chunkSize, notices];
  };
  const rounded = (bytes: number) =>
    `The chunk size is rounded up to a multiple of 128 KiB: ${bytes} bytes`;
  const fitted = (bytes: number) =>
    "The virtual size is fitted to whole chunks and whole map sectors: " +
    `${bytes} bytes`;
  assertEquals(await fit(8 * MIB, 128 * KIB), [8 * MIB, 128 * KIB, []]);
  assertEquals(
    await fit(8 * MIB, 1),
    [8 * MIB, 128 * KIB, [rounded(128 * KIB)]],
  );
  assertEquals(
    await fit(16 * MIB, 128 * KIB + 1),
    [16 * MIB, 256 * KIB, [rounded(256 * KIB)]],
  );
  // Down to whole chunks, then up to a whole sector of the map.
  assertEquals(
    await fit(8 * MIB + 128 * KIB - 1, 128 * KIB),
    [8 * MIB, 128 * KIB, [fitted(8 * MIB)]],
  );
  assertEquals(
    await fit(8 * MIB + 128 * KIB, 128 * KIB),
    [16 * MIB, 128 * KIB, [fitted(16 * MIB)]],
  );
  assertEquals(
    await fit(128 * KIB, 128 * KIB),
    [8 * MIB, 128 * KIB, [fitted(8 * MIB)]],
  );
  assertEquals(
    await fit(100_000_000, 100_000),
    [104 * MIB - 8 * MIB, 128 * KIB, [rounded(128 * KIB), fitted(96 * MIB)]],
  );
});

Deno.test("labelPool() tells when the disk is smaller than its components", async () => {
  await using scratch = await makeQuickScratch();
  const path = makeSparse(scratch.file("a"), 64 * MIB);
  const { notices } = await labelPool({ ...SMALL, paths: [path] });
  assertEquals(notices, [
    "The virtual size (8388608 bytes) is smaller than the components " +
    "(67108864 bytes)",
  ]);
});

const SIZES = [
  2 * GIB,
  Math.floor(3.9 * GIB),
  4 * GIB,
  8 * GIB,
  10 * GIB,
  16 * GIB,
  4 * GIB + 1,
  4 * GIB + 511,
  4 * GIB + 512,
  4 * GIB - 511,
  1_000_000_007,
];

Deno.test("faults 1 and 8: labelPool() and Pool.add() leave the last sector free at every size", async () => {
  await using scratch = await makeQuickScratch();
  const paths = SIZES.map((size, i) => makeSparse(scratch.file(`l${i}`), size));
  const added = SIZES.map((size, i) => makeSparse(scratch.file(`a${i}`), size));
  await labelPool({ name: "demo", format: "freebsd", paths });
  const pool = await openPool(paths);
  await pool.add(added);
  await pool.close();
  for (const [i, path] of [...paths, ...added].entries()) {
    const size = BigInt(SIZES[i % SIZES.length] ?? 0);
    const room = size / 512n * 512n - 512n;
    assertEquals(BigInt(readRawLabel(path).chunkCount), room / BigInt(4 * MIB));
  }
  assertFreebsd([...paths, ...added]);
});

Deno.test("labelPool() makes a disk of exactly 8 PiB, to its last byte", async () => {
  await using scratch = await makeQuickScratch();
  const path = makeSparse(scratch.file("a"), 8 * GIB + 512);
  const options = { ...SMALL, paths: [path], chunkSize: 2 * GIB };
  const made = await labelPool({ ...options, virtualSize: 8 * PIB });
  assertEquals([made.virtualSize, made.notices], [2 ** 53, []]);
  const pool = await openPool([path]);
  assertEquals(pool.volume().size, 2 ** 53);
  await pool.volume().write(pattern(4096, 1), pool.volume().size - 4096);
  await pool.close();
  const again = await openPool([path]);
  assertEquals(
    await readBytes(again.volume(), again.volume().size - 8192, 8192),
    Uint8Array.from([...new Uint8Array(4096), ...pattern(4096, 1)]),
  );
  await again.close();
  assertFreebsd([path]);
});

Deno.test("labelPool() takes every name that is allowed", async () => {
  await using scratch = await makeQuickScratch();
  const path = makeSparse(scratch.file("a"), MIB);
  for (const name of ["a", "fifteen-letters", "A.b_c-d:e+f@0", "...", "-"]) {
    await labelPool({ ...SMALL, name, paths: [path], force: true });
    assertEquals(readLabel(path).name, name);
    assertFreebsd([path]);
  }
});

Deno.test("labelPool() takes a file that is just large enough", async () => {
  await using scratch = await makeQuickScratch();
  const path = makeSparse(scratch.file("a"), 4 * SMALL_CHUNK + 512);
  const { components } = await labelPool({ ...SMALL, paths: [path] });
  assertEquals(components[0]?.chunkCount, 4);
  assertFreebsd([path]);
});

/** As on a system without native calls. */
function withoutHoles(...args: Parameters<OpenDevice>): FileDevice {
  return new FileDevice(args[0], { ...args[1], native: false });
}

for (const native of [true, false]) {
  const how = native ? "with" : "without";
  Deno.test(`labelPool() with force makes an empty pool of used files, ${how} native calls`, async () => {
    await using scratch = await makeQuickScratch();
    const { paths, pool } = await openSmallPool(scratch, 2);
    for (let i = 0; i < 12; i++) {
      await pool.volume().write(pattern(SMALL_CHUNK, i), i * SMALL_CHUNK);
    }
    await pool.close();
    const openDevice = native ? {} : { openDevice: withoutHoles };
    await labelPool({
      ...SMALL,
      name: "new",
      // The other way round: the map is where data were.
      paths: paths.toReversed(),
      force: true,
      ...openDevice,
    });
    assertFreebsd(paths);
    const fresh = await openPool(paths, openDevice);
    assertEquals([fresh.name, fresh.status().mappedChunks], ["new", 0]);
    for (let i = 0; i < 12; i++) {
      await fresh.volume().write(Uint8Array.of(i + 1), i * SMALL_CHUNK);
      const wanted = new Uint8Array(SMALL_CHUNK);
      wanted[0] = i + 1;
      const chunk = await readBytes(
        fresh.volume(),
        i * SMALL_CHUNK,
        SMALL_CHUNK,
      );
      assertEquals(chunk, wanted);
    }
    await fresh.close();
    assertFreebsd(paths);
  });
}

Deno.test("labelPool() makes what is missing and takes what is there", async () => {
  await using scratch = await makeQuickScratch();
  const paths = [scratch.file("new"), makeSparse(scratch.file("old"), 2 * MIB)];
  const { components } = await labelPool({ ...SMALL, paths, createSize: MIB });
  assertEquals(components.map((one) => one.size), [MIB, 2 * MIB]);
  assertEquals(Deno.statSync(scratch.file("new")).size, MIB);
  assertFreebsd(paths);
});

testNatively(
  "labelPool(), clearLabels(), openPool() and Pool.add() refuse components in use and name the holder",
  async () => {
    await using scratch = await makeScratch();
    const { paths, pool } = await openSmallPool(scratch, 2);
    const [, second = ""] = paths;
    const good = makeSparse(scratch.file("good"), MIB);
    await labelPool({
      ...SMALL,
      name: "third",
      paths: [scratch.file("third")],
      createSize: MIB,
    });
    const third = await openPool([scratch.file("third")]);
    const before = new Snapshot([...paths, good]);
    const acts = [
      () => labelPool({ ...SMALL, paths: [good, second], force: true }),
      () => clearLabels([second]),
      () => openPool(paths),
      () => third.add([good, second], { force: true }),
    ];
    for (const act of acts) {
      const holder = `process ${Deno.pid}`;
      await assertRefused(act, "busy", "/c", "in use by", holder);
    }
    assertEquals(before.changed(), []);
    await third.close();
    await pool.close();
    await labelPool({ ...SMALL, paths: [good, second], force: true });
    assertFreebsd([good, second]);
  },
);

Deno.test("openPool() for reading goes together with others that read", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, pool } = await openSmallPool(scratch, 2);
  await assertRefused(() => openPool(paths, { readOnly: true }), "busy");
  await pool.close();
  const one = await openPool(paths, { readOnly: true });
  const other = await openPool(paths, { readOnly: true });
  await assertRefused(() => openPool(paths), "busy");
  await one.close();
  await other.close();
});

Deno.test("clearLabels() takes labels off and leaves all else", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, pool } = await openSmallPool(scratch, 2);
  await pool.volume().write(pattern(100, 1), 0);
  await pool.close();
  const [first = "", second = ""] = paths;
  patchLabel(second, { chunkSize: 1 });
  // Where format 2 has its superblocks, there are data here.
  for (const path of paths) writeAt(path, MIB - 2000, pattern(1000, 7));
  const before = paths.map((path) => Deno.readFileSync(path));
  await assertRefused(() => clearLabels(paths), "exists", first, "-f");
  assertEquals(await clearLabels(paths, { force: true }), [
    { path: first, name: "small" },
    { path: second, name: "" }, // It made no sense.
  ]);
  for (const [i, path] of paths.entries()) {
    const wanted = before[i]?.fill(0, labelOffset(path));
    assertEquals(Deno.readFileSync(path), wanted);
  }
});

Deno.test("clearLabels() clears a file that is given twice", async () => {
  await using scratch = await makeQuickScratch();
  const path = makeSparse(scratch.file("a"), MIB);
  await labelPool({ ...SMALL, paths: [path] });
  await clearLabels([path, path]);
  assert(readSector(path).every((byte) => byte === 0));
});

Deno.test("labelPool() leaves the end of a file behind its last whole sector alone", async () => {
  await using scratch = await makeQuickScratch();
  const path = makeSparse(scratch.file("a"), MIB + 300);
  writeAt(path, MIB, pattern(300, 1));
  await labelPool({ ...SMALL, paths: [path] });
  assertFreebsd([path]);
  await clearLabels([path]);
  const bytes = Deno.readFileSync(path);
  assertEquals(bytes.subarray(MIB), pattern(300, 1));
});
