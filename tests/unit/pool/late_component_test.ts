/**
 * A pool of which one component is on another machine: reads of it come late,
 * and its journal is so small that writes wait for room.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import type { Pool, Volume } from "../../../pool/mod.ts";
import { LATE_CHUNK as C, LatePool } from "../../helpers/late_pool.ts";
import { eventually, pause } from "../../helpers/patience.ts";
import { pattern, readBytes } from "../../helpers/scratch.ts";
import { assertSound, makeQuickScratch } from "../../helpers/small_pools.ts";

/** Each request takes a few turns of the event loop. */
function slowly(): Promise<void> {
  return pause(1);
}

/** Closes the pool, and looks at what the far side has. */
async function closeSound(late: LatePool): Promise<void> {
  assertEquals(await late.pool.check(), []);
  await late.pool.close();
  await Deno.writeFile(late.remotePath, late.far.content);
  await assertSound("native", late.paths);
}

/** A volume, and what it should hold. */
class Mirror {
  readonly content: Uint8Array;
  readonly #disk: () => Volume;
  readonly #pending: Promise<void>[] = [];

  constructor(disk: () => Volume) {
    this.#disk = disk;
    this.content = new Uint8Array(disk().size);
  }

  /** Begins a write. */
  write(seed: number, offset: number, length: number): void {
    const bytes = pattern(length, seed);
    this.content.set(bytes, offset);
    this.#note(this.#disk().write(bytes, offset));
    bytes.fill(0xee);
  }

  /** Begins to zero a range, or to discard whole chunks. */
  erase(what: "discard" | "writeZeroes", offset: number, length: number): void {
    this.content.fill(0, offset, offset + length);
    this.#note(this.#disk()[what](offset, length));
  }

