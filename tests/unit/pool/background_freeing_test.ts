/**
 * What removed volumes and snapshots leave is freed beside the requests and in
 * turns with other changes: the status shows it, and its figures add up.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Completion, FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { openPool, type Pool, type PoolStatus } from "../../../pool/mod.ts";
import { TURN_BUDGET } from "../../../pool/core/turn.ts";
import {
  openSmallPool,
  pattern,
  readBytes,
  SMALL_CHUNK,
  type SmallPool,
} from "../../helpers/scratch.ts";
import {
  assertSound,
  makeQuickScratch,
  until,
} from "../../helpers/small_pools.ts";

/** Chunks of each volume that are written to. */
const CHUNKS = 5;

/** Lets other changes have a turn after each chunk. */
function shortPieces(): Disposable {
  const { sweptChunks } = TURN_BUDGET;
  TURN_BUDGET.sweptChunks = 1;
  return {
    [Symbol.dispose]() {
      TURN_BUDGET.sweptChunks = sweptChunks;
    },
  };
}

/** A file that can be punched only once the test lets it. */
class HeldDevice extends FileDevice {
  static held: PromiseWithResolvers<void> | undefined;

  override writeZeroes(offset: number, length: number): Completion {
    if (HeldDevice.held === undefined) return super.writeZeroes(offset, length);
    return HeldDevice.held.promise.then(() =>
      super.writeZeroes(offset, length)
    );
  }
}

async function write(pool: Pool, name: string, seed: number): Promise<void> {
  for (let v = 0; v < CHUNKS; v++) {
    await pool.volume(name).write(pattern(1000, seed + v), v * SMALL_CHUNK);
  }
}

/** Asserts that each chunk of the components is counted once. */
function assertAddsUp(status: PoolStatus): void {
  const { usedChunks, freeChunks, freeingChunks, reservedChunks } = status;
  assertEquals(
    usedChunks + freeChunks + freeingChunks + reservedChunks,
    status.physicalChunks,
  );
  for (const one of status.components) {
    assert(Math.min(one.used, one.free, one.freeing) >= 0);
    assertEquals(
      one.used + one.free + one.freeing + one.reserved,
      one.chunks,
    );
  }
}

Deno.test("a removed snapshot is freed in turns with other changes", async () => {
  using _ = shortPieces();
  await using scratch = await makeQuickScratch();
  const { pool, paths, events } = await openSmallPool(scratch, 3, {
    format: "native",
  });
  await using _closing = pool;
  await write(pool, "small", 1);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]);
  await write(pool, "small", 11);
  const removed = Promise.withResolvers<void>();
  const freed = pool.snapshotChanges.removeSome(
    [{ volume: "small", snapshot: "a" }],
    removed.resolve,
  );
  await removed.promise;
  const [job] = pool.status().jobs;
  assertEquals([job?.kind, job?.names, job?.allChunks], [
    ...["free", ["small@a"], CHUNKS] as const,
  ]);
  assertAddsUp(pool.status());
  // The new snapshot does not wait for all of it, and sees none of it.
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "b" }]);
  assertEquals(pool.status().jobs.length, 1);
  assertAddsUp(pool.status());
  await pool.volumeChanges.create("v", SMALL_CHUNK);
  assertEquals(await pool.check(), []);
  assertEquals(await freed, { freedChunks: CHUNKS });
  assertEquals(pool.status().jobs, []);
  assertAddsUp(pool.status());
  assertEquals(pool.status().usedChunks, CHUNKS);
  const [told] = events.filter(({ kind }) => kind === "freed");
  assertEquals(told, {
    kind: "freed",
    message: 'Freed 5 chunks of "small@a": 655360 bytes',
    names: ["small@a"],
    chunks: CHUNKS,
  });
  for (const disk of [pool.volume(), pool.snapshotDisk("small", "b")]) {
    assertEquals(await readBytes(disk, 0, 1000), pattern(1000, 11));
  }
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("the number of a removed volume is used again once all is freed", async () => {
  using _ = shortPieces();
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 3, { format: "native" });
  await using _closing = pool;
  const { volumeChanges } = pool;
  await volumeChanges.create("v", 8 * SMALL_CHUNK);
  await write(pool, "v", 1);
  const removed = Promise.withResolvers<void>();
  const freed = volumeChanges.remove("v", removed.resolve);
  await removed.promise;
  assertEquals(pool.status().jobs.map(({ names }) => names), [["v"]]);
  await volumeChanges.create("v", 8 * SMALL_CHUNK);
  assertEquals(pool.volume("v").number, 2);
  assertEquals(pool.volume("v").mappedChunks, 0);
  assertEquals(await pool.check(), []);
  assertAddsUp(pool.status());
  assertEquals(await freed, { freedChunks: CHUNKS });
  await volumeChanges.create("w", SMALL_CHUNK);
  assertEquals(pool.volume("w").number, 1);
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("a component leaves after a removal that was under way", async () => {
  using _ = shortPieces();
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 3, { format: "native" });
  await using _closing = pool;
  const [a = "", ...rest] = paths;
  await pool.volumeChanges.create("v", 8 * SMALL_CHUNK);
  await write(pool, "v", 1);
  await write(pool, "small", 1);
  const removed = Promise.withResolvers<void>();
  const freed = pool.volumeChanges.remove("v", removed.resolve);
  await removed.promise;
  await pool.remove([a]);
  await pool.evacuated(a);
  assertEquals(await freed, { freedChunks: CHUNKS });
  assertEquals(pool.status().usedChunks, CHUNKS);
  await pool.close();
  await assertSound("native", rest);
});

