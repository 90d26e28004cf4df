/**
 * Goal: pools that FreeBSD's own `add` has grown open, also where the new
 * component is whole chunks, so that the last one covers the label; and those on
 * disks of 4096-byte sectors. FreeBSD can go on with them afterwards.
 *
 * Method: the labels as FreeBSD's code writes them, made in the bytes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  checkComponents,
  openPool,
  readLabel,
  repairComponents,
} from "../../../pool/mod.ts";
import { assertFreebsd, checkFreebsd } from "../../helpers/freebsd_checker.ts";
import {
  entryBytes,
  labelSector,
  patchLabel,
  putFields,
  readAt,
  readEntries,
  readRawLabel,
  takeFields,
  writeAt,
  writeEntry,
} from "../../helpers/freebsd_raw.ts";
import {
  MIB,
  openSmallPool,
  pattern,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  chunkBytes,
  type Content,
  makeQuickScratch,
  makeSparse,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot, StoppingFiles } from "../../helpers/stopping_device.ts";

/** Chunks of the component that FreeBSD added; all of it. */
const GROWN_CHUNKS = 8;

interface Grown {
  readonly paths: string[];
  readonly content: Content;
  readonly grown: string;
}

/** A pool of c0, with 3 of its 5 chunks in use, to which FreeBSD added one. */
async function makeGrown(scratch: Scratch): Promise<Grown> {
  const { pool, paths: [first = ""] } = await openSmallPool(scratch, 1);
  const content: Content = new Map();
  for (const v of [4, 5, 6]) await writeChunk(pool, content, v);
  await pool.close();
  const grown = freebsdAdd(scratch, first, "grown");
  return { paths: [first, grown], content, grown };
}

/** What FreeBSD's `add` does: no sector is kept free, the flags are any. */
function freebsdAdd(scratch: Scratch, first: string, name: string): string {
  const size = GROWN_CHUNKS * SMALL_CHUNK;
  const path = makeSparse(scratch.file(name), size);
  const label = readRawLabel(first);
  const count = label.count + 1;
  patchLabel(first, { count });
  const sector = labelSector({
    ...label,
    count,
    index: label.count,
    componentSize: size,
    chunkCount: GROWN_CHUNKS,
    chunkNext: 0,
    chunkReserved: 0,
    flags: 0x5a00,
  });
  // It leaves old memory there.
  sector.fill(0xcd, 92);
  writeAt(path, size - sector.length, sector);
  return path;
}

Deno.test("a pool grown by FreeBSD's add opens, and the chunk over the label is never used", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content, grown } = await makeGrown(scratch);
  const before = new Snapshot(paths);
  const { findings } = await checkComponents(paths);
  assertEquals(
    findings.map(({ kind, severity, where }) => [kind, severity, where]),
    [["covered", "notice", grown]],
  );
  const reader = await openPool(paths, { readOnly: true });
  await assertContent(reader, content);
  assertEquals(reader.status().freeChunks, 2 + GROWN_CHUNKS - 1);
  await reader.close();
  assertEquals(before.changed(), []);
  const pool = await openPool(paths, { onFull: "error" });
  for (let v = 10; v < 19; v++) await writeChunk(pool, content, v);
  await assertRefused(
    async () => await pool.volume().write(new Uint8Array(1), 30 * SMALL_CHUNK),
    "no-space",
  );
  // The next component is used although the one before it has a chunk left.
  const more = scratch.file("more");
  await pool.add([more], { createSize: MIB });
  for (let v = 20; v < 23; v++) await writeChunk(pool, content, v);
  assertEquals(await pool.check(), []);
  await pool.close();
  assertFreebsd([...paths, more]);
  assertEquals(readRawLabel(grown).componentSize, GROWN_CHUNKS * SMALL_CHUNK);
  const again = await openPool([...paths, more]);
  await assertContent(again, content);
  await again.close();
  assertEquals((await checkComponents([...paths, more])).findings, []);
});

Deno.test("FreeBSD's unallocated entries for the chunk over the label do not outlive it", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content } = await makeGrown(scratch);
  const [first = ""] = paths;
  const left = { flags: 0, component: 1, chunk: GROWN_CHUNKS - 1 };
  writeEntry(first, 50, left);
  assertEquals(readEntries(first, 1, 50), [left]);
  const start = new Snapshot(paths);
  let isDone = false;
  for (let count = 0; !isDone; count++) {
    for (const keeps of [() => true, () => false]) {
      start.restore();
      const files = new StoppingFiles();
      files.stopAfter(count);
      try {
        const pool = await openPool(paths, { openDevice: files.open });
        await pool.close();
        isDone = true;
      } catch {
        assert(files.isStopped);
      }
      await files.closeAll();
      files.powerCut(keeps);
      const pool = await openPool(paths);
      await assertContent(pool, content);
      await pool.close();
      assertFreebsd(paths);
    }
  }
});

