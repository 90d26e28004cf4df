/**
 * Goal: a repair puts right what can be put right without guessing, and
 * nothing else. It needs no free chunk, and says before what it will do.
 *
 * Method: everything that can happen to a stopped pool, made in its bytes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  checkComponents,
  labelPool,
  openPool,
  repairComponents,
  type RepairReport,
} from "../../../pool/mod.ts";
import { writeAt } from "../../helpers/freebsd_raw.ts";
import {
  pageSlots,
  resizeComponent,
  rewriteSuperblock,
  spoilSlots,
  superblockSlots,
} from "../../helpers/damage.ts";
import { DAMAGE_KINDS, type DamageKind } from "../../helpers/damage_kinds.ts";
import {
  assertOpens,
  kindsOf,
  makeDamageSample,
} from "../../helpers/damage_sample.ts";
import {
  componentSize,
  KIB,
  openSmallPool,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  assertRefused,
  assertSound,
  type Content,
  makeQuickScratch,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot, StoppingFiles } from "../../helpers/stopping_device.ts";

/** What a report says, in short. */
function inShort({ repaired, refused }: RepairReport): string[][] {
  return [kindsOf(repaired), kindsOf(refused)];
}

/** What a repair should say. */
function wantedOf(kind: DamageKind): [repaired: string[], refused: string[]] {
  if (kind.repair === "nothing") return [[], []];
  if (kind.repair === "done") return [[...kind.repaired ?? kind.findings], []];
  const isWriters = kind.findings.every((one) => one.endsWith("notice"));
  return [[], isWriters ? ["unreadable damage"] : [...kind.findings]];
}

async function testRepair(kind: DamageKind, full: boolean): Promise<void> {
  await using scratch = await makeQuickScratch();
  const sample = await makeDamageSample(scratch, { full });
  const made = await kind.make(sample) ?? {};
  const { paths = sample.paths, disk = sample.disk } = made;
  const before = new Snapshot(paths);
  const wanted = wantedOf(kind);
  const dry = await repairComponents(paths, { dryRun: true });
  assertEquals(inShort(dry), wanted);
  assertEquals(before.changed(), []);
  const done = await repairComponents(paths);
  assertEquals(inShort(done), wanted);
  for (const { what } of done.refused) {
    assert(/^[A-Z][^\n]*[^.\n]$/.test(what), what);
  }
  if (kind.repair !== "done") {
    assertEquals(before.changed(), []);
    return;
  }
  assertEquals(done.name, "demo");
  assertEquals((await checkComponents(paths)).findings, []);
  const after = new Snapshot(paths);
  assertEquals(inShort(await repairComponents(paths)), [[], []]);
  assertEquals(after.changed(), []);
  await assertOpens(paths, disk);
  assertEquals((await checkComponents(paths)).findings, []);
}

for (const kind of DAMAGE_KINDS) {
  const does = {
    nothing: "has nothing to do",
    done: "puts right",
    refused: "refuses to guess",
  }[kind.repair];
  Deno.test(`repairComponents() ${does}: ${kind.name}`, async () => {
    for (const full of [false, true]) await testRepair(kind, full);
  });
}

Deno.test("repairComponents() puts right what a killed process left, and tells before", async () => {
  await using scratch = await makeQuickScratch();
  const { paths, disk } = await makeDamageSample(scratch, { killed: true });
  spoilSlots(superblockSlots(paths[1]));
  spoilSlots([pageSlots(paths[0], 0)[2]]);
  const before = new Snapshot(paths);
  const dry = await repairComponents(paths, { dryRun: true });
  // What else there is shows once the superblocks are there.
  assertEquals(inShort(dry), [["unreadable notice"], []]);
  assertEquals(before.changed(), []);
  const done = await repairComponents(paths);
  assertEquals(inShort(done), [["unreadable notice", "unsound notice"], []]);
  assertEquals((await checkComponents(paths)).findings, []);
  await assertOpens(paths, disk);
});

Deno.test("repairComponents() writes nothing but lost superblocks as long as something is refused", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeDamageSample(scratch);
  const [a, b, c] = paths;
  spoilSlots(pageSlots(a, 0));
  spoilSlots([pageSlots(b, 0)[0]]);
  const before = new Snapshot(paths);
  const report = await repairComponents(paths);
  assertEquals(inShort(report), [[], ["lost-page damage"]]);
  assertEquals(before.changed(), []);
  spoilSlots(superblockSlots(c));
  const again = await repairComponents(paths);
  assertEquals(inShort(again), [["unreadable notice"], ["lost-page damage"]]);
  assertEquals(before.changed(), [c]);
});