Deno.test("a disk becomes smaller after its last snapshot was removed", async () => {
  using _ = shortPieces();
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 3, { format: "native" });
  await using _closing = pool;
  await write(pool, "small", 1);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]);
  await write(pool, "small", 2);
  const freed = pool.snapshotChanges.remove("small", "a");
  await until(() => pool.status().jobs.length === 1);
  const size = CHUNKS * SMALL_CHUNK;
  assertEquals(await pool.resize(size, { force: true }), { virtualSize: size });
  await freed;
});

/** Removes a snapshot of a pool whose files cannot be punched for now. */
async function removeHeld(
  { pool }: SmallPool,
): Promise<Promise<{ freedChunks: number }>[]> {
  await write(pool, "small", 1);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]);
  await write(pool, "small", 2);
  HeldDevice.held = Promise.withResolvers();
  const freed = pool.snapshotChanges.remove("small", "a");
  await until(() => pool.status().freeingChunks === CHUNKS);
  return [freed];
}

const HELD = {
  format: "native",
  openDevice: (path: string, options: object) => new HeldDevice(path, options),
} as const;

Deno.test("chunks are being freed until the file is punched", async () => {
  await using scratch = await makeQuickScratch();
  const made = await openSmallPool(scratch, 3, HELD);
  const { pool } = made;
  await using _closing = pool;
  const [freed] = await removeHeld(made);
  const [job] = pool.status().jobs;
  assertEquals([job?.doneChunks, job?.freedChunks], [CHUNKS, CHUNKS]);
  assertAddsUp(pool.status());
  // Other chunks are freed, too: nothing waits for these.
  await pool.volume().discard(0, SMALL_CHUNK);
  HeldDevice.held?.resolve();
  HeldDevice.held = undefined;
  assertEquals(await freed, { freedChunks: CHUNKS });
  assertEquals(pool.status().jobs, []);
});

Deno.test("a pool that is closed leaves the rest to the next open", async () => {
  using _ = shortPieces();
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 3, { format: "native" });
  await write(pool, "small", 1);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]);
  await write(pool, "small", 2);
  const removed = Promise.withResolvers<void>();
  const freed = assertRejects(
    () =>
      pool.snapshotChanges.removeSome(
        [{ volume: "small", snapshot: "a" }],
        removed.resolve,
      ),
    VirstorError,
  );
  await removed.promise;
  await pool.close();
  assertEquals((await freed).code, "shutdown");
  await using again = await openPool(paths);
  await until(() => again.status().freeingChunks === 0);
  assertEquals(again.status().usedChunks, CHUNKS);
  await again.close();
  await assertSound("native", paths);
});

Deno.test("snapshots are removed all in one step, or none", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 3, { format: "native" });
  await using _closing = pool;
  const { snapshotChanges, volumeChanges } = pool;
  await volumeChanges.create("v", SMALL_CHUNK);
  const all = ["small", "v"].map((volume) => ({ volume, snapshot: "a" }));
  await snapshotChanges.take(all);
  await volumeChanges.clone("v", "a", "c");
  const { code } = await assertRejects(
    () => snapshotChanges.removeSome(all),
    VirstorError,
  );
  assertEquals(code, "exists");
  const names = () => pool.volumes.map((one) => one.snapshots.length);
  assertEquals(names(), [1, 1, 0]);
  await volumeChanges.remove("c");
  assertEquals(await snapshotChanges.removeSome(all), { freedChunks: 0 });
  assertEquals(names(), [0, 0]);
});
