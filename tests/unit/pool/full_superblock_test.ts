/**
 * Changes of volumes and snapshots for which the superblock has no room: each is
 * refused with one line, and the volume goes on as if nothing had been asked.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { LeaseReader } from "../../../device/leases/leases.ts";
import { openPool, type Pool } from "../../../pool/mod.ts";
import { addSnapshots } from "../../helpers/long_superblock.ts";
import {
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
} from "../../helpers/small_pools.ts";

/** Snapshots of 44 bytes each: with the volume they take 64,956 of 64,992. */
const COUNT = 1475;
/** Of 34 bytes: after it no dead range of 8 bytes fits. */
const NEWEST = "the-newest";
const OLDEST = "0".padStart(20, "s");
const SECOND = "1".padStart(20, "s");

/** Opens a pool with two bytes left in its superblock, and some data. */
async function openFull(
  scratch: Scratch,
): Promise<{ pool: Pool; path: string }> {
  const made = await openSmallPool(scratch, 1, { format: "native" });
  await made.pool.close();
  addSnapshots(made.paths, COUNT, 20);
  const pool = await openPool(made.paths);
  const volume = pool.volume();
  for (const v of [0, 1]) await volume.write(pattern(1000, v), v * SMALL_CHUNK);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: NEWEST }]);
  await volume.write(pattern(1000, 10), 0);
  return { pool, path: made.paths[0] ?? "" };
}

/** What a volume holds, and what it costs. */
async function stateOf(pool: Pool): Promise<unknown> {
  const { usedChunks, freeChunks, volumes } = pool.status();
  const { map, record } = pool.volume().parts;
  const contents: Uint8Array[] = [];
  for (const v of [0, 1]) {
    contents.push(await readBytes(pool.volume(), v * SMALL_CHUNK, 1000));
  }
  return {
    usedChunks,
    freeChunks,
    volumes: volumes.map(({ name, snapshots }) => [name, snapshots.length]),
    epochs: [map.epoch, record.epoch, record.dead, map.old.size],
    contents,
  };
}

const REFUSED: readonly [
  what: string,
  bytes: number,
  act: (pool: Pool) => Promise<unknown>,
][] = [
  [
    "rollback",
    64_998,
    ({ snapshotChanges }) => snapshotChanges.rollback("small", NEWEST),
  ],
  [
    "snapshot",
    65_015,
    ({ snapshotChanges }) =>
      snapshotChanges.take([{ volume: "small", snapshot: "x" }]),
  ],
  [
    "clone",
    65_047,
    ({ volumeChanges }) => volumeChanges.clone("small", NEWEST, "x"),
  ],
  ["volume", 65_047, ({ volumeChanges }) => volumeChanges.create("x", 1)],
];

for (const [what, bytes, act] of REFUSED) {
  Deno.test(`a ${what} that the superblock has no room for leaves the volume as it is`, async () => {
    await using scratch = await makeQuickScratch();
    const { pool, path } = await openFull(scratch);
    const volume = pool.volume();
    const { leases } = volume;
    const reader = new LeaseReader(leases.memory, leases.join() ?? -1);
    leases.grant(0);
    const before = await stateOf(pool);
    await assertRefused(
      () => act(pool),
      "no-space",
      `Cannot change pool "small", the superblock on "${path}" is full: its ` +
        `records need ${bytes} bytes, 64992 fit; remove snapshots or volumes ` +
        "first",
    );
    assertEquals(await stateOf(pool), before);
    // Connections and threads notice nothing.
    assert(pool.volume() === volume);
    assert(reader.isWritable && reader.find(0, 1));
    const { usedChunks } = pool.status();
    await volume.write(pattern(500, 20), 0);
    assertEquals(pool.status().usedChunks, usedChunks);
    const snapshot = pool.snapshotDisk("small", NEWEST);
    assertEquals(await readBytes(snapshot, 0, 1000), pattern(1000, 0));
    assertEquals(await pool.check(), []);
    await pool.close();
    await assertSound("native", [path]);

    // What needs less room is done.
    await using again = await openPool([path]);
    for (const one of [OLDEST, SECOND]) {
      await again.snapshotChanges.remove("small", one);
    }
    await act(again);
    assertEquals(await again.check(), []);
  });
}

Deno.test("a rollback that removes newer snapshots needs no more room", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, path } = await openFull(scratch);
  const options = { removesNewer: true };
  await pool.snapshotChanges.rollback("small", OLDEST, options);
  assertEquals(
    await readBytes(pool.volume(), 0, 1000),
    new Uint8Array(1000),
  );
  await pool.close();
  await assertSound("native", [path]);
});
