/**
 * Volumes, snapshots, clones and rollbacks of a pool on real files: what they
 * hold, what they cost, and what is refused.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Completion, FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { openPool, type Pool } from "../../../pool/mod.ts";
import {
  dropCache,
  openSmallPool,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
  type SmallPool,
} from "../../helpers/scratch.ts";
import {
  assertRefused,
  assertSound,
  makeQuickScratch,
  until,
} from "../../helpers/small_pools.ts";

const C = SMALL_CHUNK;
const ZEROES = new Uint8Array(C);

/** A pool of format 2 with 5, 12, … chunks. */
function openNative(scratch: Scratch, count = 1): Promise<SmallPool> {
  return openSmallPool(scratch, count, { format: "native" });
}

function take(pool: Pool, snapshot: string, volume = "small"): Promise<void> {
  return pool.snapshotChanges.take([{ volume, snapshot }]);
}

/** Bytes of one chunk of a volume or snapshot. */
function chunkOf(
  pool: Pool,
  virtualChunk: number,
  { volume = "small", snapshot }: { volume?: string; snapshot?: string } = {},
): Promise<Uint8Array> {
  const disk = snapshot === undefined
    ? pool.volume(volume)
    : pool.snapshotDisk(volume, snapshot);
  return readBytes(disk, virtualChunk * C, C);
}

/** A chunk of one pattern, with bytes of another one in it. */
function patched(base: Uint8Array, bytes: Uint8Array, at: number): Uint8Array {
  const chunk = base.slice();
  chunk.set(bytes, at);
  return chunk;
}

async function closeSound(pool: Pool, paths: readonly string[]): Promise<void> {
  assertEquals(await pool.check(), []);
  await pool.close();
  await assertSound("native", paths);
}

Deno.test("a snapshot keeps what its volume held, also after the pool was closed", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openNative(scratch);
  await pool.volume().write(pattern(C, 1), 0);
  await take(pool, "a");
  await pool.volume().write(pattern(1000, 2), 5000);
  await pool.volume().write(pattern(C, 3), C);
  const after = patched(pattern(C, 1), pattern(1000, 2), 5000);
  const check = async (pool: Pool) => {
    assertEquals(await chunkOf(pool, 0, { snapshot: "a" }), pattern(C, 1));
    assertEquals(await chunkOf(pool, 1, { snapshot: "a" }), ZEROES);
    assertEquals(await chunkOf(pool, 0), after);
    assertEquals(await chunkOf(pool, 1), pattern(C, 3));
  };
  await check(pool);
  assertEquals(pool.status().usedChunks, 3);
  await closeSound(pool, paths);
  const again = await openPool(paths);
  await check(again);
  assertEquals(await again.diff("small", "a"), [
    { offset: 0, length: 2 * C, isHole: false },
  ]);
  const { freedChunks } = await again.snapshotChanges.remove("small", "a");
  assertEquals(freedChunks, 1);
  assertEquals(await chunkOf(again, 0), after);
  await closeSound(again, paths);
});

Deno.test("a rollback gives the volume back what the snapshot holds", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openNative(scratch);
  await pool.volume().write(pattern(C, 1), 0);
  await take(pool, "a");
  await pool.volume().write(pattern(C, 2), 0);
  await pool.volume().write(pattern(C, 3), 4 * C);
  await take(pool, "b");
  const { snapshotChanges } = pool;
  await assertRefused(
    () => snapshotChanges.rollback("small", "a"),
    "exists",
    "newer snapshots",
    '"small@b"',
  );
  const before = pool.volume();
  await snapshotChanges.rollback("small", "a", { removesNewer: true });
  assertThrows(() => before.write(pattern(10, 1), 0), VirstorError);
  assertEquals(await chunkOf(pool, 0), pattern(C, 1));
  assertEquals(await chunkOf(pool, 4), ZEROES);
  await until(() => pool.status().freeingChunks === 0);
  assertEquals(pool.status().usedChunks, 1);
  assertThrows(() => pool.snapshotDisk("small", "b"), VirstorError);
  await closeSound(pool, paths);
});

Deno.test("while the first volume is rolled back, no other one is taken for it", async () => {
  await using scratch = await makeQuickScratch();
  const gate: { held: Promise<void> | undefined } = { held: undefined };
  const { pool, paths } = await openSmallPool(scratch, 1, {
    format: "native",
    openDevice: (path, options) => new HeldDevice(gate, path, options),
  });
  await pool.volumeChanges.create("other", C);
  await pool.volume().write(pattern(C, 1), 0);
  await take(pool, "a");
  const go = Promise.withResolvers<void>();
  gate.held = go.promise;
  const rollback = pool.snapshotChanges.rollback("small", "a");
  await until(() => pool.volumes.length === 1);
  assertEquals(pool.status().state, "open");
  const asked = async () => await Promise.resolve(pool.volume());
  await assertRefused(asked, "busy", '"small": it is being rolled back');
  gate.held = undefined;
  go.resolve();
  await rollback;
  assertEquals(pool.volume().name, "small");
  await closeSound(pool, paths);
});

