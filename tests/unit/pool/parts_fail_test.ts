/**
 * Goal: a request that is done in parts ends when the last part has ended, also
 * when a part fails at once while others are in flight: no promise is left
 * unhandled, and nothing is written to the caller's buffer after the answer.
 * Method: real files that are truncated, fail, or wait until the test says so.
 * (The runner fails a file in which a promise is rejected unhandled.)
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SLICE_MS } from "../../../device/block/turns.ts";
import { type Completion, FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { labelPool, openPool, type Pool } from "../../../pool/mod.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  dropCache,
  KIB,
  makeScratch,
  MIB,
  openSmallPool,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { makeQuickScratch, until } from "../../helpers/small_pools.ts";
import { StoppingFiles } from "../../helpers/stopping_device.ts";

/** Nothing wakes what waits for a change of it. */
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** How a request has ended, once it has. */
interface Ending {
  isOver: boolean;
  error: unknown;
}

/** Follows a request that must not end at once. */
function follow(start: () => Completion): Ending {
  const ending: Ending = { isOver: false, error: undefined };
  const pending = start();
  assert(pending !== undefined, "it is in flight");
  pending.then(
    () => ending.isOver = true,
    (error) => Object.assign(ending, { isOver: true, error }),
  );
  return ending;
}

/** Lets everything run that is due. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A file whose reads can be held, and then fail. */
class HeldFile extends FileDevice {
  readonly waiting: ((failure?: Error) => void)[] = [];
  isCold = false;
  /** Where reads fail at once. */
  failsAt = Infinity;

  override readCached(target: Uint8Array, offset: number): number {
    if (offset >= this.failsAt) throw new VirstorError("io", "Bad sector");
    return this.isCold ? 0 : super.readCached(target, offset);
  }

  override async readCold(target: Uint8Array, offset: number): Promise<void> {
    if (this.isCold) {
      await new Promise<void>((resolve, reject) =>
        this.waiting.push((failure) => failure ? reject(failure) : resolve())
      );
    }
    await super.readCold(target, offset);
  }
}

/** A pool of one held file, with three chunks written. */
async function openHeld(
  scratch: Scratch,
): Promise<{ pool: Pool; file: HeldFile }> {
  const files: HeldFile[] = [];
  const { pool } = await openSmallPool(scratch, 1, {
    format: "native",
    openDevice(path, options) {
      const file = new HeldFile(path, options);
      files.push(file);
      return file;
    },
  });
  for (let v = 0; v < 3; v++) {
    await pool.volume().write(pattern(SMALL_CHUNK, v), v * SMALL_CHUNK);
  }
  const file = files.at(-1);
  assert(file !== undefined);
  return { pool, file };
}

testNatively(
  "a read whose first part fails late and whose second fails at once",
  async () => {
    await using scratch = await makeScratch();
    const { pool: first, paths } = await openSmallPool(scratch, 2, {
      format: "native",
    });
    for (const v of [0, 2]) {
      await first.volume().write(pattern(100, v), v * SMALL_CHUNK);
    }
    await first.close();
    const [path = ""] = paths;
    const pool = await openPool([path], { degraded: true });
    await dropCache(path);
    // Cold: now it is known that the system tells what is in the page cache.
    await readBytes(pool.volume(), 2 * SMALL_CHUNK, 100);
    await Deno.truncate(path, 0);
    for (const length of [20, SMALL_CHUNK]) {
      const at = SMALL_CHUNK - 10;
      const read = async () => await readBytes(pool.volume(), at, length);
      const error = await assertRejects(read, VirstorError);
      assertEquals(error.code, "io");
    }
    await settle();
    await pool.close();
  },
);

Deno.test("a read is not answered while a part of it is in flight", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, file } = await openHeld(scratch);
  file.isCold = true;
  file.failsAt = 2 * SMALL_CHUNK;
  const target = new Uint8Array(2 * SMALL_CHUNK + 10).fill(0xaa);
  const read = follow(() => pool.volume().read(target, SMALL_CHUNK - 5));
  assertEquals(file.waiting.length, 2);
  await settle();
  assertEquals(read.isOver, false);
  // A later failure of another part does not end it either.
  file.waiting.pop()?.(new Error("The disk is gone"));
  await settle();
  assertEquals(read.isOver, false);
  file.waiting.pop()?.();
  await until(() => read.isOver);
  assertEquals((read.error as Error).message, "Bad sector");
  // From here on the buffer is the caller's again.
  target.fill(0xbb);
  await settle();
  assert(target.every((byte) => byte === 0xbb));
  file.isCold = false;
  file.failsAt = Infinity;
  await pool.close();
});

