/**
 * Goal: a chunk that `virstor:changed:NAME` reports as unchanged is the same,
 * byte for byte, as in snapshot NAME; whatever was written, discarded, zeroed,
 * rolled back, cloned or resized in between. Method: random steps on a small
 * pool, with every context held against the bytes that the disks read.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  CHANGED,
  openPool,
  type Pool,
  type SnapshotDisk,
  type StatusContext,
  type Volume,
} from "../../../pool/mod.ts";
import {
  openSmallPool,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  chunkBytes,
  makeQuickScratch,
  randomOf,
} from "../../helpers/small_pools.ts";

const SIZE = SMALL_CHUNK;

function contextsOf(disk: Volume | SnapshotDisk): StatusContext[] {
  return disk.contextFamilies.flatMap((family) => [...family.contexts()]);
}

function ask(
  disk: Volume | SnapshotDisk,
  snapshot: string,
  [offset, length, limit = Infinity]: [number, number, number?],
): [number, number][] | undefined {
  const name = `virstor:changed:${snapshot}`;
  const context = contextsOf(disk).find((one) => one.name === name);
  return context?.status(offset, length, limit)
    .map((run) => [run.length, run.flags]);
}

/** The flag of each chunk; asks until the whole disk is described. */
function flagsOf(disk: Volume | SnapshotDisk, snapshot: string): number[] {
  const flags: number[] = [];
  for (let at = 0; at < disk.size;) {
    const runs = ask(disk, snapshot, [at, disk.size - at]) ?? [];
    assert(runs.length > 0, "there is a context, and it tells something");
    for (const [length, flag] of runs) {
      assertEquals(length % SIZE, 0);
      flags.push(...new Array(length / SIZE).fill(flag));
      at += length;
    }
  }
  return flags;
}

async function chunkOf(
  disk: Volume | SnapshotDisk,
  chunk: number,
): Promise<string> {
  if ((chunk + 1) * SIZE > disk.size) return "";
  // Steps change whole chunks, and the first bytes tell them apart.
  const bytes = await readBytes(disk, chunk * SIZE, 64);
  return bytes.every((byte) => byte === 0) ? "" : bytes.join();
}

/** Holds a context against what the two disks read. */
async function assertTrue(
  pool: Pool,
  volume: string,
  snapshot: string,
  disk: Volume | SnapshotDisk,
): Promise<number> {
  const before = pool.snapshotDisk(volume, snapshot);
  let unchanged = 0;
  for (const [chunk, flag] of flagsOf(disk, snapshot).entries()) {
    if (flag === CHANGED) continue;
    unchanged++;
    const [was, is] = [
      await chunkOf(before, chunk),
      await chunkOf(disk, chunk),
    ];
    assertEquals(is, was, `chunk ${chunk} since ${volume}@${snapshot}`);
  }
  return unchanged;
}

Deno.test("virstor:changed tells chunks apart, also within", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 2, { format: "native" });
  const { name } = pool;
  const volume = pool.volume();
  for (const v of [0, 1, 2]) await volume.write(chunkBytes(v), v * SIZE);
  await pool.snapshotChanges.take([{ volume: name, snapshot: "a" }]);
  const all = volume.size;
  assertEquals(ask(volume, "a", [0, all]), [[all, 0]]);
  await volume.write(new Uint8Array(1), SIZE + 5);
  await volume.discard(2 * SIZE, SIZE);
  await volume.write(chunkBytes(7), 7 * SIZE);
  assertEquals(ask(volume, "a", [0, 9 * SIZE]), [
    [SIZE, 0],
    [2 * SIZE, 1],
    [4 * SIZE, 0],
    [SIZE, 1],
    [SIZE, 0],
  ]);
  assertEquals(ask(volume, "a", [SIZE - 1, 2]), [[1, 0], [1, 1]]);
  assertEquals(ask(volume, "a", [0, all, 1])?.slice(0, 1), [[SIZE, 0]]);
  // A snapshot has a context for older ones only.
  await pool.snapshotChanges.take([{ volume: name, snapshot: "b" }]);
  await volume.write(chunkBytes(8), 0);
  const [a, b] = ["a", "b"].map((one) => pool.snapshotDisk(name, one));
  assertEquals(a?.contextFamilies, []);
  const [family] = b?.contextFamilies ?? [];
  assertEquals([family?.prefix, family?.count], ["virstor:changed:", 1]);
  const names = family?.contexts().map((one) => one.name);
  assertEquals(names, ["virstor:changed:a"]);
  assertEquals(b && flagsOf(b, "a").slice(0, 4), [0, 1, 1, 0]);
  assertEquals(flagsOf(volume, "a").slice(0, 4), [1, 1, 1, 0]);
  assertEquals(flagsOf(volume, "b").slice(0, 4), [1, 0, 0, 0]);
  await pool.close();
});

