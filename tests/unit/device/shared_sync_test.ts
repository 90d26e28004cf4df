/**
 * Goal: a flush that another thread runs by itself keeps the promises of
 * `FileDevice.flush`. Method: files, and a test that plays the other threads,
 * step by step.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  LeasedFlush,
  LeaseTable,
  SyncLines,
} from "../../../device/leases/mod.ts";
import { LeaseReader } from "../../../device/leases/lease_reader.ts";
import { createSparseFile, FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { testNatively } from "../../helpers/native.ts";
import { makeScratch, MIB, pattern } from "../../helpers/scratch.ts";

const CHUNK = 4096;

/** Files of 1 MiB with nothing to flush, and threads with leases of them. */
class Shared implements AsyncDisposable {
  readonly lines = new SyncLines();
  readonly table = new LeaseTable(CHUNK, true, this.lines);
  readonly devices: FileDevice[] = [];
  readonly told: string[] = [];

  static async make(paths: readonly string[]): Promise<Shared> {
    const shared = new Shared();
    for (const [i, path] of paths.entries()) {
      createSparseFile(path, MIB);
      const device = new FileDevice(path);
      await device.flush();
      device.observer = {
        flushBegins: () => shared.told.push("begins"),
        flushEnds: () => shared.told.push("ends"),
      };
      assert(device.shareSync(shared.lines.line(i + 1)));
      shared.devices.push(device);
      const lent = device.lend();
      assert(lent !== undefined);
      shared.table.grant(i, i + 1, lent, 0);
    }
    assertEquals(shared.thread().flush.begin(), "owner", "of unknown files");
    shared.lines.isComplete = true;
    return shared;
  }

  /** A thread: what it flushes with, and a write under its lease. */
  thread(): { flush: LeasedFlush; write: (chunk: number) => void } {
    const { memory } = this.table;
    const thread = this.table.join();
    assert(thread !== undefined);
    const reader = new LeaseReader(memory, thread);
    return {
      flush: new LeasedFlush(memory, thread),
      write: (chunk) => {
        assert(reader.use(chunk * CHUNK, 1));
        reader.noteWritten(1);
        reader.release();
      },
    };
  }

  /** Moves what threads have written to the owner, as a pool does. */
  settle(): void {
    for (const [i, device] of this.devices.entries()) {
      this.table.takeWritten(i + 1, () => device.touched());
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const device of this.devices) await device.close();
  }
}

/** Whether a promise has settled by now. */
async function hasSettled(promise: unknown): Promise<boolean> {
  let is = false;
  Promise.resolve(promise).then(() => is = true, () => is = true);
  // A message passes after everything that is ready.
  await new Promise((done) => setTimeout(done, 0));
  return is;
}

testNatively("a thread flushes what threads have written", async () => {
  await using scratch = await makeScratch();
  await using shared = await Shared.make(["a", "b"].map(scratch.file));
  const { flush, write } = shared.thread();
  assertEquals(flush.begin(), [], "there is nothing to flush");
  assert(flush.end(0));
  write(1);
  const files = flush.begin();
  assert(typeof files !== "string");
  assertEquals(
    files.map(({ descriptor, size }) => ({ descriptor, size })),
    [{ descriptor: shared.devices[1]?.lend()?.descriptor ?? -1, size: MIB }],
  );
  assert(flush.end(1));
  assertEquals(flush.begin(), [], "all is durable");
  assert(flush.end(0));
  assertEquals(shared.told, [], "it was not the owner's");
});

testNatively(
  "a file's histogram has the flushes of threads, and keeps them",
  async () => {
    await using scratch = await makeScratch();
    await using shared = await Shared.make(["a", "b"].map(scratch.file));
    const counts = () =>
      shared.devices.map(({ durations }) => durations.flushes.count);
    const before = counts();
    const { flush, write } = shared.thread();
    write(1);
    assertEquals(flush.begin().length, 1);
    assert(flush.end(1, 3));
    const [first = 0, second = 0] = before;
    assertEquals(counts(), [first, second + 1]);
    shared.devices[1]?.write(pattern(10, 1), 0);
    await shared.devices[1]?.flush();
    await shared.devices[1]?.close();
    assertEquals(counts(), [first, second + 2]);
    const { seconds = 0 } = shared.devices[1]?.durations.flushes ?? {};
    assert(seconds >= 0.003, `${seconds}`);
  },
);

testNatively("what the owner has written is the owner's to flush", async () => {
  await using scratch = await makeScratch();
  await using shared = await Shared.make(["a", "b"].map(scratch.file));
  const { flush, write } = shared.thread();
  write(0);
  shared.devices[1]?.write(pattern(10, 1), 0);
  assertEquals(flush.begin(), "owner");
  // The first file is not forgotten.
  await shared.devices[1]?.flush();
  const files = flush.begin();
  assertEquals(files.length, 1);
  assert(flush.end(1));
  for (const what of ["isSettling", "isComplete"] as const) {
    shared.lines[what] = what === "isSettling";
    assertEquals(flush.begin(), "owner");
    shared.lines[what] = what !== "isSettling";
  }
  shared.table.forbidWrites();
  assertEquals(flush.begin(), "owner", "the pool may have failed");
  shared.table.allowWrites();
  assertEquals(flush.begin(), []);
  shared.table.end();
  assert(!flush.end(0), "it was closed meanwhile");
  assertEquals(flush.begin(), "owner", "the pool is closed");
});