Deno.test("a clone is a volume of its own, and keeps its snapshot", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openNative(scratch);
  const { volumeChanges, snapshotChanges } = pool;
  await pool.volume().write(pattern(C, 1), 0);
  await take(pool, "a");
  await volumeChanges.clone("small", "a", "copy");
  assertEquals(pool.status().usedChunks, 1);
  await pool.volume("copy").write(pattern(100, 2), 7);
  const copy = patched(pattern(C, 1), pattern(100, 2), 7);
  await pool.volume().write(pattern(C, 3), 0);
  assertEquals(await chunkOf(pool, 0, { volume: "copy" }), copy);
  assertEquals(await chunkOf(pool, 0, { snapshot: "a" }), pattern(C, 1));
  for (
    const act of [
      () => snapshotChanges.remove("small", "a"),
      async () => {
        await take(pool, "b");
        await volumeChanges.clone("small", "b", "late");
        await snapshotChanges.rollback("small", "a", { removesNewer: true });
      },
    ]
  ) await assertRefused(act, "exists", "has clones", "flatten or remove");
  await volumeChanges.remove("late");
  await volumeChanges.flatten("copy");
  await snapshotChanges.rollback("small", "a", { removesNewer: true });
  await snapshotChanges.remove("small", "a");
  assertEquals(await chunkOf(pool, 0, { volume: "copy" }), copy);
  assertEquals(await chunkOf(pool, 0), pattern(C, 1));
  const [first, second] = await pool.describeVolumes();
  assertEquals([first?.uniqueBytes, second?.uniqueBytes], [C, C]);
  assertEquals([second?.parent, second?.name], [null, "copy"]);
  await volumeChanges.remove("copy");
  await until(() => pool.status().freeingChunks === 0);
  assertEquals(pool.status().usedChunks, 1);
  await closeSound(pool, paths);
});

Deno.test("changes of volumes and snapshots that are refused say why", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openNative(scratch);
  const { volumeChanges, snapshotChanges } = pool;
  await volumeChanges.create("other", C);
  await take(pool, "a", "other");
  const refusals: [
    () => Promise<unknown>,
    "invalid" | "exists" | "not-found",
    string,
  ][] = [
    [() => volumeChanges.remove("small"), "invalid", "the first volume"],
    [() => volumeChanges.rename("small", "x"), "invalid", "the first volume"],
    [
      () => volumeChanges.remove("other"),
      "exists",
      'the snapshots "small/other@a"',
    ],
    [() => volumeChanges.remove("none"), "not-found", "no such volume"],
    [() => volumeChanges.create("other", C), "exists", "exists already"],
    [() => volumeChanges.create("a/b", C), "invalid", "a name has"],
    [() => volumeChanges.create("a@b", C), "invalid", "a name has"],
    [() => volumeChanges.create("", C), "invalid", "a name has"],
    [() => volumeChanges.create("x".repeat(256), C), "invalid", "a name has"],
    [() => volumeChanges.create("none", 0), "invalid", "8 PiB"],
    [() => volumeChanges.rename("other", "small"), "exists", "already"],
    [() => volumeChanges.clone("other", "b", "x"), "not-found", "snapshot"],
    [() => volumeChanges.clone("other", "a", "small"), "exists", "already"],
    [() => volumeChanges.flatten("other"), "invalid", "no clone"],
    [() => snapshotChanges.take([]), "invalid", "no snapshots"],
    [() => take(pool, "a", "other"), "exists", "already"],
    [() => take(pool, "\n", "other"), "invalid", "a name has"],
    [() => take(pool, "a", "none"), "not-found", "no such volume"],
    [() => snapshotChanges.remove("other", "b"), "not-found", "snapshot"],
    [() => snapshotChanges.rollback("other", "b"), "not-found", "snapshot"],
    [
      () =>
        snapshotChanges.take([
          { volume: "other", snapshot: "b" },
          { volume: "other", snapshot: "c" },
        ]),
      "invalid",
      "one snapshot of a volume",
    ],
  ];
  for (const [act, code, part] of refusals) {
    await assertRefused(act, code, part);
  }
  const [, other] = await pool.describeVolumes();
  assertEquals(other?.snapshots.map(({ name }) => name), ["a"]);
  await closeSound(pool, paths);
});

