/**
 * Evacuations that do not go smoothly: there is no room any more, a disk
 * fails, everything stops.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import { FileDevice } from "../../../device/mod.ts";
import { messageOf, VirstorError } from "../../../errors.ts";
import type { OpenDevice } from "../../../pool/core/mod.ts";
import { openPool, type Pool } from "../../../pool/mod.ts";
import { isZero } from "../../helpers/bytes.ts";
import {
  componentSize,
  openSmallPool,
  pattern,
  readBytes,
  type Scratch,
  SMALL_CHUNK,
  type SmallPool,
} from "../../helpers/scratch.ts";
import {
  assertContent,
  assertSound,
  chunkBytes,
  type Content,
  makeQuickScratch,
  randomOf,
  until,
  writeChunk,
} from "../../helpers/small_pools.ts";
import { Snapshot, StoppingFiles } from "../../helpers/stopping_device.ts";

/** Opens a pool of two components with 10 chunks each. */
function openTwo(
  scratch: Scratch,
  openDevice?: OpenDevice,
): Promise<SmallPool> {
  return openSmallPool(scratch, 2, {
    format: "native",
    createSize: componentSize("native", 10),
    virtualSize: 128 * SMALL_CHUNK,
    ...openDevice && { openDevice },
  });
}

async function fill(pool: Pool, chunks: number): Promise<Content> {
  const content: Content = new Map();
  for (let v = 0; v < chunks; v++) await writeChunk(pool, content, v);
  return content;
}

async function untilDone(pool: Pool): Promise<void> {
  await until(() => pool.status().evacuation === null);
}

/** Lets an evacuation begin that has to wait: writes take the room. */
async function waitForRoom(pool: Pool, path: string): Promise<Content> {
  const content = await fill(pool, 20);
  // There will be room, and there are writes that came first.
  await pool.volume().discard(10 * SMALL_CHUNK, 10 * SMALL_CHUNK);
  const writes: Promise<void>[] = [];
  for (let v = 10; v < 20; v++) {
    content.delete(v);
    writes.push(writeChunk(pool, content, v + 10));
  }
  await pool.remove([path]);
  await Promise.all(writes);
  await until(() => pool.status().evacuation?.state === "waiting");
  assertEquals(pool.status().freeChunks, 0);
  assertEquals(pool.status().evacuation?.secondsLeft, null);
  assertEquals(pool.status().evacuation?.leftBytes, 10 * SMALL_CHUNK);
  return content;
}

Deno.test("An evacuation waits when writes have taken the room, and goes on after a discard or an add", async () => {
  for (const way of ["discard", "add"] as const) {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openTwo(scratch);
    const [a = "", b = ""] = paths;
    const content = await waitForRoom(pool, a);
    await assertContent(pool, content);
    assertEquals(await pool.check(), []);
    const added = scratch.file("added");
    if (way === "discard") {
      await pool.volume().discard(20 * SMALL_CHUNK, 100 * SMALL_CHUNK);
      for (const v of [...content.keys()]) if (v >= 20) content.delete(v);
    } else {
      await pool.add([added], { createSize: componentSize("native", 10) });
    }
    await untilDone(pool);
    await assertContent(pool, content);
    await pool.close();
    await assertSound("native", way === "add" ? [b, added] : [b]);
  }
});

Deno.test("Volume.close() ends writes that go before an evacuation, which comes to its end", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openTwo(scratch);
  const [a = "", b = ""] = paths;
  const content = await waitForRoom(pool, a);
  // More than is resumed in one turn.
  const writes = Array.from(
    { length: 60 },
    (_, i) => writeChunk(pool, content, 40 + i),
  );
  const ended = Promise.allSettled(writes);
  const added = scratch.file("added");
  await pool.add([added], { createSize: componentSize("native", 80) });
  await pool.volume().close();
  await ended;
  await untilDone(pool);
  await pool.close();
  await assertSound("native", [b, added]);
  await using again = await openPool([b, added]);
  await assertContent(again, content);
});

