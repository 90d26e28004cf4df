/**
 * Golden files both ways: pools made byte by byte from the tables are opened
 * and read, and pools made here decode by the tables to exactly what they
 * should be. And the checker that all tests of format 1 rely on finds what it
 * should.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { labelPool, openPool, readLabel } from "../../../pool/mod.ts";
import { assertFreebsd, checkFreebsd } from "../../helpers/freebsd_checker.ts";
import {
  entryBytes,
  labelOffset,
  labelSector,
  patchLabel,
  type RawEntry,
  type RawLabel,
  readAt,
  readEntries,
  readRawLabel,
  readSector,
  writeAt,
  writeEntry,
} from "../../helpers/freebsd_raw.ts";
import {
  KIB,
  makeScratch,
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { makeQuickScratch, makeSparse } from "../../helpers/small_pools.ts";
import { Snapshot } from "../../helpers/stopping_device.ts";

/** A chunk size that FreeBSD accepts, though not in its label command. */
const CHUNK = 4 * KIB;
const VIRTUAL_CHUNKS = 128;
const SIZES = [10 * CHUNK + 512, 8 * CHUNK + 1024 + 100, 6 * CHUNK + 512];

/** Where some virtual chunks are: all of component 0, some of component 1. */
const MAPPED: readonly (readonly [number, number, number])[] = [
  [127, 0, 2],
  [0, 0, 3],
  [64, 0, 9],
  [3, 0, 4],
  [2, 0, 5],
  [1, 0, 6],
  [100, 0, 8],
  [99, 0, 7],
  [63, 1, 1],
  [5, 1, 0],
];

function goldenLabel(index: number, fields: Partial<RawLabel>): RawLabel {
  const size = SIZES[index] ?? 0;
  return {
    magic: "GEOM::VIRSTOR",
    version: 1,
    name: "golden",
    virtualSize: VIRTUAL_CHUNKS * CHUNK,
    chunkSize: CHUNK,
    id: 0xdeadbeef,
    count: 3,
    hardcodedName: "",
    index,
    componentSize: size - size % 512,
    chunkCount: Math.floor((size - 512) / CHUNK),
    chunkNext: 0,
    chunkReserved: 0,
    flags: 0,
    ...fields,
  };
}

/** Writes a pool as FreeBSD would have left it. */
function makeGolden(scratch: Scratch, junk: number): string[] {
  const labels = [
    goldenLabel(0, { chunkNext: 10, chunkReserved: 2, flags: 1 }),
    goldenLabel(1, { chunkNext: 2, flags: 3 }),
    goldenLabel(2, {}),
  ];
  const paths = labels.map((label, i) => {
    const path = makeSparse(scratch.file(`da${i}`), SIZES[i] ?? 0);
    const sector = labelSector(label);
    // FreeBSD leaves old memory there.
    sector.fill(junk, 92);
    writeAt(path, labelOffset(path), sector);
    return path;
  });
  const entries: RawEntry[] = Array.from(
    { length: VIRTUAL_CHUNKS },
    () => ({ flags: 0, component: 0, chunk: 0 }),
  );
  for (const [virtualChunk, component, chunk] of MAPPED) {
    entries[virtualChunk] = { flags: 1, component, chunk };
    const bytes = pattern(CHUNK, virtualChunk);
    writeAt(paths[component] ?? "", chunk * CHUNK, bytes);
  }
  writeAt(paths[0] ?? "", 0, entryBytes(entries));
  return paths;
}

