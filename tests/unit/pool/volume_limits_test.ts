/**
 * The limits of volumes: quotas, reserves, policies, and read-only volumes.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { LeaseReader } from "../../../device/leases/leases.ts";
import { exportOf } from "../../../nbd/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  openPool,
  type Pool,
  type PoolOptions,
  PRESSURE_FREE_SHIFT,
  PRESSURE_FULL,
  PRESSURE_LOW,
} from "../../../pool/mod.ts";
import { eventually } from "../../helpers/patience.ts";
import {
  openSmallPool,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
  type SmallPool,
} from "../../helpers/scratch.ts";
import { assertSound, makeQuickScratch } from "../../helpers/small_pools.ts";

/** A device of which nothing is in the page cache. */
class ColdDevice extends FileDevice {
  override readCached(): number {
    return 0;
  }
}

/** Opens a pool of 12 chunks with the volumes "small" and "b". */
async function openTwo(
  scratch: Scratch,
  options: PoolOptions = {},
): Promise<SmallPool> {
  const made = await openSmallPool(scratch, 2, {
    format: "native",
    ...options,
  });
  await made.pool.volumeChanges.create("b", 64 * SMALL_CHUNK);
  return made;
}

function write(pool: Pool, name: string, chunk: number): Promise<void> {
  const bytes = pattern(1000, chunk);
  const done = pool.volume(name).write(bytes, chunk * SMALL_CHUNK);
  return Promise.resolve(done);
}

async function writeAll(pool: Pool, name: string, end: number): Promise<void> {
  for (let v = 0; v < end; v++) await write(pool, name, v);
}

async function assertFails(
  promise: Promise<unknown>,
  code: string,
  message: string | RegExp,
): Promise<void> {
  const error = await assertRejects(() => promise, VirstorError);
  assertEquals(error.code, code);
  if (typeof message === "string") assertEquals(error.message, message);
  else assertMatch(error.message, message);
}

function chunks(count: number): number {
  return count * SMALL_CHUNK;
}

Deno.test("a write past the quota waits, and no other volume notices", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, events, paths } = await openTwo(scratch);
  await using _ = pool;
  await pool.volumeChanges.set("small", { quota: chunks(2) });
  await writeAll(pool, "small", 2);
  const { freeChunks } = pool.status();
  let isDone = false;
  const waits = write(pool, "small", 2).then(() => isDone = true);
  const [told] = events.filter(({ kind }) => kind === "delayed");
  assertMatch(told?.message ?? "", /^Volume "small" has reached its quota of /);
  await writeAll(pool, "b", 3);
  await write(pool, "small", 1);
  assertEquals([isDone, pool.status().delayed.count], [false, 1]);
  assertEquals(pool.status().freeChunks, freeChunks - 3);

  await pool.volumeChanges.set("small", { quota: chunks(3) });
  await waits;
  assertEquals(events.filter(({ kind }) => kind === "resumed").length, 1);

  // So does a discard let it go on.
  const more = write(pool, "small", 3);
  await pool.volume("small").discard(0, SMALL_CHUNK);
  await more;
  assertEquals(
    await readBytes(pool.volume(), chunks(3), 1000),
    pattern(1000, 3),
  );
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("a quota counts old versions, and ends with the snapshot that needs them", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openTwo(scratch);
  await using _ = pool;
  await pool.volumeChanges.set("small", { quota: chunks(3) });
  await writeAll(pool, "small", 2);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "s" }]);
  await write(pool, "small", 0);
  const waits = write(pool, "small", 1);
  const discarded = pool.volume().discard(chunks(1), SMALL_CHUNK);
  assertEquals(pool.status().delayed.count, 1);
  const [small] = await pool.describeVolumes();
  assertEquals([small?.usedBytes, small?.quota], [chunks(3), chunks(3)]);
  await discarded;
  await pool.snapshotChanges.remove("small", "s");
  await waits;
  assertEquals(pool.status().usedChunks, 2);
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("a quota ends the flattening of a clone, and what was copied stays", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openTwo(scratch);
  await using _ = pool;
  const { volumeChanges } = pool;
  await writeAll(pool, "small", 3);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "s" }]);
  await volumeChanges.clone("small", "s", "copy");
  await volumeChanges.set("copy", { quota: chunks(2) });
  await assertFails(
    volumeChanges.flatten("copy"),
    "no-space",
    'Cannot flatten volume "small/copy": its quota of ' +
      `${chunks(2)} bytes is reached`,
  );
  assertEquals(pool.volume("copy").mappedChunks, 2);
  await volumeChanges.set("copy", { quota: 0 });
  await volumeChanges.flatten("copy");
  await pool.snapshotChanges.remove("small", "s");
  assertEquals(pool.status().usedChunks, 6);
  await pool.close();
  await assertSound("native", paths);
});