Deno.test("repairComponents() takes no component for another one whose table is blank, or that is of another size", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeDamageSample(scratch);
  const [a, , , d] = paths;
  const sound = new Snapshot(paths);
  // Nothing on it names the component.
  spoilSlots(superblockSlots(d));
  const blank = new Snapshot(paths);
  const report = await repairComponents(paths);
  assertEquals(inShort(report), [[], ["missing damage"]]);
  assertEquals(blank.changed(), []);
  sound.restore();
  // Its table may be anywhere.
  spoilSlots(superblockSlots(a));
  resizeComponent(a, 4096);
  const moved = new Snapshot(paths);
  assertEquals(inShort(await repairComponents(paths)), [
    [],
    ["missing damage"],
  ]);
  assertEquals(moved.changed(), []);
});

/** A stopped pool whose components have some pages to spare. */
async function makeRoomyPool(
  { file }: Scratch,
): Promise<{ paths: string[]; content: Content }> {
  const paths = ["a", "b"].map(file);
  await labelPool({
    name: "roomy",
    paths,
    createSize: componentSize("native", 4) + 64 * KIB,
    chunkSize: SMALL_CHUNK,
    virtualSize: 64 * SMALL_CHUNK,
  });
  const content: Content = new Map();
  const pool = await openPool(paths);
  for (const v of [1, 4, 9]) await writeChunk(pool, content, v);
  await pool.close();
  return { paths, content };
}

Deno.test("repairComponents() does not take a component that was cut or extended by a few pages for a whole one", async () => {
  for (const bytes of [-8192, -4096, 4096, 8192]) {
    await using scratch = await makeQuickScratch();
    const { paths, content } = await makeRoomyPool(scratch);
    const [path = ""] = paths;
    resizeComponent(path, bytes);
    const before = new Snapshot(paths);
    const report = await repairComponents(paths);
    assertEquals(inShort(report), [[], ["missing damage"]]);
    assertEquals(before.changed(), []);
    resizeComponent(path, -bytes);
    if (bytes < 0) continue;
    // As it was, it is sound.
    const pool = await openPool(paths);
    await assertContent(pool, content);
    await pool.close();
  }
});

Deno.test("repairComponents() that is interrupted anywhere leaves what another one puts right", async () => {
  await using scratch = await makeQuickScratch();
  const sample = await makeDamageSample(scratch, { full: true });
  const { paths, disk } = sample;
  spoilSlots(superblockSlots(paths[2]));
  spoilSlots([pageSlots(paths[0], 0)[0]]);
  rewriteSuperblock(superblockSlots(paths[1])[1], { version: 3 });
  const damaged = new Snapshot(paths);
  let isDone = false;
  for (let writes = 0; !isDone; writes++) {
    damaged.restore();
    const files = new StoppingFiles();
    files.stopAfter(writes);
    try {
      await repairComponents(paths, { openDevice: files.open });
      isDone = true;
    } catch {
      assert(files.isStopped, "it fails because it was stopped");
    }
    await files.closeAll();
    files.powerCut(() => writes % 2 === 0);
    await repairComponents(paths);
    assertEquals((await checkComponents(paths)).findings, []);
    await assertOpens(paths, disk);
  }
});

Deno.test("repairComponents() refuses a pool that is open", async () => {
  await using scratch = await makeQuickScratch();
  const { paths } = await makeDamageSample(scratch);
  await using _pool = await openPool(paths);
  for (const dryRun of [true, false]) {
    await assertRefused(() => repairComponents(paths, { dryRun }), "busy");
  }
});

Deno.test("repairComponents() closes a gap in a pool of format 1, and does not guess what a missing component held", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2);
  const content: Content = new Map();
  for (const v of [0, 2]) await writeChunk(pool, content, v);
  await pool.close();
  const [first = "", second = ""] = paths;
  // The map entry of virtual chunk 0 did not reach the disk.
  writeAt(first, 0, new Uint8Array(8));
  content.delete(0);
  const before = new Snapshot(paths);
  const dry = await repairComponents(paths, { dryRun: true });
  assertEquals(inShort(dry), [["gap notice"], []]);
  assertEquals(before.changed(), []);
  assertEquals(inShort(await repairComponents(paths)), inShort(dry));
  await assertSound("freebsd", paths);
  assertEquals(inShort(await repairComponents(paths)), [[], []]);
  const again = await openPool(paths);
  await assertContent(again, content);
  await again.close();
  const missing = await repairComponents([second]);
  assertEquals(inShort(missing), [[], ["missing damage"]]);
});