for (const junk of [0, 0xa5]) {
  Deno.test(`openPool() reads a pool made from the tables, with ${junk} after its labels`, async () => {
    await using scratch = await makeQuickScratch();
    const paths = makeGolden(scratch, junk);
    assertFreebsd(paths, { ours: junk === 0 });
    assertEquals(readLabel(paths[1] ?? ""), {
      format: "freebsd",
      name: "golden",
      id: 0xdeadbeef,
      virtualSize: 512 * KIB,
      chunkSize: CHUNK,
      count: 3,
      index: 1,
      hardcodedName: "",
      componentSize: 8 * CHUNK + 1024,
      chunkCount: 8,
      chunkNext: 2,
      chunkReserved: 0,
      flags: 3,
    });
    const before = new Snapshot(paths);
    const pool = await openPool(paths);
    assertEquals([pool.name, pool.id], ["golden", "3735928559"]);
    assertEquals(pool.volume().size, 512 * KIB);
    const { mappedChunks, usedChunks, freeChunks } = pool.status();
    assertEquals([mappedChunks, usedChunks, freeChunks], [10, 10, 12]);
    const mapped = new Set(MAPPED.map(([virtualChunk]) => virtualChunk));
    for (let v = 0; v < VIRTUAL_CHUNKS; v++) {
      assertEquals(
        await readBytes(pool.volume(), v * CHUNK, CHUNK),
        mapped.has(v) ? pattern(CHUNK, v) : new Uint8Array(CHUNK),
      );
    }
    await pool.close();
    // What is right already is not written, so what follows labels stays.
    assertEquals(before.changed(), []);
    assertFreebsd(paths, { ours: false });
  });
}

Deno.test("openPool() goes on where a pool made from the tables ends", async () => {
  await using scratch = await makeQuickScratch();
  const paths = makeGolden(scratch, 0xa5);
  const before = readEntries(paths[0] ?? "", VIRTUAL_CHUNKS);
  const pool = await openPool(paths);
  for (let i = 0; i < 8; i++) {
    await pool.volume().write(pattern(CHUNK, 500 + i), (10 + i) * CHUNK);
  }
  await pool.close();
  const now = readEntries(paths[0] ?? "", VIRTUAL_CHUNKS);
  const wanted = before.slice();
  for (let i = 0; i < 8; i++) {
    // Six more on component 1, then two on component 2.
    wanted[10 + i] = i < 6
      ? { flags: 1, component: 1, chunk: 2 + i }
      : { flags: 1, component: 2, chunk: i - 6 };
  }
  assertEquals(now, wanted);
  assertEquals(
    readRawLabel(paths[1] ?? ""),
    goldenLabel(1, { chunkNext: 8, flags: 1 }),
  );
  assertEquals(
    readRawLabel(paths[2] ?? ""),
    goldenLabel(2, { chunkNext: 2, flags: 3 }),
  );
  // Those were written by us: nothing of the old memory is left.
  for (const path of paths.slice(1)) {
    assert(readSector(path).subarray(92).every((byte) => byte === 0));
  }
  assertFreebsd(paths, { ours: false });
});

Deno.test("labelPool() writes exactly the labels of the tables and an empty map", async () => {
  await using scratch = await makeQuickScratch();
  const sizes = [MIB, 2 * MIB + 100, 5 * SMALL_CHUNK + 512];
  const paths = sizes.map((size, i) => {
    const path = makeSparse(scratch.file(`c${i}`), size);
    // What was there must not be taken for the map.
    writeAt(path, 0, pattern(size, i));
    return path;
  });
  const { id } = await labelPool({
    name: "demo",
    format: "freebsd",
    paths,
    chunkSize: SMALL_CHUNK,
    virtualSize: 128 * SMALL_CHUNK,
  });
  const shared = {
    magic: "GEOM::VIRSTOR",
    version: 1,
    name: "demo",
    virtualSize: 128 * SMALL_CHUNK,
    chunkSize: SMALL_CHUNK,
    id: Number(id),
    count: 3,
    hardcodedName: "",
  };
  const wanted: RawLabel[] = [
    {
      ...shared,
      index: 0,
      componentSize: MIB,
      chunkCount: 7,
      chunkNext: 2,
      chunkReserved: 2,
      flags: 3,
    },
    {
      ...shared,
      index: 1,
      componentSize: 2 * MIB,
      chunkCount: 15,
      chunkNext: 0,
      chunkReserved: 0,
      flags: 0,
    },
    {
      ...shared,
      index: 2,
      componentSize: 5 * SMALL_CHUNK + 512,
      chunkCount: 5,
      chunkNext: 0,
      chunkReserved: 0,
      flags: 0,
    },
  ];
  for (const [i, path] of paths.entries()) {
    assertEquals(readSector(path), labelSector(wanted[i] ?? raise()));
  }
  assertEquals(readAt(paths[0] ?? "", 0, 1024), new Uint8Array(1024));
  assertFreebsd(paths);
});