Deno.test("Writes that wait for space go before an evacuation that does, and both come to an end", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openTwo(scratch);
  const [a = "", b = ""] = paths;
  const content = await waitForRoom(pool, a);
  // More than is resumed in one turn.
  const writes = Array.from(
    { length: 60 },
    (_, i) => writeChunk(pool, content, 40 + i),
  );
  assert(pool.status().delayed.bytes > 6 << 20);
  const added = scratch.file("added");
  await pool.add([added], { createSize: componentSize("native", 80) });
  await Promise.all(writes);
  await untilDone(pool);
  await assertContent(pool, content);
  await pool.close();
  await assertSound("native", [b, added]);
});

Deno.test("Pool.close() ends an evacuation that waits, and the next open goes on with it", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openTwo(scratch);
  const [a = "", b = ""] = paths;
  const content = await waitForRoom(pool, a);
  await pool.close();
  await assertSound("native", paths);
  const again = await openPool(paths);
  await until(() => again.status().evacuation?.state === "waiting");
  await again.volume().discard(20 * SMALL_CHUNK, 100 * SMALL_CHUNK);
  for (const v of [...content.keys()]) if (v >= 20) content.delete(v);
  await untilDone(again);
  await assertContent(again, content);
  await again.close();
  await assertSound("native", [b]);
});

/** A file that fails when the test wants it. */
interface Faults {
  readonly openDevice: OpenDevice;
  /** Which operation on which component fails, of how many bytes. */
  fails: (
    action: "read" | "write" | "flush",
    name: string,
    length: number,
  ) => boolean;
}

function makeFaults(): Faults {
  const faults: Faults = {
    fails: () => false,
    openDevice: (path, options) => {
      const device = new FileDevice(path, options);
      const name = path.slice(path.lastIndexOf("/") + 1);
      const check = (action: "read" | "write" | "flush", length: number) => {
        if (!faults.fails(action, name, length)) return;
        throw new VirstorError("io", `Cannot ${action}: no spindle turns`);
      };
      const { read, write, flush } = FileDevice.prototype;
      device.read = (...args) => {
        check("read", args[0].length);
        return read.apply(device, args);
      };
      device.write = (...args) => {
        check("write", args[0].length);
        return write.apply(device, args);
      };
      device.flush = () => {
        check("flush", 0);
        return flush.apply(device);
      };
      return device;
    },
  };
  return faults;
}

for (const action of ["read", "write"] as const) {
  const name = action === "read" ? "c0" : "c1";
  Deno.test(`An evacuation stops when a chunk cannot be ${action === "read" ? "read" : "written"}, the pool goes on, and it can be begun again`, async () => {
    await using scratch = await makeQuickScratch();
    const faults = makeFaults();
    const { pool, paths, events } = await openTwo(scratch, faults.openDevice);
    const [a = "", b = ""] = paths;
    const content = await fill(pool, 8);
    let count = 0;
    faults.fails = (what, where, length) =>
      what === action && where === name && length === SMALL_CHUNK &&
      ++count === 4;
    await pool.remove([a]);
    await until(() => pool.status().evacuation?.state === "stopped");
    faults.fails = () => false;
    const { evacuation, state } = pool.status();
    assertEquals(state, "open");
    assert(evacuation?.reason.includes("no spindle turns"), evacuation?.reason);
    assert(events.some(({ kind }) => kind === "evacuation-failed"));
    await assertContent(pool, content);
    await writeChunk(pool, content, 30);
    assertEquals(await pool.check(), []);
    await pool.remove([a]);
    await untilDone(pool);
    await assertContent(pool, content);
    await pool.close();
    await assertSound("native", [b]);
    const again = await openPool([b]);
    await assertContent(again, content);
    await again.close();
  });
}