Deno.test("virstor:changed finds one chunk on a large disk", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1, { format: "native" });
  const { name } = pool;
  const volume = pool.volume();
  await pool.resize(2 ** 43);
  await pool.snapshotChanges.take([{ volume: name, snapshot: "a" }]);
  await volume.write(chunkBytes(1), 2 ** 42);
  // An answer may end early: the rest is asked for again.
  const joined: [number, number][] = [];
  for (let at = 0; at < volume.size;) {
    for (
      const [length, flag] of ask(volume, "a", [at, volume.size - at]) ?? []
    ) {
      const last = joined.at(-1);
      if (last?.[1] === flag) last[0] += length;
      else joined.push([length, flag]);
      at += length;
    }
  }
  assertEquals(joined, [[2 ** 42, 0], [SIZE, 1], [2 ** 42 - SIZE, 0]]);
  await pool.close();
});

Deno.test("virstor:changed counts all as changed when it cannot know", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, { format: "native" });
  const { name } = pool;
  const volume = pool.volume();
  await volume.write(chunkBytes(1), 0);
  await pool.snapshotChanges.take([{ volume: name, snapshot: "a" }]);
  const [context] = contextsOf(volume);
  assertEquals(context?.status(0, SIZE, 9), [{ length: SIZE, flags: 0 }]);
  await pool.snapshotChanges.remove(name, "a");
  assertEquals(context?.status(0, SIZE, 9), [{ length: SIZE, flags: 1 }]);
  // Another snapshot of that name is another snapshot.
  await pool.snapshotChanges.take([{ volume: name, snapshot: "a" }]);
  assertEquals(context?.status(0, SIZE, 9), [{ length: SIZE, flags: 1 }]);
  assertEquals(ask(volume, "a", [0, SIZE]), [[SIZE, 0]]);
  await pool.close();
  const [path = ""] = paths;
  await using half = await openPool([path], { degraded: true });
  assertEquals(ask(half.volume(), "a", [0, 2 * SIZE]), [[2 * SIZE, 1]]);
});

for (let seed = 1; seed <= 6; seed++) {
  Deno.test(`virstor:changed never hides a change (seed ${seed})`, async () => {
    await using scratch = await makeQuickScratch();
    const { pool } = await openSmallPool(scratch, 6, { format: "native" });
    const random = randomOf(seed);
    const below = (end: number) => Math.floor(random() * end);
    await pool.volumeChanges.create("v", 16 * SIZE);
    let [taken, stamp, unchanged] = [0, 0, 0];
    const names = ["v"];
    for (let step = 0; step < 80; step++) {
      const name = names[below(names.length)] ?? "v";
      const volume = pool.volume(name);
      const at = below(volume.size / SIZE) * SIZE;
      const kind = below(10);
      const { snapshots } = volume;
      const [snapshot] = snapshots;
      if (pool.status().freeChunks < 6 || (kind === 0 && step > 20)) {
        const clones = names.slice(1).toReversed();
        for (const one of clones) {
          while (pool.volume(one).snapshots.length > 0) {
            const [first] = pool.volume(one).snapshots;
            await pool.snapshotChanges.remove(one, first?.name ?? "");
          }
          await pool.volumeChanges.remove(one);
        }
        names.length = 1;
        for (const { name: old } of [...pool.volume("v").snapshots]) {
          await pool.snapshotChanges.remove("v", old);
        }
        continue;
      }
      if (kind <= 3) await volume.write(chunkBytes(++stamp), at);
      else if (kind === 4) await volume.discard(at, SIZE);
      else if (kind === 5) await volume.writeZeroes(at, SIZE);
      else if (kind === 6 || kind === 7) {
        const taking = { volume: name, snapshot: `s${taken++}` };
        await pool.snapshotChanges.take([taking]);
      } else if (kind === 8 && snapshot !== undefined) {
        const last = snapshots.at(-1)?.name ?? "";
        await pool.snapshotChanges.rollback(name, last);
      } else if (snapshot !== undefined && names.length < 3) {
        const clone = `c${taken++}`;
        await pool.volumeChanges.clone(name, snapshot.name, clone);
        names.push(clone);
      }
      for (const one of names) {
        const disk = pool.volume(one);
        const all = disk.snapshots.map((each) => each.name);
        for (const [index, since] of all.entries()) {
          unchanged += await assertTrue(pool, one, since, disk);
          for (const later of all.slice(index + 1)) {
            const newer = pool.snapshotDisk(one, later);
            unchanged += await assertTrue(pool, one, since, newer);
          }
        }
      }
    }
    assert(unchanged > 100, `only ${unchanged} chunks are unchanged`);
    assertEquals(await pool.check(), []);
    await pool.close();
  });
}