Deno.test("a write goes on that needs no copy after its snapshot is removed", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openTwo(scratch);
  await using _ = pool;
  await pool.volumeChanges.set("small", { quota: chunks(2) });
  await writeAll(pool, "small", 2);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "s" }]);
  const bytes = pattern(1000, 7);
  const waits = pool.volume().write(bytes, 0);
  assert(waits !== undefined);
  await pool.snapshotChanges.remove("small", "s");
  await waits;
  assertEquals(await readBytes(pool.volume(), 0, 1000), bytes);
  assertEquals(pool.status().usedChunks, 2);
});

Deno.test("a copy on write under way counts for the quota", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openTwo(scratch, {
    openDevice: (path, options) => new ColdDevice(path, options),
  });
  await using _ = pool;
  await writeAll(pool, "small", 2);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "s" }]);
  const options = { quota: chunks(3), onFull: "error" } as const;
  await pool.volumeChanges.set("small", options);
  const first = write(pool, "small", 0);
  await assertFails(
    (async () => await write(pool, "small", 1))(),
    "no-space",
    'Cannot write to volume "small": its quota of 393216 bytes is reached',
  );
  await first;
  assertEquals(
    await readBytes(pool.volume(), 0, 1000),
    pattern(1000, 0),
  );
});

Deno.test("each volume has its policy", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openTwo(scratch);
  await using _ = pool;
  await pool.volumeChanges.set("b", { onFull: "error" });
  await writeAll(pool, "small", 12);
  assertEquals(pool.status().freeChunks, 0);
  const waits = write(pool, "small", 12);
  const full = 'Cannot write to pool "small": it is full';
  await assertFails(
    (async () => await write(pool, "b", 0))(),
    "no-space",
    full,
  );
  assertEquals(pool.status().delayed.count, 1);
  // Also writes that wait already have the new policy.
  const ended = assertFails(waits, "no-space", full);
  await pool.volumeChanges.set("small", { onFull: "error" });
  await ended;
});

Deno.test("a reserve keeps the last chunks for its volume", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, events } = await openTwo(scratch, { onFull: "error" });
  await using _ = pool;
  await pool.volumeChanges.set("b", { reserve: chunks(4) });
  await write(pool, "b", 0);
  await writeAll(pool, "small", 8);
  await assertFails(
    (async () => await write(pool, "small", 8))(),
    "no-space",
    'Cannot write to pool "small": it is full, what is free is reserved for ' +
      "other volumes",
  );
  assertEquals(pool.status().freeChunks, 3);
  await writeAll(pool, "b", 4);
  assertEquals(pool.status().freeChunks, 0);
  // Chunks that its volume gives back are set aside again.
  await pool.volume("b").discard(0, SMALL_CHUNK);
  await eventually("a chunk is free", () => pool.status().freeChunks === 1);
  await pool.volumeChanges.set("small", { onFull: "delay" });
  const waits = write(pool, "small", 8);
  assertEquals(pool.status().delayed.count, 1);
  assertMatch(
    events.find(({ kind }) => kind === "delayed")?.message ?? "",
    /^The pool is full, what is free is reserved for other volumes: writes w/,
  );
  await pool.volumeChanges.set("b", { reserve: 0 });
  await waits;
  assert(events.some(({ kind }) => kind === "resumed"));
});

