/**
 * Goal: a flush that another thread runs keeps the promises of
 * `FileDevice.flush`. Method: files, and a test that plays the other thread.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSparseFile, FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { testNatively } from "../../helpers/native.ts";
import { makeScratch, MIB, pattern } from "../../helpers/scratch.ts";

/** A device of 1 MiB with nothing to flush, and the calls of its observer. */
async function makeClean(path: string): Promise<[FileDevice, string[]]> {
  createSparseFile(path, MIB);
  const device = new FileDevice(path);
  await device.flush();
  const told: string[] = [];
  device.observer = {
    flushBegins: () => told.push("begins"),
    flushEnds: () => told.push("ends"),
  };
  return [device, told];
}

testNatively("FileDevice lends a flush to another thread", async () => {
  await using scratch = await makeScratch();
  const [device, told] = await makeClean(scratch.file("disk"));
  assert(device.maySyncElsewhere);
  assertEquals(device.syncElsewhere(), undefined, "there is nothing to flush");
  device.write(pattern(10, 1), 0);
  const lent = device.syncElsewhere();
  assert(lent !== undefined);
  assertEquals(lent.file, {
    descriptor: device.lend()?.descriptor ?? -1,
    size: MIB,
  });
  assertEquals(told, ["begins"]);
  assert(!device.maySyncElsewhere, "one at a time");
  // Flushes that come meanwhile wait for it, or for the next one.
  const shared = device.flush();
  assert(shared !== undefined);
  device.write(pattern(10, 2), 0);
  const next = device.flush();
  assert(next !== undefined && next !== shared);
  assertEquals(told, ["begins"]);
  lent.end(true);
  await lent.ended;
  await shared;
  await next;
  assertEquals(told, ["begins", "ends", "begins", "ends"]);
  assertEquals(device.flush(), undefined);
  await device.close();
});

testNatively(
  "FileDevice fails for good if another thread's flush fails",
  async () => {
    await using scratch = await makeScratch();
    const [device, told] = await makeClean(scratch.file("disk"));
    device.write(pattern(10, 1), 0);
    const lent = device.syncElsewhere();
    const shared = device.flush();
    device.write(pattern(10, 2), 0);
    const next = device.flush();
    const ends = [lent?.ended, shared, next].map((end) =>
      assertRejects(async () => await end, VirstorError, "the system refused")
    );
    lent?.end(false);
    await Promise.all(ends);
    await assertRejects(async () => await device.flush(), VirstorError);
    assert(!device.maySyncElsewhere);
    assertEquals(told, ["begins"]);
    await device.close();
  },
);

testNatively(
  "FileDevice notices a deleted file after another thread's flush",
  async () => {
    await using scratch = await makeScratch();
    const [device] = await makeClean(scratch.file("disk"));
    device.write(pattern(10, 1), 0);
    const lent = device.syncElsewhere();
    await Deno.remove(scratch.file("disk"));
    lent?.end(true);
    await assertRejects(async () => await lent?.ended, VirstorError, "deleted");
    await device.close();
  },
);

testNatively(
  "FileDevice.close() waits for another thread's flush",
  async () => {
    await using scratch = await makeScratch();
    const [device] = await makeClean(scratch.file("disk"));
    device.write(pattern(10, 1), 0);
    const lent = device.syncElsewhere();
    const closed = device.close();
    assert(closed !== undefined && device.lend()?.descriptor !== -1);
    lent?.end(true);
    await closed;
    assert(!device.maySyncElsewhere);
  },
);
