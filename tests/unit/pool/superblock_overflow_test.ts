/**
 * Goal: a pool lists thousands of volumes and snapshots, and components that
 * list fewer keep working beside those that list more. Method: pools on sparse
 * files; long lists are written into their superblocks while they are stopped.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  checkComponents,
  clearLabels,
  openPool,
  type Pool,
  repairComponents,
} from "../../../pool/mod.ts";
import {
  addSnapshots,
  removeOverflows,
  spoilOverflow,
  superblockOn,
} from "../../helpers/long_superblock.ts";
import {
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertRefused,
  assertSound,
  makeQuickScratch,
  makeSparse,
} from "../../helpers/small_pools.ts";
import { superblockSlots, zeroSlots } from "../../helpers/damage.ts";
import { superblockWriteSize } from "../../../metadata/mod.ts";

/** Bytes of a component whose overflows have 64 KiB each. */
const SIZE = 16 * MIB;
/** More snapshots with names of 255 bytes than a slot alone has room for. */
const MANY = 300;

/** A stopped pool of components of some sizes, without data. */
async function makePool(
  scratch: Scratch,
  ...sizes: number[]
): Promise<string[]> {
  for (const [i, size] of sizes.entries()) {
    makeSparse(scratch.file(`c${i}`), size);
  }
  const { pool, paths } = await openSmallPool(scratch, sizes.length, {
    format: "native",
  });
  await pool.close();
  return paths;
}

function take(pool: Pool, snapshot: string): Promise<void> {
  return pool.snapshotChanges.take([{ volume: "small", snapshot }]);
}

function snapshotsOf(pool: Pool): number {
  return pool.status().volumes[0]?.snapshots.length ?? 0;
}

Deno.test("a pool of components of 64 MiB takes its 4096th snapshot, and lists all when it is opened", async () => {
  await using scratch = await makeQuickScratch();
  const paths = await makePool(scratch, 64 * MIB, 64 * MIB);
  addSnapshots(paths, 4094, 20);
  const pool = await openPool(paths);
  await pool.volume().write(pattern(1000, 1), 0);
  await take(pool, "the-4095th");
  await pool.volume().write(pattern(1000, 2), 0);
  await take(pool, "the-4096th");
  assertEquals(await pool.check(), []);
  await pool.close();
  await assertSound("native", paths);
  const again = await openPool(paths);
  assertEquals(snapshotsOf(again), 4096);
  const disk = again.snapshotDisk("small", "the-4095th");
  assertEquals(await readBytes(disk, 0, 1000), pattern(1000, 1));
  const empty = again.snapshotDisk("small", "7".padStart(20, "s"));
  assertEquals(await readBytes(empty, 0, 1000), new Uint8Array(1000));
  assertEquals(await readBytes(again.volume(), 0, 1000), pattern(1000, 2));
  await again.close();
});

Deno.test("a change writes as much of a superblock as is used, not its overflow", async () => {
  await using scratch = await makeQuickScratch();
  const paths = await makePool(scratch, 512 * MIB);
  assertEquals(superblockOn(paths[0] ?? "").overflowSize, 1280 * 1024);
  assertEquals(superblockWriteSize(superblockOn(paths[0] ?? "")), 4096);
  addSnapshots(paths, MANY, 255);
  const pool = await openPool(paths);
  await take(pool, "one");
  await pool.close();
  assertEquals(superblockWriteSize(superblockOn(paths[0] ?? "")), 21 * 4096);
});