testNatively("the owner's flush waits for a thread's", async () => {
  await using scratch = await makeScratch();
  await using shared = await Shared.make([scratch.file("a")]);
  const [device] = shared.devices;
  const { flush, write } = shared.thread();
  write(0);
  assertEquals(flush.begin().length, 1);
  shared.settle();
  // The thread has the note of the write: the owner has to wait all the same.
  const first = device?.flush();
  assert(!await hasSettled(first));
  device?.write(pattern(10, 1), 0);
  assertEquals(device?.flush(), first, "it has not begun");
  assertEquals(shared.told, []);
  assert(flush.end(1));
  await first;
  assertEquals(shared.told, ["begins", "ends"]);
  assertEquals(device?.flush(), undefined);
});

testNatively("a thread's flush waits for the owner's", async () => {
  await using scratch = await makeScratch();
  await using shared = await Shared.make([scratch.file("a")]);
  const [device] = shared.devices;
  const { flush, write } = shared.thread();
  write(0);
  shared.settle();
  const first = device?.flush();
  // The note is gone, and the data are not durable.
  assertEquals(flush.begin(false), "busy");
  write(0);
  assertEquals(flush.begin(false), "busy");
  device?.write(pattern(10, 1), 0);
  assertEquals(flush.begin(false), "owner");
  await first;
  await device?.flush();
  assertEquals(flush.begin(false).length, 1);
  assert(flush.end(1));
});

testNatively("threads share flushes", async () => {
  await using scratch = await makeScratch();
  await using shared = await Shared.make(["a", "b"].map(scratch.file));
  const [one, other] = [shared.thread(), shared.thread()];
  one.write(0);
  other.write(1);
  assertEquals(one.flush.begin().length, 2);
  assertEquals(other.flush.begin(false), "busy");
  other.write(1);
  assert(one.flush.end(2));
  const files = other.flush.begin(false);
  assertEquals(files.length, 1, "what was written later");
  assert(other.flush.end(1));
});

testNatively("a thread's failed flush is for good", async () => {
  await using scratch = await makeScratch();
  await using shared = await Shared.make(["a", "b", "c"].map(scratch.file));
  const [one, other] = [shared.thread(), shared.thread()];
  for (const chunk of [0, 1, 2]) one.write(chunk);
  assertEquals(one.flush.begin().length, 3);
  const [a, b, c] = shared.devices;
  const waiting = b?.flush();
  assert(!one.flush.end(1));
  await assertRejects(async () => await waiting, VirstorError, "refused");
  assertThrows(() => b?.flush(), VirstorError, "refused");
  for (const { flush } of [one, other]) assertEquals(flush.begin(), "owner");
  assertEquals(await a?.flush(), undefined);
  // The third file was not tried.
  assertEquals(shared.table.takeWritten(3), true);
  assertEquals(await c?.flush(), undefined);
});

testNatively("a thread that ends in its flush leaves it unsound", async () => {
  await using scratch = await makeScratch();
  await using shared = await Shared.make([scratch.file("a")]);
  const thread = shared.thread();
  thread.write(0);
  assertEquals(thread.flush.begin().length, 1);
  const waiting = shared.devices[0]?.flush();
  shared.table.leave(1);
  await assertRejects(async () => await waiting, VirstorError, "refused");
});

testNatively("a deleted file is noticed after a thread's flush", async () => {
  await using scratch = await makeScratch();
  await using shared = await Shared.make([scratch.file("a")]);
  const thread = shared.thread();
  thread.write(0);
  assertEquals(thread.flush.begin().length, 1);
  await Deno.remove(scratch.file("a"));
  assert(!thread.flush.end(0));
  assertThrows(() => shared.devices[0]?.flush(), VirstorError, "deleted");
});

testNatively("FileDevice.close() waits for a thread's flush", async () => {
  await using scratch = await makeScratch();
  await using shared = await Shared.make([scratch.file("a")]);
  const [device] = shared.devices;
  const thread = shared.thread();
  thread.write(0);
  assertEquals(thread.flush.begin().length, 1);
  const closed = device?.close();
  assert(!await hasSettled(closed));
  assert(device?.lend()?.descriptor !== -1, "it is open");
  assert(thread.flush.end(1));
  await closed;
  thread.write(0);
  assertEquals(thread.flush.begin(), [], "the file is not there any more");
  assert(thread.flush.end(0));
  assert(!device?.shareSync(shared.lines.line(1)));
});

testNatively("a line serves one file after the other", async () => {
  await using scratch = await makeScratch();
  await using shared = await Shared.make([scratch.file("a")]);
  createSparseFile(scratch.file("b"), 3 * 2 ** 32);
  const next = new FileDevice(scratch.file("b"));
  assert(!next.shareSync(shared.lines.line(1)), "it is taken");
  await shared.devices[0]?.close();
  const first = next.flush();
  assert(next.shareSync(shared.lines.line(1)));
  const { flush, write } = shared.thread();
  assertEquals(flush.begin(false), "busy", "the owner's flush has begun");
  await first;
  write(0);
  const files = flush.begin(false);
  assert(typeof files !== "string");
  assertEquals(files.map(({ size }) => size), [3 * 2 ** 32]);
  assert(flush.end(1));
  await next.close();
});