Deno.test("An evacuation whose copies cannot be made durable stops the writes, and loses nothing", async () => {
  await using scratch = await makeQuickScratch();
  const faults = makeFaults();
  const { pool, paths } = await openTwo(scratch, faults.openDevice);
  const [a = "", b = ""] = paths;
  const content = await fill(pool, 8);
  await pool.remove([a], { bytesPerSecond: 50 * SMALL_CHUNK });
  faults.fails = (action, name) => action === "flush" && name === "c1";
  await until(() => pool.status().state === "failed");
  await assertContent(pool, content);
  await pool.close();
  faults.fails = () => false;
  const again = await openPool(paths);
  await untilDone(again);
  await assertContent(again, content);
  await again.close();
  await assertSound("native", [b]);
});

/** Evacuates until everything stops; gives what was acknowledged by then. */
async function evacuateUntilStop(
  paths: readonly string[],
  content: Content,
  writes: number,
): Promise<{ files: StoppingFiles; isDone: boolean; doubtful: number }> {
  const files = new StoppingFiles();
  const pool = await openPool(paths, { openDevice: files.open });
  files.stopAfter(writes);
  let doubtful = -1;
  try {
    await pool.remove(paths.slice(0, 1));
    for (let i = 0; pool.status().evacuation !== null; i++) {
      const { state } = pool.status().evacuation ?? {};
      if (files.isStopped || state === "stopped") break;
      doubtful = i % 4;
      await pool.volume().write(chunkBytes(100 + i), doubtful * SMALL_CHUNK);
      content.set(doubtful, chunkBytes(100 + i));
      doubtful = -1;
      await new Promise((resolve) => setTimeout(resolve));
    }
  } catch (error) {
    assert(files.isStopped && error instanceof VirstorError, messageOf(error));
  }
  const isDone = !files.isStopped;
  files.stop();
  await pool.close().catch(() => {});
  await files.closeAll();
  return { files, isDone, doubtful };
}

Deno.test("An evacuation can be stopped at any write, as by SIGKILL, and loses nothing that was acknowledged", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openTwo(scratch);
  const before = await fill(pool, 6);
  await pool.close();
  const start = new Snapshot(paths);
  for (let writes = 0;; writes++) {
    start.restore();
    const content = new Map(before);
    const { isDone, doubtful } = await evacuateUntilStop(
      paths,
      content,
      writes,
    );
    await checkLeft(paths, content, doubtful, `${writes} writes`);
    if (isDone) break;
    assert(writes < 300, "it comes to an end");
  }
});

Deno.test("An evacuation can be stopped at any write by a power cut, and loses nothing that was flushed", async () => {
  await using scratch = await makeQuickScratch();
  const { pool, paths } = await openTwo(scratch);
  const before = await fill(pool, 6);
  await pool.close();
  const start = new Snapshot(paths);
  for (let writes = 0;; writes++) {
    start.restore();
    const content = new Map(before);
    const { files, isDone } = await evacuateUntilStop(paths, content, writes);
    const random = randomOf(writes);
    const share = random();
    files.powerCut(() => random() < share);
    // What is written to the first four chunks is not flushed.
    for (let v = 0; v < 4; v++) content.delete(v);
    const again = await openAgain(paths);
    for (const [v, bytes] of content) {
      const found = await readBytes(
        again.volume(),
        v * SMALL_CHUNK,
        SMALL_CHUNK,
      );
      const isSame = Buffer.compare(found, bytes) === 0;
      assert(isSame, `chunk ${v} after ${writes} writes`);
    }
    await again.close();
    if (isDone) break;
    assert(writes < 300, "it comes to an end");
  }
});

/** Opens what is left, with the component that leaves or without it. */
async function openAgain(paths: readonly string[]): Promise<Pool> {
  const pool = await openPool(paths);
  await untilDone(pool);
  assertEquals(await pool.check(), []);
  return pool;
}