Deno.test("Pool.close() leaves exactly the labels and the map of the tables", async () => {
  await using scratch = await makeScratch();
  const { paths, pool } = await openSmallPool(scratch, 3);
  // Out of order, over the end of component 0, each in a different way.
  const order = [500, 3, 2, 511, 0, 77, 78];
  for (const v of order) {
    await pool.volume().write(pattern(100, v), v * SMALL_CHUNK);
  }
  const spanning = pattern(2 * SMALL_CHUNK, 1);
  await pool.volume().write(spanning, 200 * SMALL_CHUNK + 512);
  await pool.volume().write(pattern(10, 2), 2 * SMALL_CHUNK);
  await pool.volume().writeZeroes(300 * SMALL_CHUNK, SMALL_CHUNK, {
    noHole: true,
  });
  await pool.volume().writeZeroes(301 * SMALL_CHUNK, SMALL_CHUNK);
  pool.volume().discard(77 * SMALL_CHUNK, SMALL_CHUNK);
  const { id } = pool;
  await pool.close();
  const entries: RawEntry[] = Array.from(
    { length: 512 },
    () => ({ flags: 0, component: 0, chunk: 0 }),
  );
  const all = [...order, 200, 201, 202, 300];
  for (const [i, v] of all.entries()) {
    entries[v] = i < 5
      ? { flags: 1, component: 0, chunk: 2 + i }
      : { flags: 1, component: 1, chunk: i - 5 };
  }
  const [first = "", second = "", third = ""] = paths;
  assertEquals(readEntries(first, 512), entries);
  const label: RawLabel = {
    magic: "GEOM::VIRSTOR",
    version: 1,
    name: "small",
    virtualSize: 64 * MIB,
    chunkSize: SMALL_CHUNK,
    id: Number(id),
    count: 3,
    hardcodedName: "",
    index: 0,
    componentSize: MIB,
    chunkCount: 7,
    chunkNext: 7,
    chunkReserved: 2,
    flags: 1,
  };
  const other = { ...label, chunkReserved: 0 };
  assertEquals(readSector(first), labelSector(label));
  assertEquals(
    readSector(second),
    labelSector({ ...other, index: 1, chunkNext: 6, flags: 3 }),
  );
  assertEquals(
    readSector(third),
    labelSector({ ...other, index: 2, chunkNext: 0, flags: 0 }),
  );
  // The data are where the map says, and the rest of a chunk is zeroes.
  const chunk = readAt(second, 1 * SMALL_CHUNK, SMALL_CHUNK);
  const wanted = new Uint8Array(SMALL_CHUNK);
  wanted.set(pattern(100, 78));
  assertEquals(chunk, wanted);
  assertEquals(
    readAt(second, 2 * SMALL_CHUNK + 512, SMALL_CHUNK - 512),
    spanning.subarray(0, SMALL_CHUNK - 512),
  );
  assertFreebsd(paths);
});

Deno.test("labelPool() writes the file names into the labels with hardcode", async () => {
  await using scratch = await makeQuickScratch();
  const paths = ["first.img", "15-letters-long"].map((name) =>
    makeSparse(scratch.file(name), MIB)
  );
  await labelPool({
    name: "demo",
    format: "freebsd",
    paths,
    chunkSize: SMALL_CHUNK,
    virtualSize: 64 * SMALL_CHUNK,
    hardcode: true,
  });
  assertEquals(
    paths.map((path) => readRawLabel(path).hardcodedName),
    ["first.img", "15-letters-long"],
  );
  assertFreebsd(paths);
});