Deno.test("format 1 has one volume and no snapshots, and says so", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openSmallPool(scratch, 1);
  const { volumeChanges, snapshotChanges } = pool;
  for (
    const act of [
      () => volumeChanges.create("x", C),
      () => volumeChanges.remove("x"),
      () => volumeChanges.rename("small", "x"),
      () => volumeChanges.clone("small", "a", "x"),
      () => volumeChanges.flatten("small"),
      () => snapshotChanges.remove("small", "a"),
      () => snapshotChanges.rollback("small", "a"),
      () => take(pool, "a"),
    ]
  ) await assertRefused(act, "unsupported", "one volume and no snapshots");
  await pool.close();
});

Deno.test("the disk of a snapshot is read-only", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openNative(scratch);
  await pool.volume().write(pattern(C, 1), C);
  await take(pool, "a");
  const disk = pool.snapshotDisk("small", "a");
  assertEquals(disk, pool.snapshotDisk("small", "a"));
  assertEquals([disk.name, disk.capabilities.readOnly], ["small@a", true]);
  assertThrows(() => disk.write(), VirstorError, "it is a snapshot");
  assertThrows(() => disk.discard(), VirstorError, "it is a snapshot");
  assertThrows(() => disk.writeZeroes(), VirstorError, "it is a snapshot");
  assertEquals(disk.extents(0, 3 * C), [
    { length: C, kind: "hole" },
    { length: C, kind: "data" },
    { length: C, kind: "hole" },
  ]);
  await pool.snapshotChanges.remove("small", "a");
  assertThrows(() => disk.read(new Uint8Array(1), 0), VirstorError);
  await closeSound(pool, paths);
});

Deno.test("a discard of what a snapshot sees reads as zeroes, and takes nothing from it", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openNative(scratch);
  await pool.volume().write(pattern(2 * C, 1), 0);
  await take(pool, "a");
  await pool.volume().discard(0, C);
  assertEquals(await chunkOf(pool, 0), ZEROES);
  assertEquals(
    await chunkOf(pool, 0, { snapshot: "a" }),
    pattern(2 * C, 1).subarray(0, C),
  );
  // No chunk is free: a discard does nothing.
  await pool.volume().write(pattern(2 * C, 2), 4 * C);
  assertEquals(pool.status().freeChunks, 0);
  await pool.volume().discard(C, C);
  const second = pattern(2 * C, 1).subarray(C);
  assertEquals(await chunkOf(pool, 1), second);
  await pool.snapshotChanges.remove("small", "a");
  assertEquals(await chunkOf(pool, 0), ZEROES);
  assertEquals(await chunkOf(pool, 1), second);
  await closeSound(pool, paths);
});

Deno.test("a write to a shared chunk waits while the pool is full", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openNative(scratch);
  await pool.volume().write(pattern(5 * C, 1), 0);
  await take(pool, "a");
  const [one, two] = [
    pool.volume().write(pattern(100, 2), 50),
    pool.volume().write(pattern(100, 3), 500),
  ];
  const whole = pool.volume().write(pattern(C, 4), C);
  await until(() => pool.status().delayed.count === 3);
  const path = scratch.file("more");
  await pool.add([path], { createSize: 2 ** 20 });
  await Promise.all([one, two, whole]);
  const before = pattern(5 * C, 1);
  const first = patched(
    patched(before.subarray(0, C), pattern(100, 2), 50),
    pattern(100, 3),
    500,
  );
  assertEquals(await chunkOf(pool, 0), first);
  assertEquals(await chunkOf(pool, 1), pattern(C, 4));
  assertEquals(
    await chunkOf(pool, 0, { snapshot: "a" }),
    before.subarray(0, C),
  );
  assertEquals(pool.status().usedChunks, 7);
  await closeSound(pool, [...paths, path]);
});

Deno.test("zeroes that wait for a chunk zero all of it, whatever comes first", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openNative(scratch);
  await pool.volume().write(pattern(5 * C, 1), 0);
  await take(pool, "a");
  const zeroes = pool.volume().writeZeroes(0, C);
  const write = pool.volume().write(pattern(100, 2), 0);
  await until(() => pool.status().delayed.count === 2);
  const path = scratch.file("more");
  await pool.add([path], { createSize: 2 ** 20 });
  await Promise.all([zeroes, write]);
  const chunk = await chunkOf(pool, 0);
  assertEquals(chunk.subarray(100), ZEROES.subarray(100));
  await closeSound(pool, [...paths, path]);
});