Deno.test("a full superblock refuses a snapshot with one line, and takes one when another is removed", async () => {
  await using scratch = await makeQuickScratch();
  const paths = await makePool(scratch, SIZE, SIZE);
  // 131,072 bytes hold 576 of members and header, 56 of the volume, 44 each.
  addSnapshots(paths, 2963, 20);
  const pool = await openPool(paths);
  await take(pool, "x".repeat(20));
  const before = snapshotsOf(pool);
  const error = await assertRefused(
    () => take(pool, "y".repeat(20)),
    "no-space",
    `Cannot change pool "small", the superblock on "${paths[0]}" is full: ` +
      "its records need 130516 bytes, 130496 fit; remove snapshots or " +
      "volumes first",
  );
  assert(!error.message.includes("others have more room"));
  assertEquals([snapshotsOf(pool), before], [2964, 2964]);
  await pool.volume().write(pattern(1000, 1), 0);
  await pool.snapshotChanges.remove("small", "x".repeat(20));
  await take(pool, "y".repeat(20));
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("a pool without overflows opens and changes, and gets room from larger components", async () => {
  await using scratch = await makeQuickScratch();
  const [old = ""] = await makePool(scratch, SIZE);
  removeOverflows(old);
  addSnapshots([old], 1475, 20);
  const pool = await openPool([old]);
  await pool.volume().write(pattern(1000, 1), 0);
  const added = makeSparse(scratch.file("added"), SIZE);
  await pool.add([added]);
  await assertRefused(
    () => take(pool, "z".repeat(20)),
    "no-space",
    `the superblock on "${old}" is full`,
    "or that component: others have more room",
  );
  await pool.remove([old]);
  await pool.evacuated(old);
  await take(pool, "z".repeat(20));
  assertEquals(await pool.check(), []);
  await pool.close();
  const again = await openPool([added]);
  assertEquals(snapshotsOf(again), 1476);
  assertEquals(await readBytes(again.volume(), 0, 1000), pattern(1000, 1));
  await again.close();
});

Deno.test("a component that is too small for the list of a pool cannot join, and stays as it is", async () => {
  await using scratch = await makeQuickScratch();
  const paths = await makePool(scratch, SIZE);
  addSnapshots(paths, MANY, 255);
  const pool = await openPool(paths);
  const small = makeSparse(scratch.file("small"), MIB);
  Deno.writeFileSync(small, pattern(MIB, 3));
  const message = `Cannot use "${small}": its superblock would be too small ` +
    'for the volumes and snapshots of pool "small" (its records need 83756 ' +
    "bytes, 64960 fit), use a larger file";
  await assertRefused(() => pool.add([small]), "no-space", message);
  assertEquals(Deno.readFileSync(small), pattern(MIB, 3));
  const created = scratch.file("created");
  await assertRefused(
    () => pool.add([created], { createSize: MIB }),
    "no-space",
    `Cannot use "${created}"`,
  );
  assertEquals(pool.status().components.length, 1);
  await pool.close();
});

Deno.test("an overflow that was torn is known, and the other slot counts", async () => {
  await using scratch = await makeQuickScratch();
  const [path = ""] = await makePool(scratch, SIZE);
  addSnapshots([path], MANY, 255);
  const pool = await openPool([path]);
  await take(pool, "newest");
  await pool.close();
  const { generation } = superblockOn(path);
  // The last byte that is used: the name of the last snapshot.
  const last = 512 + 32 + 56 + MANY * 279 + 24 + "newest".length - 1 - 65_536;
  spoilOverflow(path, 0, last);
  if (superblockOn(path).generation === generation) {
    spoilOverflow(path, 0, last);
    spoilOverflow(path, 1, last);
  }
  assertEquals(superblockOn(path).generation, generation - 1);
  const { findings } = await checkComponents([path]);
  assert(findings.some(({ what }) => what.includes("its checksum is wrong")));
  const { refused } = await repairComponents([path]);
  assertEquals(refused, []);
  await assertSound("native", [path]);
  const again = await openPool([path]);
  assertEquals(snapshotsOf(again), MANY + 1);
  await again.close();
});

Deno.test("both superblocks of a component with overflows are rebuilt from the others", async () => {
  for (const size of [SIZE, 8 * MIB]) {
    await using scratch = await makeQuickScratch();
    const paths = await makePool(scratch, SIZE, size);
    const [, lost = ""] = paths;
    const pool = await openPool(paths);
    for (let v = 0; v < 150; v++) {
      await pool.volume().write(pattern(1000, v), v * SMALL_CHUNK);
    }
    await take(pool, "one");
    await pool.close();
    const before = superblockOn(lost);
    assertEquals(before.overflowSize, size === SIZE ? 65_536 : undefined);
    zeroSlots(superblockSlots(lost));
    const { repaired, refused } = await repairComponents(paths);
    assertEquals([repaired.length, refused], [1, []]);
    assertEquals(superblockOn(lost).overflowSize, before.overflowSize);
    const again = await openPool(paths);
    for (let v = 0; v < 150; v++) {
      const bytes = await readBytes(again.volume(), v * SMALL_CHUNK, 1000);
      assertEquals(bytes, pattern(1000, v));
    }
    await again.close();
    await assertSound("native", paths);
  }
});

Deno.test("a component with a long superblock that was extended is known, and can be cleared", async () => {
  await using scratch = await makeQuickScratch();
  const [path = ""] = await makePool(scratch, SIZE);
  addSnapshots([path], MANY, 255);
  Deno.truncateSync(path, SIZE + 16_384);
  await assertRefused(
    () => openPool([path]),
    "not-found",
    "the file is 16384 bytes longer than its label says",
  );
  Deno.truncateSync(path, SIZE);
  const pool = await openPool([path]);
  assertEquals(snapshotsOf(pool), MANY);
  await pool.close();
  await clearLabels([path]);
  await assertRefused(() => openPool([path]), "not-found", "no label");
});
