/**
 * Goal: a read that waits for the disk never gives another chunk's bytes,
 * whatever becomes of its chunk meanwhile. Method: components whose cold reads
 * end when the test says so.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { openPool, type Pool } from "../../../pool/mod.ts";
import { openSmallPool, pattern, SMALL_CHUNK } from "../../helpers/scratch.ts";
import { makeQuickScratch, until } from "../../helpers/small_pools.ts";

/** Cold reads that wait: each goes on when it is called. */
type Waiting = (() => void)[];

/** Nothing is in its page cache, and its reads wait. */
class ColdDevice extends FileDevice {
  waiting: Waiting = [];
  /** What the next cold reads fail with. */
  failure: unknown;

  override readCached(_target: Uint8Array, _offset: number): number {
    return 0;
  }

  override async readCold(target: Uint8Array, offset: number): Promise<void> {
    await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (this.failure !== undefined) throw this.failure;
    await super.readCold(target, offset);
  }
}

interface ColdPool {
  readonly pool: Pool;
  readonly device: ColdDevice;
  /** Lets every read go on until a promise is done. */
  letGoUntil(done: unknown): Promise<void>;
}

/** A pool with one component of 5 chunks, on which virtual chunk 0 is. */
async function openCold(
  scratch: Awaited<ReturnType<typeof makeQuickScratch>>,
  count = 1,
): Promise<ColdPool> {
  const { pool: first, paths } = await openSmallPool(scratch, count, {
    format: "native",
  });
  await first.volume().write(pattern(SMALL_CHUNK, 1), 0);
  await first.close();
  const devices: ColdDevice[] = [];
  const pool = await openPool(paths, {
    openDevice: (path, options) => {
      const device = new ColdDevice(path, options);
      devices.push(device);
      return device;
    },
  });
  const [device] = devices;
  if (device === undefined) throw new Error("There is no component");
  return {
    pool,
    device,
    async letGoUntil(done) {
      let ended = false;
      const end = Promise.resolve(done).then(() => ended = true);
      while (!ended) {
        for (const { waiting } of devices) {
          for (const go of waiting.splice(0)) go();
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await end;
    },
  };
}

function startRead(pool: Pool, offset = 0, length = 1000) {
  const target = new Uint8Array(length);
  return { target, done: pool.volume().read(target, offset) };
}

async function letGo({ waiting }: ColdDevice): Promise<void> {
  await until(() => waiting.length > 0);
  for (const go of waiting.splice(0)) go();
}

Deno.test("a cold read is waited for, and others are not held up", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, device } = await openCold(scratch);
  const read = startRead(pool, 100);
  assertEquals(pool.volume().write(pattern(100, 2), 100), undefined);
  assertEquals(startRead(pool, 40 * SMALL_CHUNK).done, undefined);
  await letGo(device);
  await read.done;
  assertEquals(read.target.subarray(0, 100), pattern(100, 2));
  await pool.close();
});

Deno.test("a cold read over several chunks fills all of it", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, device } = await openCold(scratch);
  await pool.volume().write(pattern(SMALL_CHUNK, 2), SMALL_CHUNK);
  const read = startRead(pool, SMALL_CHUNK - 10, SMALL_CHUNK + 20);
  await until(() => device.waiting.length === 2);
  await letGo(device);
  await read.done;
  assertEquals(
    read.target.subarray(0, 10),
    pattern(SMALL_CHUNK, 1).subarray(-10),
  );
  assertEquals(read.target.subarray(10, -10), pattern(SMALL_CHUNK, 2));
  assertEquals(read.target.subarray(-10), new Uint8Array(10));
  await pool.close();
});

for (const comesBack of [false, true]) {
  const what = comesBack ? "and has come back to it" : "and is another's now";
  Deno.test(`a cold read of a chunk that was given back ${what}`, async () => {
    await using scratch = await makeQuickScratch();
    const { pool, device, letGoUntil } = await openCold(scratch);
    const read = startRead(pool);
    await until(() => device.waiting.length === 1);
    await pool.volume().discard(0, SMALL_CHUNK);
    await until(() => pool.status().freeingChunks === 0);
    // Every chunk there is, the one that is being read among them.
    for (let v = 1; v <= 5; v++) {
      await pool.volume().write(pattern(SMALL_CHUNK, 90), v * SMALL_CHUNK);
    }
    const wanted = comesBack ? pattern(SMALL_CHUNK, 3) : new Uint8Array(1000);
    if (comesBack) {
      await pool.volume().discard(SMALL_CHUNK, SMALL_CHUNK);
      await until(() => pool.status().freeingChunks === 0);
      await pool.volume().write(wanted, 0);
    }
    await letGoUntil(read.done);
    assertEquals(read.target, wanted.subarray(0, 1000));
    await pool.close();
  });
}

Deno.test("a cold read ends though chunks are given back all the time", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, device } = await openCold(scratch);
  const read = startRead(pool);
  let ended = false;
  const end = Promise.resolve(read.done).then(() => ended = true);
  for (let tries = 0; !ended; tries++) {
    await pool.volume().write(pattern(10, tries), SMALL_CHUNK);
    await pool.volume().discard(SMALL_CHUNK, SMALL_CHUNK);
    for (const go of device.waiting.splice(0)) go();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await end;
  assertEquals(read.target, pattern(1000, 1));
  await pool.close();
});

Deno.test("a cold read goes on where its chunk was moved to", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, device, letGoUntil } = await openCold(scratch, 2);
  const read = startRead(pool);
  await until(() => device.waiting.length === 1);
  await pool.remove([device.path]);
  await until(() => pool.status().components.at(-1)?.used === 1);
  await pool.volume().write(pattern(500, 5), 0);
  await letGoUntil(read.done);
  assertEquals(read.target.subarray(0, 500), pattern(500, 5));
  assertEquals(read.target.subarray(500), pattern(1000, 1).subarray(500));
  await until(() => pool.status().components.length === 1);
  await pool.close();
});

Deno.test("a cold read that fails is an error", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, device } = await openCold(scratch);
  const read = startRead(pool);
  device.failure = new VirstorError("io", "Cannot read: bad sector");
  await letGo(device);
  await assertRejects(() => Promise.resolve(read.done), VirstorError, "bad");
  device.failure = undefined;
  await pool.close();
});