Deno.test("Pool.add() writes labels with nothing left to chance", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, pool } = await openSmallPool(scratch, 1);
  const added = [scratch.file("x"), scratch.file("y")];
  for (const path of added) {
    makeSparse(path, 5 * SMALL_CHUNK + 512);
    writeAt(path, 0, pattern(5 * SMALL_CHUNK + 512, 9));
  }
  await pool.add(added);
  const { id } = pool;
  await pool.close();
  for (const [i, path] of added.entries()) {
    const label = {
      magic: "GEOM::VIRSTOR",
      version: 1,
      name: "small",
      virtualSize: 64 * MIB,
      chunkSize: SMALL_CHUNK,
      id: Number(id),
      count: 3,
      hardcodedName: "",
      index: 1 + i,
      componentSize: 5 * SMALL_CHUNK + 512,
      chunkCount: 5,
      chunkNext: 0,
      chunkReserved: 0,
      flags: 0,
    };
    assertEquals(readSector(path), labelSector(label));
  }
  assertFreebsd([...paths, ...added]);
});

function raise(): never {
  throw new Error("There is no such label");
}

/** What the checker says of a golden pool after some damage. */
async function checkAfter(damage: (paths: string[]) => void): Promise<string> {
  await using scratch = await makeQuickScratch();
  const paths = makeGolden(scratch, 0);
  damage(paths);
  return checkFreebsd(paths).join("\n").replaceAll(`${scratch.path}/`, "");
}

Deno.test("checkFreebsd() finds what FreeBSD would trip over", async () => {
  const entry =
    (v: number, ...[flags, component, chunk]: number[]) =>
    ([first = ""]: string[]) =>
      writeEntry(first, v, {
        flags: flags ?? 0,
        component: component ?? 0,
        chunk: chunk ?? 0,
      });
  const label = (i: number, fields: Partial<RawLabel>) => (paths: string[]) =>
    patchLabel(paths[i] ?? "", fields);
  const cases: [(paths: string[]) => void, string][] = [
    [label(1, { magic: "GEOM::STRIPE" }), 'da1: the magic is "GEOM::STRIPE"'],
    [label(1, { version: 2 }), "da1: the version is 2"],
    [label(1, { name: "other" }), "da1: its name is other"],
    [label(1, { id: 7 }), "da1: its id is 7"],
    [label(1, { count: 4 }), "da1: its count is 4"],
    [label(1, { index: 3 }), "da1: no 3 of 3"],
    [label(1, { index: 2 }), "component 2 as is"],
    [label(1, { componentSize: 512 }), "da1: provsize is 512"],
    [label(1, { chunkCount: 9 }), "da1: 9 chunks cover the label"],
    [label(1, { virtualSize: 64 * CHUNK }), "da1: its virtualSize"],
    [label(1, { virtualSize: 32 * CHUNK }), "not whole map sectors"],
    [label(1, { chunkReserved: 1, chunkNext: 1 }), "component 1 reserves 1"],
    [label(0, { chunkReserved: 0 }), "component 0 reserves 0 chunks"],
    [label(1, { flags: 0xa5a4 }), "da1: the flags are"],
    [label(1, { chunkNext: 99 }), "da1: chunk_next is 99"],
    [entry(7, 1, 3, 0), "the entry of 7 names component 3 of 3"],
    [entry(7, 0, 3, 0), "the entry of 7 names component 3 of 3"],
    [entry(7, 0, 2, 6), "the entry of 7 names chunk 6 of 6"],
    [entry(7, 1, 1, 1), "names chunk 1 of component 1 again"],
    [entry(7, 1, 1, 3), "component 1: its 3 chunks in use are not dense, 2"],
    [entry(7, 1, 2, 0), "component 2 is in use, component 1 is not full"],
    [entry(3, 0, 0, 0), "component 1 is in use, component 0 is not full"],
    [label(1, { chunkNext: 8 }), "would allocate on component 2, the next"],
    [(paths) => Deno.truncateSync(paths[1] ?? "", 8 * CHUNK), "da1: the magic"],
    [(paths) => paths.pop(), "component 2 is missing"],
    [
      ([, second = ""]) =>
        writeAt(second, labelOffset(second) + 100, Uint8Array.of(1)),
      "da1: something follows the label",
    ],
  ];
  assertEquals(await checkAfter(() => {}), "");
  // The one before the real one may be shown: FreeBSD steps on once.
  assertEquals(await checkAfter(label(0, { chunkNext: 2 })), "");
  for (const [damage, what] of cases) {
    const found = await checkAfter(damage);
    assert(found.includes(what), `"${found}" should contain "${what}"`);
  }
});
