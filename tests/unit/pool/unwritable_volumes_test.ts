/**
 * Changes of volumes and snapshots, and comparisons, in pools that take no
 * writes: opened for reading only, or with a component missing.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { BlockDevice } from "../../../device/mod.ts";
import type { Leases } from "../../../device/leases/mod.ts";
import { LeaseReader } from "../../../device/leases/leases.ts";
import { VirstorError } from "../../../errors.ts";
import { openPool, type Pool } from "../../../pool/mod.ts";
import { pattern, readBytes, SMALL_CHUNK } from "../../helpers/scratch.ts";
import { openSmallPool, type Scratch } from "../../helpers/scratch.ts";
import {
  assertRefused,
  assertSound,
  makeQuickScratch,
} from "../../helpers/small_pools.ts";

const C = SMALL_CHUNK;

/** Makes a pool with snapshots and a clone; its chunks are on two components. */
async function makeLayered(scratch: Scratch): Promise<string[]> {
  const { pool, paths } = await openSmallPool(scratch, 2, { format: "native" });
  const volume = pool.volume();
  for (let v = 0; v < 4; v++) await volume.write(pattern(C, v), v * C);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]);
  await volume.write(pattern(C, 8), 0);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "b" }]);
  await volume.write(pattern(C, 9), C);
  await pool.volumeChanges.clone("small", "a", "copy");
  await pool.close();
  return paths;
}

/** All changes of volumes and snapshots. */
function changesOf(pool: Pool): (() => Promise<unknown>)[] {
  const { volumeChanges: volumes, snapshotChanges: snapshots } = pool;
  const one = { volume: "small", snapshot: "c" };
  return [
    () => volumes.create("new", C),
    () => volumes.remove("copy"),
    () => volumes.rename("copy", "new"),
    () => volumes.renamePool("new"),
    () => volumes.set("copy", { quota: C }),
    () => volumes.clone("small", "a", "new"),
    () => volumes.flatten("copy"),
    () => snapshots.take([one]),
    () => snapshots.remove("small", "a"),
    () => snapshots.rollback("small", "a"),
    () => pool.resize(4 * C, { volume: "copy", force: true }),
  ];
}

Deno.test("a pool that was opened for reading refuses changes of volumes, and writes nothing", async () => {
  await using scratch = await makeQuickScratch();
  const paths = await makeLayered(scratch);
  const before = await Promise.all(paths.map((path) => Deno.readFile(path)));
  const pool = await openPool(paths, { readOnly: true });
  for (const change of changesOf(pool)) {
    await assertRefused(change, "read-only", "opened for reading only");
  }
  assertEquals(
    await readBytes(pool.volume("copy"), 0, C),
    pattern(C, 0),
  );
  assertEquals(await pool.diff("small", "a"), [
    { offset: 0, length: 2 * C, isHole: false },
  ]);
  await pool.close();
  const after = await Promise.all(paths.map((path) => Deno.readFile(path)));
  assertEquals(after, before);
  await assertSound("native", paths);
});

Deno.test("what has changed is not said of a pool with a component missing", async () => {
  await using scratch = await makeQuickScratch();
  const paths = await makeLayered(scratch);
  for (const path of paths) {
    const pool = await openPool([path], { degraded: true });
    await assertRefused(
      () => Promise.try(() => pool.diff("small", "a")),
      "io",
      'Cannot compare volume "small"',
      "on a component that is missing",
    );
    await pool.close();
  }
});

Deno.test("a pool with a component missing never shows an older version of a chunk", async () => {
  await using scratch = await makeQuickScratch();
  const paths = await makeLayered(scratch);
  let [right, failed] = [0, 0];
  for (const path of paths) {
    const pool = await openPool([path], { degraded: true });
    /** Reads a chunk: right, or an error that says why. */
    const look = async (
      disk: BlockDevice & { readonly leases: Leases },
      v: number,
      wanted: Uint8Array,
    ) => {
      const { leases } = disk;
      const reader = new LeaseReader(leases.memory, leases.join() ?? -1);
      leases.grant(v * C);
      const isLeased = reader.find(v * C, C);
      try {
        assertEquals(await readBytes(disk, v * C, C), wanted);
        right++;
      } catch (error) {
        if (!(error instanceof VirstorError)) throw error;
        assertStringIncludes(error.message, "on a component that is missing");
        assertEquals(isLeased, false);
        failed++;
      }
    };
    for (let v = 0; v < 4; v++) {
      const [a, b] = [pattern(C, v), pattern(C, v === 0 ? 8 : v)];
      await look(pool.volume(), v, v === 1 ? pattern(C, 9) : b);
      await look(pool.volume("copy"), v, a);
      await look(pool.snapshotDisk("small", "a"), v, a);
      await look(pool.snapshotDisk("small", "b"), v, b);
    }
    await pool.close();
  }
  // The oldest snapshot shows all that it has there, the others what is newer.
  assertEquals([right, failed], [6, 26]);
});

Deno.test("a pool with a component missing shows older versions on request", async () => {
  await using scratch = await makeQuickScratch();
  const paths = await makeLayered(scratch);
  const seen = new Set<string>();
  for (const path of paths) {
    const pool = await openPool([path], {
      degraded: true,
      olderVersions: true,
    });
    const { warnings } = pool.status();
    assert(warnings.some((one) => one.endsWith("shows an older one")));
    for (const name of ["small", "copy"]) {
      for (let v = 0; v < 4; v++) {
        try {
          const [first] = await readBytes(pool.volume(name), v * C, C);
          seen.add(`${name} ${v}: ${first}`);
        } catch (error) {
          if (!(error instanceof VirstorError)) throw error;
          seen.add(`${name} ${v}: lost`);
        }
      }
    }
    await pool.close();
  }
  const of = (seed: number) => pattern(C, seed)[0];
  for (const v of [0, 1, 2, 3]) assert(seen.has(`copy ${v}: ${of(v)}`));
  for (const v of [2, 3]) assert(seen.has(`small ${v}: ${of(v)}`));
  assert(seen.has(`small 0: ${of(8)}`) && seen.has(`small 1: ${of(9)}`));
});