async function checkLeft(
  paths: readonly string[],
  content: Content,
  doubtful: number,
  when: string,
): Promise<void> {
  const pool = await openAgain(paths);
  for (const [v, bytes] of content) {
    if (v === doubtful) continue;
    const found = await readBytes(pool.volume(), v * SMALL_CHUNK, SMALL_CHUNK);
    assert(Buffer.compare(found, bytes) === 0, `chunk ${v} after ${when}`);
  }
  // What is free reads as zeroes.
  for (let v = 50; pool.status().freeChunks > 0; v++) {
    await pool.volume().write(pattern(10, v), v * SMALL_CHUNK);
    const rest = await readBytes(
      pool.volume(),
      v * SMALL_CHUNK + 10,
      SMALL_CHUNK - 10,
    );
    assert(isZero(rest), `chunk ${v} after ${when}`);
  }
  await pool.close();
}

for (const way of ["a client that leaves", "a timeout"] as const) {
  Deno.test(`An evacuation that waits behind a delayed write goes on when ${way} ends the wait, and the next wait is reported again`, async () => {
    await using scratch = await makeQuickScratch();
    const { pool, paths, events } = await openSmallPool(scratch, 2, {
      format: "native",
      createSize: componentSize("native", 10),
      virtualSize: 128 * SMALL_CHUNK,
      ...way === "a timeout" && { onFull: "delay", fullTimeoutSeconds: 1 },
    });
    const [a = "", b = ""] = paths;
    const content = await fill(pool, 20);
    const client = new AbortController();
    const wait = (v: number) =>
      Promise.resolve(
        pool.volume().write(chunkBytes(v), v * SMALL_CHUNK, {
          signal: client.signal,
        }),
      ).then(() => "served", (error) => error.code);
    const tellings = () => events.filter(({ kind }) => kind === "delayed");
    // Half of what the first one has makes room, but three writes wait.
    const waits = [30, 31, 32].map(wait);
    await until(() => tellings().length === 1);
    if (way === "a client that leaves") client.abort();
    const code = way === "a timeout" ? "no-space" : "cancelled";
    assertEquals(await Promise.all(waits), [code, code, code]);
    await until(() => events.some(({ kind }) => kind === "resumed"));
    const again = writeChunk(pool, content, 40).catch(() => {});
    await until(() => tellings().length === 2);
    await pool.volume().discard(0, 11 * SMALL_CHUNK);
    for (let v = 0; v < 11; v++) content.delete(v);
    await again;
    await pool.remove([a]);
    await untilDone(pool);
    await assertContent(pool, content);
    await pool.close();
    await assertSound("native", [b]);
  });
}

for (const ticks of [0, 3, 6, 9, 12]) {
  Deno.test(`An evacuation that waits behind delayed writes takes the free chunks when they are cancelled ${ticks} ticks after the first was served`, async () => {
    await using scratch = await makeQuickScratch();
    const { pool, paths } = await openTwo(scratch);
    const [a = "", b = ""] = paths;
    const content = await waitForRoom(pool, a);
    const client = new AbortController();
    const { signal } = client;
    // More than the pool resumes in one turn.
    const writes = Array.from({ length: 60 }, async (_, i) => {
      const pending = pool.volume().write(
        chunkBytes(i),
        (40 + i) * SMALL_CHUNK,
        {
          signal,
        },
      );
      try {
        await pending;
        return true;
      } catch {
        return false;
      }
    });
    const [first] = writes;
    const cancelled = first?.then(async () => {
      for (let i = 0; i < ticks; i++) await Promise.resolve();
      client.abort();
    });
    const added = scratch.file("added");
    await pool.add([added], { createSize: componentSize("native", 80) });
    await cancelled;
    const served = await Promise.all(writes);
    assert(served.includes(false), "some writes were cancelled");
    for (const [i, isServed] of served.entries()) {
      if (isServed) content.set(40 + i, chunkBytes(i));
    }
    await untilDone(pool);
    await assertContent(pool, content);
    await pool.close();
    await assertSound("native", [b, added]);
  });
}
