/**
 * Reads that have to wait for the disk: they are distinguished from those that
 * have not, and are waited for while others go on.
 *
 * @module
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CacheWatch } from "../../../device/leases/cache_watch.ts";
import { createSparseFile, FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { testNatively } from "../../helpers/native.ts";
import { makeQuickScratch } from "../../helpers/small_pools.ts";
import { firstDifference } from "../../helpers/bytes.ts";
import {
  dropCache,
  KIB,
  makeScratch,
  MIB,
  pattern,
} from "../../helpers/scratch.ts";

/** A device with a mebibyte of data on it, on the disk and nowhere else. */
async function coldDevice(path: string): Promise<FileDevice> {
  createSparseFile(path, 2 * MIB);
  const device = new FileDevice(path);
  device.write(pattern(MIB, 1), 0);
  await device.flush();
  await dropCache(path);
  return device;
}

testNatively(
  "FileDevice tells what is in the page cache, and waits for the rest",
  async () => {
    await using scratch = await makeScratch();
    const device = await coldDevice(scratch.file("disk"));
    const target = new Uint8Array(8 * KIB);
    const view = target.subarray(1);
    assertEquals(device.readCached(view, 512 * KIB), 0);
    await device.readCold(view, 512 * KIB);
    assertEquals(view, pattern(MIB, 1).subarray(512 * KIB).subarray(0, 8191));
    assertEquals(target[0], 0);
    view.fill(0);
    assertEquals(device.readCached(view, 512 * KIB), 8191);
    assertEquals(view, pattern(MIB, 1).subarray(512 * KIB).subarray(0, 8191));
    await device.close();
  },
);

Deno.test("FileDevice.close() waits for reads that are under way", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  const device = await coldDevice(path);
  const targets = Array.from({ length: 50 }, () => new Uint8Array(MIB));
  const reads = targets.map((target) => device.readCold(target, 0));
  const closing = device.close();
  // Descriptors that are free are used again at once.
  const others = Array.from({ length: 5 }, () => new FileDevice(path));
  await Promise.all(reads);
  await closing;
  for (const target of targets) {
    assertEquals(firstDifference(target, pattern1), -1);
  }
  for (const other of others) other.close();
});

const pattern1 = pattern(MIB, 1);

Deno.test("FileDevice.close() may be repeated while reads are under way", async () => {
  await using scratch = await makeScratch();
  const device = await coldDevice(scratch.file("disk"));
  const read = device.readCold(new Uint8Array(MIB), 0);
  await Promise.all([device.close(), device.close(), read]);
  await device.close();
});

Deno.test("FileDevice begins no read once it is being closed", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  const device = await coldDevice(path);
  const target = new Uint8Array(4 * KIB);
  const late: Promise<void>[] = [];
  const again = device.readCold(new Uint8Array(MIB), 0)
    .then(() => void late.push(device.readCold(target, 0)));
  const closed = device.close();
  await again;
  await assertRejects(
    () => late[0] ?? Promise.resolve(),
    VirstorError,
    "it is closed",
  );
  await closed;
  // The number of its descriptor may be another file's by now.
  await using other = await coldOther(scratch.file("other"));
  await assertRejects(() => device.readCold(target, 0), VirstorError);
  assertThrows(() => device.readCached(target, 0), VirstorError, "is closed");
  assertEquals(target, new Uint8Array(4 * KIB));
  assertEquals(other.device.size, 2 * MIB);
});

async function coldOther(
  path: string,
): Promise<{ device: FileDevice } & AsyncDisposable> {
  const device = await coldDevice(path);
  return {
    device,
    async [Symbol.asyncDispose]() {
      await device.close();
    },
  };
}

Deno.test("FileDevice finds data at any offset without waiting", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  createSparseFile(path, 2 ** 42);
  const device = new FileDevice(path);
  const offsets = [2 ** 31, 2 ** 32, 5 * 2 ** 30 + 4096, 2 ** 42 - 4096];
  for (const [i, offset] of offsets.entries()) {
    device.write(pattern(4096, i + 1), offset);
  }
  const target = new Uint8Array(4096);
  // Often enough for the compiler to choose another way to call.
  for (let round = 0; round < 20_000; round++) {
    const i = round % offsets.length;
    assertEquals(device.readCached(target, offsets[i] ?? 0), 4096);
    const [first] = pattern(1, i + 1);
    if (target[0] !== first) throw new Error(`Wrong data at ${offsets[i]}`);
    target[0] = 0;
  }
  await device.close();
});

Deno.test("FileDevice.readCold() fails behind the end of the file", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  const device = await coldDevice(path);
  await Deno.truncate(path, 5000);
  const error = await assertRejects(
    () => device.readCold(new Uint8Array(4 * KIB), 4 * KIB),
    VirstorError,
    "the file ends before",
  );
  assertEquals(error.code, "io");
  await device.close();
});

Deno.test("FileDevice.readCold() that fails tells all that was to be read", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  const device = await coldDevice(path);
  await Deno.truncate(path, 6000);
  const target = new Uint8Array(8 * KIB).fill(7);
  const error = await assertRejects(
    () => device.readCold(target, 4 * KIB, 1000),
    VirstorError,
    `Cannot read 8192 bytes at 4096 of "${path}": `,
  );
  assertEquals(error.code, "io");
  // What was there stays.
  assertEquals(target.subarray(0, 1000), new Uint8Array(1000).fill(7));
  const rest = new Uint8Array(900).fill(7);
  await device.readCold(rest, 4 * KIB, 300);
  assertEquals(rest.subarray(0, 300), new Uint8Array(300).fill(7));
  assertEquals(rest.subarray(300), pattern(MIB, 1).subarray(4396, 4996));
  await device.close();
});

Deno.test("FileDevice reads everything at once where nothing is known", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("disk");
  (await coldDevice(path)).close();
  const device = new FileDevice(path, { native: false });
  const target = new Uint8Array(4 * KIB);
  assertEquals(device.readCached(target, 0), 4 * KIB);
  assertEquals(target, pattern(4 * KIB, 1));
  device.close();
});

Deno.test("CacheWatch looks at each read after a miss, then now and then", () => {
  const watch = new CacheWatch();
  const looks = (reads: number) => {
    let count = 0;
    for (let i = 0; i < reads; i++) if (watch.isToLook()) count++;
    return count;
  };
  assertEquals(looks(1024), 1024);
  assertEquals(looks(800), 100);
  watch.missed();
  assertEquals(looks(1024), 1024);
  assertEquals(looks(800), 100);
});

Deno.test("FileDevice finds out at once where the system never tells", async () => {
  // Of memory everything is cached, and Linux does not say so.
  await using scratch = await makeQuickScratch();
  const path = scratch.file("disk");
  createSparseFile(path, MIB);
  const device = new FileDevice(path);
  device.write(pattern(MIB, 1), 0);
  const target = new Uint8Array(4 * KIB);
  for (let i = 0; i < 10; i++) {
    assertEquals(device.readCached(target, i * 4 * KIB), 4 * KIB);
    const wanted = pattern(MIB, 1).subarray(i * 4 * KIB).subarray(0, 4 * KIB);
    assertEquals(target, wanted);
  }
  device.close();
});
