/**
 * A snapshot whose superblocks could not be made durable: the next open finds
 * the snapshot, or does not. What it would see must not change, although the
 * epoch of the volume has advanced and no record says so.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import {
  type Completion,
  FileDevice,
  type WriteOptions,
} from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { isSuperblock } from "../../../metadata/native/mod.ts";
import { openPool, type Pool } from "../../../pool/mod.ts";
import {
  openSmallPool,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import {
  assertSound,
  makeQuickScratch,
  until,
} from "../../helpers/small_pools.ts";

/** Turns of the microtask queue; the pool fails after nine or ten. */
const TURNS = [0, 4, 8, 9, 10, 14];

/** What the test lets the components do. */
interface Gate {
  /** What flushes wait for. */
  held: Promise<void> | undefined;
  /** The component whose superblocks cannot be written. */
  broken: string;
}

class GatedDevice extends FileDevice {
  readonly #gate: Gate;

  constructor(gate: Gate, ...args: ConstructorParameters<typeof FileDevice>) {
    super(...args);
    this.#gate = gate;
  }

  override flush(): Completion {
    return this.#gate.held ?? super.flush();
  }

  override write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion {
    if (this.path === this.#gate.broken && isSuperblock(source)) {
      throw new Error("the disk is gone");
    }
    return super.write(source, offset, options);
  }
}

/** Writes to a virtual chunk, if the pool still takes writes. */
async function tryWrite(
  pool: Pool,
  bytes: Uint8Array,
  virtualChunk: number,
): Promise<boolean> {
  try {
    await pool.volume().write(bytes, virtualChunk * SMALL_CHUNK);
    return true;
  } catch (error) {
    if (error instanceof VirstorError && error.code === "failed") return false;
    throw error;
  }
}

/** Lets a superblock of a snapshot fail, and writes a few turns later. */
async function failSnapshot(turns: number): Promise<void> {
  await using scratch = await makeQuickScratch();
  const gate: Gate = { held: undefined, broken: "" };
  const { pool, paths } = await openSmallPool(scratch, 2, {
    format: "native",
    openDevice: (...args) => new GatedDevice(gate, ...args),
  });
  for (const v of [0, 1]) {
    await pool.volume().write(pattern(SMALL_CHUNK, v), v * SMALL_CHUNK);
  }
  await pool.volume().flush();
  const { base: { format }, map } = pool.volume().parts;
  const setVolumes = format.setVolumes.bind(format);
  const flushed = Promise.withResolvers<void>();
  format.setVolumes = (records) => {
    // The first component has a superblock with the snapshot, the other has not.
    gate.held = flushed.promise;
    gate.broken = paths[1] ?? "";
    return setVolumes(records);
  };
  const { epoch } = map;
  const taken = assertRejects(
    () => pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]),
    VirstorError,
    "may be half written",
  );
  await until(() => gate.held !== undefined);
  assertEquals(map.epoch, epoch + 1);
  // This one is not what the snapshot sees.
  assertEquals(await tryWrite(pool, pattern(SMALL_CHUNK, 10), 0), true);
  flushed.resolve();
  for (let i = 0; i < turns; i++) await Promise.resolve();
  const isWritten = await tryWrite(pool, pattern(SMALL_CHUNK, 11), 1);
  await taken;
  gate.held = undefined;
  gate.broken = "";
  assertEquals(pool.status().state, "failed");
  await pool.close();
  await using again = await openPool(paths);
  const volume = again.volume();
  assertEquals(await readBytes(volume, 0, 1000), pattern(1000, 10));
  assertEquals(
    await readBytes(volume, SMALL_CHUNK, 1000),
    pattern(1000, isWritten ? 11 : 1),
  );
  assertEquals(volume.snapshots.length, 1);
  const disk = again.snapshotDisk("small", "a");
  assertEquals(await readBytes(disk, 0, 1000), pattern(1000, 0));
  assertEquals(await readBytes(disk, SMALL_CHUNK, 1000), pattern(1000, 1));
  // The epochs go on.
  await again.snapshotChanges.take([{ volume: "small", snapshot: "b" }]);
  await volume.write(pattern(1000, 20), 0);
  const later = again.snapshotDisk("small", "b");
  assertEquals(await readBytes(later, 0, 1000), pattern(1000, 10));
  assertEquals(await again.check(), []);
  await again.close();
  await assertSound("native", paths);
}

Deno.test("a snapshot whose superblocks fail shows no later write, if it is there at the next open", async () => {
  for (const turns of TURNS) await failSnapshot(turns);
});

Deno.test("a snapshot that is refused after its epoch has begun leaves a sound volume", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openSmallPool(scratch, 2, { format: "native" });
  const volume = pool.volume();
  for (const v of [0, 1]) {
    await volume.write(pattern(SMALL_CHUNK, v), v * SMALL_CHUNK);
  }
  const { base: { format }, map } = volume.parts;
  const setVolumes = format.setVolumes.bind(format);
  // The room was looked at before: no pool does this.
  format.setVolumes = async () => {
    await volume.write(pattern(1000, 10), 0);
    throw new VirstorError("no-space", "There is no room");
  };
  const { epoch } = map;
  await assertRejects(
    () => pool.snapshotChanges.take([{ volume: "small", snapshot: "a" }]),
    VirstorError,
    "no room",
  );
  format.setVolumes = setVolumes;
  assertEquals([map.epoch, volume.snapshots.length], [epoch + 1, 0]);
  // What was copied meanwhile is garbage until the next sweep; the rest is the
  // volume's own.
  await volume.write(pattern(1000, 11), SMALL_CHUNK);
  assertEquals(pool.status().usedChunks, 3);
  await pool.snapshotChanges.take([{ volume: "small", snapshot: "b" }]);
  await volume.write(pattern(1000, 20), 0);
  const disk = pool.snapshotDisk("small", "b");
  assertEquals(await readBytes(disk, 0, 1000), pattern(1000, 10));
  assertEquals(await readBytes(disk, SMALL_CHUNK, 1000), pattern(1000, 11));
  assertEquals(await pool.check(), []);
  assertEquals(await pool.snapshotChanges.remove("small", "b"), {
    freedChunks: 2,
  });
  assertEquals(pool.status().usedChunks, 2);
  await pool.close();
  await assertSound("native", paths);
});