Deno.test("a full pool that fails writes fails those to shared chunks, too", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 1, {
    format: "native",
    onFull: "error",
  });
  await pool.volume().write(pattern(5 * C, 1), 0);
  await take(pool, "a");
  await assertRefused(
    async () => await pool.volume().write(pattern(100, 2), 50),
    "no-space",
    "it is full",
  );
  await pool.volumeChanges.clone("small", "a", "copy");
  await assertRefused(
    () => pool.volumeChanges.flatten("copy"),
    "no-space",
    'Cannot flatten volume "small/copy" in pool "small": it is full',
  );
  assertEquals(await chunkOf(pool, 0), pattern(5 * C, 1).subarray(0, C));
  await closeSound(pool, paths);
});

Deno.test("a clone is flattened while the chunks for it are being freed", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openNative(scratch);
  await pool.volume().write(pattern(C, 1), 0);
  await pool.volume().write(pattern(4 * C, 2), 4 * C);
  await take(pool, "a");
  await pool.snapshotChanges.rollback("small", "a");
  await pool.volumeChanges.create("other", C);
  await pool.snapshotChanges.remove("small", "a");
  await pool.volume().discard(4 * C, 4 * C);
  await until(() => pool.status().freeingChunks === 0);
  await take(pool, "b");
  await pool.volumeChanges.clone("small", "b", "copy");
  await pool.volume("other").write(pattern(C, 3), 0);
  await pool.volume().write(pattern(3 * C, 4), 10 * C);
  assertEquals(pool.status().freeChunks, 0);
  await pool.volume().discard(10 * C, 3 * C);
  await pool.volumeChanges.flatten("copy");
  assertEquals(await chunkOf(pool, 0, { volume: "copy" }), pattern(C, 1));
  await closeSound(pool, paths);
});

for (const isWhole of [false, true]) {
  const what = isWhole ? "all" : "part";
  Deno.test(`a write to ${what} of a shared chunk that is not in the page cache`, async () => {
    await using scratch = await makeQuickScratch();
    const { pool: first, paths } = await openNative(scratch);
    await first.volume().write(pattern(C, 1), 0);
    await take(first, "a");
    await first.close();
    for (const path of paths) await dropCache(path);
    const waiting: (() => void)[] = [];
    const pool = await openPool(paths, {
      openDevice: (path, options) => new ColdDevice(waiting, path, options),
    });
    const bytes = isWhole ? pattern(C, 2) : pattern(1000, 2);
    const write = pool.volume().write(bytes, 0);
    const also = pool.volume().write(pattern(10, 3), 2000);
    if (!isWhole) {
      await until(() => waiting.length > 0);
      assert(waiting.length === 1, "both wait for one copy");
    }
    let isDone = false;
    const both = Promise.all([write, also]).finally(() => isDone = true);
    while (!isDone) {
      for (const go of waiting.splice(0)) go();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await both;
    await pool.close();
    const again = await openPool(paths);
    const base = isWhole ? bytes : patched(pattern(C, 1), bytes, 0);
    assertEquals(await chunkOf(again, 0), patched(base, pattern(10, 3), 2000));
    assertEquals(await chunkOf(again, 0, { snapshot: "a" }), pattern(C, 1));
    await closeSound(again, paths);
  });
}

/** Nothing is in its page cache, and its reads wait. */
class ColdDevice extends FileDevice {
  readonly #waiting: (() => void)[];

  constructor(
    waiting: (() => void)[],
    ...args: ConstructorParameters<typeof FileDevice>
  ) {
    super(...args);
    this.#waiting = waiting;
  }

  override readCached(): number {
    return 0;
  }

  override async readCold(target: Uint8Array, offset: number): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    await super.readCold(target, offset);
  }
}

/** Its flushes wait while the test says so. */
class HeldDevice extends FileDevice {
  readonly #gate: { readonly held: Promise<void> | undefined };

  constructor(
    gate: { readonly held: Promise<void> | undefined },
    ...args: ConstructorParameters<typeof FileDevice>
  ) {
    super(...args);
    this.#gate = gate;
  }

  override flush(): Completion {
    const { held } = this.#gate;
    return held === undefined ? super.flush() : held.then(() => super.flush());
  }
}

Deno.test("a snapshot and a rollback, again and again, need no more room", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openNative(scratch);
  const { snapshotChanges } = pool;
  for (let i = 0; i < 5; i++) {
    await take(pool, "a");
    await pool.volume().write(pattern(C, i), 0);
    await snapshotChanges.rollback("small", "a");
    assertEquals(pool.volume().parts.record.dead.length, 1);
    await snapshotChanges.remove("small", "a");
  }
  await closeSound(pool, paths);
});