Deno.test("a read whose parts all fail late ends with the last one", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, file } = await openHeld(scratch);
  file.isCold = true;
  const read = follow(() =>
    pool.volume().read(new Uint8Array(3 * SMALL_CHUNK), 0)
  );
  const [first, second, third] = file.waiting.splice(0);
  second?.(new VirstorError("io", "Second"));
  await settle();
  third?.();
  await settle();
  assertEquals(read.isOver, false);
  first?.(new VirstorError("io", "First"));
  await until(() => read.isOver);
  assertEquals((read.error as Error).message, "Second");
  await pool.close();
});

/** A file that takes nothing any more from its first discard on. */
class DyingFile extends FileDevice {
  /** Whether each write takes a whole turn of the pool's work. */
  isSlow = false;
  #isDead = false;

  override write(source: Uint8Array, offset: number): Completion {
    if (this.#isDead) throw new VirstorError("io", "Dead");
    if (this.isSlow) Atomics.wait(NEVER, 0, 0, SLICE_MS);
    return super.write(source, offset);
  }

  override discard(): Completion {
    this.#isDead = true;
    throw new VirstorError("io", "Cannot discard");
  }
}

Deno.test("a discard whose start fails at once while whole chunks are unmapped", async () => {
  await using scratch = await makeQuickScratch();
  const paths = [scratch.file("a")];
  // More chunks than are unmapped in one turn of a slow file.
  const [chunks, chunkSize] = [4200, 64 * KIB];
  await labelPool({
    name: "small",
    format: "native",
    paths,
    createSize: (chunks + 100) * chunkSize,
    chunkSize,
    virtualSize: 2 * chunks * chunkSize,
  });
  let file: DyingFile | undefined;
  const pool = await openPool(paths, {
    openDevice: (path, options) => file = new DyingFile(path, options),
  });
  for (let v = 0; v < chunks; v++) {
    await pool.volume().write(pattern(100, v), v * chunkSize);
  }
  assert(file !== undefined);
  file.isSlow = true;
  const discard = follow(() =>
    pool.volume().discard(100, chunks * chunkSize - 200)
  );
  await until(() => discard.isOver);
  assertEquals((discard.error as Error).message, "Cannot discard");
  // What was to be unmapped in a later turn has failed by then, too.
  assertEquals(pool.status().state, "failed");
  const [finding] = await pool.check();
  assertEquals(
    [finding?.kind, finding?.severity, finding?.what],
    ["failed", "damage", pool.status().reason],
  );
  await settle();
  await pool.close();
});

Deno.test("a write of zeroes that finds the pool full while chunks are zeroed", async () => {
  await using scratch = await makeQuickScratch();
  const files = new StoppingFiles();
  const { pool } = await openSmallPool(scratch, 1, {
    format: "native",
    openDevice: files.open,
    onFull: "error",
    createSize: 40 * MIB,
  });
  const { freeChunks } = pool.status();
  for (let v = 0; v < freeChunks; v++) {
    await pool.volume().write(pattern(100, v), v * SMALL_CHUNK);
  }
  const length = (freeChunks + 1) * SMALL_CHUNK;
  const zero = () => pool.volume().writeZeroes(0, length, { noHole: true });
  const first = follow(zero);
  await until(() => first.isOver);
  assertEquals((first.error as VirstorError).code, "no-space");
  // When it is answered, all that can be zeroed is.
  assertEquals(
    await readBytes(pool.volume(), (freeChunks - 1) * SMALL_CHUNK, 100),
    new Uint8Array(100),
  );
  const second = follow(zero);
  files.stop();
  await until(() => second.isOver);
  // Chunks are asked for once all that is mapped reads as zeroes.
  assertEquals((second.error as VirstorError).code, "io");
  await settle();
  assertThrows(
    () => pool.volume().write(pattern(9, 9), 0),
    VirstorError,
    "Stopped",
  );
  await pool.close().catch(() => {});
  await files.closeAll();
});