Deno.test("a reserve that is not free is refused, and so is nonsense", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openTwo(scratch);
  await using _ = pool;
  await writeAll(pool, "small", 5);
  const { volumeChanges } = pool;
  await volumeChanges.set("b", { reserve: chunks(4) });
  await assertFails(
    volumeChanges.set("small", { reserve: chunks(9) }),
    "no-space",
    /needs 4 chunks more, and 3 are free$/,
  );
  await volumeChanges.set("small", { reserve: chunks(8) });
  for (
    const [settings, message] of [
      [{ quota: -1 }, /quota and reserve are 0 to /],
      [{ reserve: 0.5 }, /quota and reserve are 0 to /],
      [{ quota: SMALL_CHUNK - 1 }, /a quota is at least a chunk/],
      [{ quota: chunks(7) }, /the reserve of .* is above the quota/],
    ] as const
  ) await assertFails(volumeChanges.set("small", settings), "invalid", message);
  await assertFails(volumeChanges.set("c", {}), "not-found", /no such volume/);
  const described = await pool.describeVolumes();
  const limits = described.map(({ quota, reserve, onFull, readOnly }) => {
    return { quota, reserve, onFull, readOnly };
  });
  const none = { quota: 0, onFull: "", readOnly: false };
  assertEquals(limits, [
    { ...none, reserve: chunks(8) },
    { ...none, reserve: chunks(4) },
  ]);
});

Deno.test("an evacuation takes chunks whatever the quota and the reserves", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths: [a = "", b = ""] } = await openTwo(scratch);
  await using _ = pool;
  await writeAll(pool, "small", 3);
  await pool.volumeChanges.set("small", { quota: chunks(3) });
  await pool.volumeChanges.set("b", { reserve: chunks(3) });
  const waits = write(pool, "small", 3);
  await pool.remove([a]);
  await pool.evacuated(a);
  assertEquals(pool.status().usedChunks, 3);
  assertEquals(pool.status().delayed.count, 1);
  await pool.volumeChanges.set("b", { reserve: 0 });
  await pool.volumeChanges.set("small", { quota: 0 });
  await waits;
  await pool.close();
  await assertSound("native", [b]);
});

Deno.test("a component stays if less than the reserves would be left", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths: [a = "", b = ""] } = await openTwo(scratch);
  await using _ = pool;
  await writeAll(pool, "small", 2);
  await pool.volumeChanges.set("b", { reserve: chunks(6) });
  assertEquals(pool.planRemove([a]), {
    components: [{ path: a, usedBytes: chunks(2) }],
    usedBytes: chunks(2),
    freeBytes: chunks(7),
    reservedBytes: chunks(6),
    fits: false,
  });
  await assertFails(
    pool.remove([a]),
    "no-space",
    'Cannot remove 1 component from pool "small": 2 chunks would have to move ' +
      "and 7 are free on the others, with 6 reserved for volumes, 131072 bytes " +
      "short",
  );
  // Also one without chunks, which would leave at once.
  await assertFails(
    pool.remove([b]),
    "no-space",
    /0 chunks would have to move/,
  );
  // What a volume uses of its reserve needs no other chunk.
  await writeAll(pool, "b", 1);
  await pool.volumeChanges.set("b", { reserve: chunks(5) });
  assertEquals(pool.planRemove([a]).reservedBytes, chunks(4));
  await pool.remove([a], { bytesPerSecond: 1 });
  // The chunks that are to move there cannot be set aside.
  await assertFails(
    pool.volumeChanges.set("small", { reserve: chunks(3) }),
    "no-space",
    /needs 1 chunk more, and 0 are free$/,
  );
  await pool.remove([a]);
  await pool.evacuated(a);
  assertEquals(pool.status().freeChunks, 4);
});

/** What `virstor:pressure` tells of a volume. */
function pressureOf(pool: Pool, name: string): [flags: number, free: number] {
  const context = pool.volume(name).contexts
    .find((one) => one.name === "virstor:pressure");
  const [run] = context?.status(0, 1, 1) ?? [];
  const flags = run?.flags ?? 0;
  return [flags & 0xffff, flags >>> PRESSURE_FREE_SHIFT];
}

Deno.test("virstor:pressure of a volume knows its quota, and other reserves", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openTwo(scratch);
  await using _ = pool;
  await pool.volumeChanges.set("b", { quota: chunks(4) });
  assertEquals(pressureOf(pool, "b"), [0, 10_000]);
  await writeAll(pool, "b", 3);
  assertEquals(pressureOf(pool, "b"), [0, 2500]);
  await pool.volumeChanges.set("b", { quota: chunks(5) });
  await writeAll(pool, "b", 4);
  assertEquals(pressureOf(pool, "b"), [PRESSURE_LOW, 2000]);
  await writeAll(pool, "b", 5);
  assertEquals(pressureOf(pool, "b"), [PRESSURE_LOW | PRESSURE_FULL, 0]);
  assertEquals(pressureOf(pool, "small"), [0, Math.ceil(70_000 / 12)]);
  await pool.volumeChanges.set("b", { quota: 0, reserve: chunks(12) });
  assertEquals(pressureOf(pool, "small"), [PRESSURE_FULL, 0]);
  assertEquals(pressureOf(pool, "b"), [0, Math.ceil(70_000 / 12)]);
});