  /** Waits for what has begun. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending.splice(0));
  }

  async check(): Promise<void> {
    const bytes = await readBytes(this.#disk(), 0, this.content.length);
    for (let at = 0; at < bytes.length; at += C) {
      const seen = bytes.subarray(at, at + C);
      assertEquals(seen, this.content.subarray(at, at + C), `chunk ${at / C}`);
    }
  }

  #note(pending: Promise<void> | undefined | void): void {
    if (pending !== undefined) this.#pending.push(pending);
  }
}

function snapshot(pool: Pool, name: string): Promise<void> {
  return pool.snapshotChanges.take([{ volume: "late", snapshot: name }]);
}

Deno.test("a pool holds what was written, though a component answers late", async () => {
  for (const remoteFirst of [true, false]) {
    await using scratch = await makeQuickScratch();
    const virtualChunks = 20;
    const late = await LatePool.make(scratch, { virtualChunks, remoteFirst });
    late.far.travel = slowly;
    const mirror = new Mirror(() => late.pool.volume());
    for (let i = 0; i < 16; i++) mirror.write(i, i * C, C);
    for (let i = 0; i < 8; i++) mirror.write(100 + i, i * 2 * C + C - 99, 5000);
    await mirror.settled();
    await mirror.check();
    for (let i = 0; i < 16; i++) mirror.write(200 + i, i * C, C);
    await mirror.check();
    await mirror.settled();
    await mirror.check();
    for (let i = 0; i < 16; i += 3) mirror.erase("discard", i * C, C);
    mirror.erase("writeZeroes", C + 17, 3 * C);
    mirror.erase("writeZeroes", 9 * C, 100);
    mirror.write(7, 3 * C, 2 * C);
    await mirror.settled();
    await late.pool.volume().flush();
    await mirror.check();
    assert(late.remote.waits > 0, "the journal was full");
    assertEquals(late.pool.status().delayed.count, 0);
    assert(late.pool.status().delayed.total > 0);
    await closeSound(late);
  }
});

Deno.test("writes of a pool are copied on write from and to a late component", async () => {
  await using scratch = await makeQuickScratch();
  const virtualChunks = 12;
  const late = await LatePool.make(scratch, { virtualChunks, chunks: 40 });
  late.far.travel = slowly;
  const mirror = new Mirror(() => late.pool.volume());
  const snapshots: [string, Uint8Array][] = [];
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 8; i++) mirror.write(round * 50 + i, i * C + i, 3000);
    await mirror.settled();
    const name = `s${round}`;
    await snapshot(late.pool, name);
    snapshots.push([name, mirror.content.slice()]);
    mirror.erase("discard", round * C, C);
    mirror.erase("writeZeroes", 4 * C + 100, C);
    // Requests that overlap and are in flight together have no order.
    await mirror.settled();
    for (let i = 0; i < 12; i++) mirror.write(90 + i, i * C + 40_000, 2000);
  }
  await mirror.settled();
  await mirror.check();
  await late.pool.volumeChanges.clone("late", "s1", "clone");
  const clone = late.pool.volume("clone");
  await clone.write(pattern(500, 3), 5 * C + 1);
  snapshots[1]?.[1].set(pattern(500, 3), 5 * C + 1);
  assertEquals(
    await readBytes(clone, 0, virtualChunks * C),
    snapshots[1]?.[1],
  );
  snapshots.splice(1, 1);
  for (const [name, content] of snapshots) {
    const disk = late.pool.snapshotDisk("late", name);
    assertEquals(await readBytes(disk, 0, content.length), content);
  }
  await late.pool.snapshotChanges.remove("late", "s0");
  await mirror.check();
  await closeSound(late);
});

Deno.test("chunks move off a late component and to it, while they are written", async () => {
  for (const leaves of [0, 1]) {
    for (const remoteFirst of [true, false]) {
      await using scratch = await makeQuickScratch();
      const late = await LatePool.make(scratch, {
        virtualChunks: 10,
        chunks: 24,
        remoteFirst,
      });
      late.far.travel = slowly;
      const mirror = new Mirror(() => late.pool.volume());
      for (let i = 0; i < 10; i++) mirror.write(i, i * C, C);
      await mirror.settled();
      await late.pool.volume().flush();
      const path = late.paths[leaves] ?? "";
      await late.pool.remove([path]);
      const gone = late.pool.evacuated(path);
      let isGone = false;
      gone.finally(() => isGone = true);
      for (let i = 0; !isGone; i++) {
        mirror.write(i, (i * 7919) % (9 * C), 100 + i % 5000);
        if (i % 10 === 0) await mirror.settled();
        if (i % 10 === 0) await pause(1);
      }
      await gone;
      await mirror.settled();
      await mirror.check();
      assertEquals(late.pool.status().components.length, 1);
      assertEquals(await late.pool.check(), []);
      await late.pool.close();
    }
  }
});

Deno.test("a removal from or to a late component is cancelled while it hangs", async () => {
  for (const leaves of [0, 1]) {
    await using scratch = await makeQuickScratch();
    const late = await LatePool.make(scratch, {
      virtualChunks: 10,
      chunks: 24,
      journalSize: 2 ** 22,
      remoteFirst: leaves === 0,
    });
    const { pool, far } = late;
    const mirror = new Mirror(() => pool.volume());
    for (let i = 0; i < 10; i++) mirror.write(i, i * C, C);
    await mirror.settled();
    await pool.volume().flush();
    const path = late.paths[0] ?? "";
    // The first chunk that moves hangs: its read, or the flush of its copy.
    const isHeld = Promise.withResolvers<void>();
    const hangs = leaves === 0 ? "read" : "flush";
    await pool.remove([path]);
    far.onRequest = (what) => {
      if (what !== hangs) return;
      far.hold();
      isHeld.resolve();
    };
    await isHeld.promise;
    assertEquals(pool.status().evacuation?.state, "moving");
    await pool.set({ onFull: "error" });
    far.onRequest = undefined;
    // Superblocks have to be written to all components.
    const cancelled = pool.cancelRemove([path]);
    mirror.write(77, 5 * C - 10, 200);
    far.release();
    await cancelled;
    await mirror.settled();
    await mirror.check();
    assertEquals(pool.status().evacuation, null);
    await closeSound(late);
  }
});

Deno.test("a component that hangs stalls its own chunks only", async () => {
  await using scratch = await makeQuickScratch();
  const late = await LatePool.make(scratch, { virtualChunks: 40 });
  const { pool, far, remote } = late;
  const disk = pool.volume();
  for (let i = 0; i < 4; i++) {
    await disk.write(pattern(C, i), i * C);
    await disk.flush();
  }
  const before = pool.status().components.map(({ used }) => used);
  assertEquals(before, [4, 0]);
  far.hold();
  // Until the journal is so full that new chunks go elsewhere.
  const waiting: (void | Promise<void>)[] = [];
  for (let i = 0; remote.behind === undefined; i++) {
    waiting.push(disk.write(pattern(C, 50 + i), (i % 4) * C));
  }
  for (let i = 0; i < 6; i++) {
    assertEquals(disk.write(pattern(C, 20 + i), (10 + i) * C), undefined);
    assertEquals(
      await readBytes(disk, (10 + i) * C, C),
      pattern(C, 20 + i),
    );
  }
  const status = pool.status();
  assertEquals(status.components.map(({ used }) => used), [4, 6]);
  assert(status.delayed.count > 0 && status.delayed.bytes > 0);
  // What waits is seen, and chunks of the other component become free.
  await disk.discard(10 * C, 3 * C);
  await eventually(
    "freed",
    () => pool.status().components[1]?.freeing === 0,
  );
  assertEquals(pool.status().components[1]?.used, 3);
  far.release();
  await Promise.all(waiting);
  await disk.flush();
  await closeSound(late);
});

Deno.test("a pool stops though a component hangs, and its journal has the rest", async () => {
  await using scratch = await makeQuickScratch();
  const late = await LatePool.make(scratch, { virtualChunks: 40 }, {
    stopSeconds: 0.05,
  });
  const disk = late.pool.volume();
  for (let i = 0; i < 3; i++) await disk.write(pattern(C, i), i * C);
  await disk.flush();
  late.far.hold();
  await disk.write(pattern(1000, 9), C + 5);
  const reading = assertRejects(
    async () => await disk.read(new Uint8Array(10), 2 * C),
    VirstorError,
  );
  await assertRejects(
    () => late.pool.close(),
    VirstorError,
    "the rest is in the journal",
  );
  await reading;
  late.reconnect();
  await late.open();
  const wanted = pattern(C, 1);
  wanted.set(pattern(1000, 9), 5);
  assertEquals(await readBytes(late.pool.volume(), C, C), wanted);
  await closeSound(late);
});