Deno.test("a pool with data in the chunk over the label opens read-only, and says why", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content, grown } = await makeGrown(scratch);
  const [first = ""] = paths;
  // FreeBSD fills c0, then all of the new one.
  const places = [
    ...[5, 6].map((chunk) => ({ component: 0, chunk })),
    ...Array.from({ length: GROWN_CHUNKS }, (_, chunk) => ({
      component: 1,
      chunk,
    })),
  ];
  patchLabel(first, { chunkNext: 7 });
  patchLabel(grown, { chunkNext: 8 });
  for (const [i, { component, chunk }] of places.entries()) {
    const v = 20 + i;
    const bytes = chunkBytes(v).slice();
    const path = paths[component] ?? "";
    if (component === 1 && chunk === GROWN_CHUNKS - 1) {
      // It writes the label anew when it stops.
      bytes.set(
        readAt(grown, (chunk + 1) * SMALL_CHUNK - 512, 512),
        bytes.length - 512,
      );
    }
    writeAt(path, chunk * SMALL_CHUNK, bytes);
    writeAt(first, v * 8, entryBytes([{ flags: 1, component, chunk }]));
    content.set(v, bytes);
  }
  const before = new Snapshot(paths);
  const last = 20 + places.length - 1;
  for (const readOnly of [false, true]) {
    const pool = await openPool(paths, { readOnly });
    await assertContent(pool, content);
    const { readOnly: isReader, warnings, freeChunks } = pool.status();
    assertEquals([isReader, freeChunks], [true, 0]);
    assertEquals(pool.volume().capabilities.readOnly, true);
    for (
      const part of [`"${grown}"`, "label", "512", `virtual chunk ${last}`]
    ) {
      assert(warnings[0]?.includes(part), warnings[0]);
    }
    for (
      const act of [
        async () => await pool.volume().write(pattern(10, 1), 0),
        () => pool.add([scratch.file("new")], { createSize: MIB }),
      ]
    ) {
      await assertRefused(act, "read-only", `virtual chunk ${last}`);
    }
    await pool.close();
  }
  const { findings } = await checkComponents(paths);
  assertEquals(
    findings.map(({ kind, severity, where }) => [kind, severity, where]),
    [["covered", "damage", grown]],
  );
  const { refused } = await repairComponents(paths);
  assertEquals(refused.map(({ kind }) => kind), ["covered"]);
  assertEquals(before.changed(), []);
});

/** Makes labels those of disks of 4096-byte sectors. */
function to4096(path: string, changes: Record<string, number> = {}): void {
  const { size } = Deno.statSync(path);
  const sector = readAt(path, size - 512, 512);
  const bytes = new Uint8Array(4096);
  bytes.set(sector);
  putFields(bytes, changes);
  bytes.fill(0xee, 92);
  writeAt(path, size - 4096, bytes);
}

function label4096(path: string): ReturnType<typeof takeFields> {
  return takeFields(readAt(path, Deno.statSync(path).size - 4096, 512));
}

Deno.test("labels of disks of 4096-byte sectors are found, and written where they are", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2);
  const content: Content = new Map();
  for (const v of [4, 5]) await writeChunk(pool, content, v);
  await pool.close();
  for (const path of paths) to4096(path);
  const [a = "", b = ""] = paths;
  const { format, ...label } = readLabel(b);
  const found: Record<string, unknown> = { ...label };
  assertEquals([format, found], ["freebsd", labelOf(b)]);
  const again = await openPool(paths);
  await assertContent(again, content);
  for (let v = 10; v < 20; v++) await writeChunk(again, content, v);
  assertEquals(await again.check(), []);
  await again.close();
  assertEquals(label4096(a).flags, 1);
  assertEquals([label4096(b).flags, label4096(b).chunkNext], [3, 7]);
  assertFreebsd(paths, { sectorSize: 4096 });
  const last = await openPool(paths);
  await assertContent(last, content);
  // Another one, of a file, joins as usual.
  const c = scratch.file("c");
  await last.add([c], { createSize: MIB });
  await writeChunk(last, content, 30);
  await last.close();
  assertEquals(label4096(a).count, 3);
  const all = await openPool([...paths, c]);
  await assertContent(all, content);
  await all.close();
});

/** Without what every label has. */
function labelOf(path: string): Partial<ReturnType<typeof label4096>> {
  const { magic: _magic, version: _version, ...label } = label4096(path);
  return label;
}

Deno.test("a component of 4096-byte sectors that FreeBSD has added keeps its last sector, and its label is wiped when it leaves", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, content, grown } = await makeGrown(scratch);
  to4096(grown);
  const pool = await openPool(paths);
  assertEquals(pool.status().freeChunks, 2 + GROWN_CHUNKS - 1);
  await pool.close();
  assertEquals(label4096(grown).chunkCount, GROWN_CHUNKS - 1);
  const again = await openPool(paths);
  await again.remove([grown]);
  await assertContent(again, content);
  await again.close();
  await assertRefused(() => openPool([grown]), "not-found", "no label");
});

Deno.test("a label of an unsound count is refused, and the checker finds a chunk over the label", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, grown } = await makeGrown(scratch);
  assert(checkFreebsd(paths, { ours: false })[0]?.includes("cover the label"));
  patchLabel(grown, { chunkCount: GROWN_CHUNKS + 1 });
  await assertRefused(() => openPool(paths), "corrupt", "counts 9 chunks");
});