Deno.test("limits survive the pool, and hold when it is opened", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openTwo(scratch);
  await pool.volumeChanges.set("b", {
    quota: chunks(2),
    reserve: chunks(2),
    onFull: "error",
  });
  await pool.volumeChanges.set("small", { isReadOnly: true });
  await pool.close();
  await using again = await openPool(paths);
  await writeAll(again, "b", 2);
  await assertFails(
    (async () => await write(again, "b", 2))(),
    "no-space",
    /its quota of .* is reached/,
  );
  assertEquals(again.volume().capabilities.readOnly, true);
  const { code } = assertThrows(
    () => again.volume().write(new Uint8Array(1), 0),
    VirstorError,
  );
  assertEquals(code, "read-only");
  assertEquals(again.volume().leases.prepare(0), false);
  await again.volumeChanges.set("small", { isReadOnly: false });
  await write(again, "small", 0);
});

Deno.test("a volume that becomes read-only takes no write, and others do", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openTwo(scratch);
  await using _ = pool;
  const volume = pool.volume("b");
  const served = exportOf(volume);
  await writeAll(pool, "b", 2);
  await pool.volumeChanges.set("b", { quota: chunks(2) });
  const waits = write(pool, "b", 2);
  const message = 'Cannot write to volume "small/b": it is read-only';
  const ended = assertFails(waits, "read-only", message);
  await pool.volumeChanges.set("b", { isReadOnly: true });
  await ended;
  for (
    const act of [
      () => volume.write(new Uint8Array(1), 0),
      () => volume.discard(0, 1),
      () => volume.writeZeroes(0, 1),
    ]
  ) {
    const error = assertThrows(act, VirstorError);
    assertEquals([error.code, error.message], ["read-only", message]);
  }
  assertEquals(await readBytes(volume, 0, 1000), pattern(1000, 0));
  await volume.flush();
  assertEquals([volume.capabilities.readOnly, served.readOnly], [true, true]);
  await write(pool, "small", 0);
  await pool.volumeChanges.set("b", { isReadOnly: false, quota: 0 });
  await write(pool, "b", 2);
  assertEquals([volume.capabilities.readOnly, served.readOnly], [false, false]);
  // The end of the pool is that of a read-only volume, too.
  await pool.volumeChanges.set("b", { isReadOnly: true });
  await pool.close();
  const { code } = assertThrows(() => volume.flush(), VirstorError);
  assertEquals(code, "shutdown");
});

Deno.test("threads write to no chunk of a read-only volume, and read", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openTwo(scratch);
  await using _ = pool;
  const { leases } = pool.volume();
  const reader = new LeaseReader(leases.memory, leases.join() ?? -1);
  await writeAll(pool, "small", 1);
  leases.grant(0);
  assertEquals([reader.isWritable, reader.find(0, 1)], [true, true]);
  await pool.volumeChanges.set("small", { isReadOnly: true });
  assertEquals([reader.isWritable, reader.find(0, 1)], [false, false]);
  leases.grant(0);
  assertEquals([reader.isWritable, reader.find(0, 1)], [false, true]);
  assertEquals(leases.prepare(0), false);
  await pool.volumeChanges.set("small", { isReadOnly: false });
  assertEquals([reader.isWritable, leases.prepare(0)], [true, true]);
});

Deno.test("a volume that was renamed has its new name wherever it is named", async () => {
  await using scratch = await makeQuickScratch();
  const { pool } = await openTwo(scratch, { onFull: "error" });
  await pool.snapshotChanges.take([{ volume: "b", snapshot: "s" }]);
  const disk = pool.snapshotDisk("b", "s");
  await pool.volumeChanges.set("b", { quota: chunks(1) });
  await pool.volumeChanges.rename("b", "c");
  assertEquals(disk.name, "c@s");
  await write(pool, "c", 0);
  await assertFails(
    Promise.resolve().then(() => write(pool, "c", 1)),
    "no-space",
    /^Cannot write to volume "small\/c": its quota of .* is reached$/,
  );
  await pool.close();
});
