/**
 * The device of a remote component, over a real journal and a far side that is
 * held, or refuses.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createSparseFile, FileDevice } from "../../../device/file/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  Journal,
  JOURNAL_SIZE_MIN,
  type JournalDevice,
  RemoteComponent,
} from "../../../pool/remote/mod.ts";
import { isZero } from "../../helpers/bytes.ts";
import { FarMemory } from "../../helpers/far_memory.ts";
import { eventually, pause } from "../../helpers/patience.ts";
import { makeScratch, pattern, type Scratch } from "../../helpers/scratch.ts";

const SIZE = 2 ** 20;
const OWNER = {
  componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
  generation: 7,
  componentSize: SIZE,
};

async function create(
  scratch: Scratch,
  far: FarMemory,
  size = JOURNAL_SIZE_MIN,
): Promise<RemoteComponent> {
  const path = scratch.file("journal");
  createSparseFile(path, size);
  const journal = await Journal.create(new FileDevice(path), OWNER);
  return over(far, journal);
}

function over(far: FarMemory, journal: Journal): RemoteComponent {
  return new RemoteComponent({
    path: "nbd://far/",
    far,
    journal,
    retryMs: 1,
  });
}

async function reopen(
  scratch: Scratch,
  far: FarMemory,
): Promise<RemoteComponent> {
  const device = new FileDevice(scratch.file("journal"));
  return over(far, await Journal.open(device, OWNER));
}

async function read(
  component: RemoteComponent,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const target = new Uint8Array(length);
  await component.read(target, offset);
  return target;
}

Deno.test("a remote component completes writes at once, and reads them", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  await using component = await create(scratch, far);
  far.hold();
  assertEquals(component.write(pattern(5000, 1), 100), undefined);
  assertEquals(component.writeZeroes(1000, 10), undefined);
  assertEquals(component.write(pattern(4, 2), 1002), undefined);
  const wanted = pattern(5000, 1).fill(0, 900, 910);
  wanted.set(pattern(4, 2), 902);
  const target = new Uint8Array(5000);
  assertEquals(component.read(target, 100), undefined);
  assertEquals(target, wanted);
  assertEquals(component.readCached(target.subarray(0, 10), 100), 10);
  assertEquals(component.readCached(target.subarray(0, 10), 95), 0);
  assertEquals(component.status().pending, 3);
  assert(isZero(far.content));
  far.release();
  await component.flush();
  assertEquals(far.content.slice(100, 5100), wanted);
  assertEquals(component.status().pending, 0);
  assertEquals(await read(component, 100, 5000), wanted);
});

Deno.test("a remote component joins writes that follow each other", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  await using component = await create(scratch, far, 2 ** 24);
  for (let i = 0; i < 64; i++) component.write(pattern(4096, i), i * 4096);
  await component.flush();
  assertEquals(far.requests.map(({ what }) => what), ["write", "flush"]);
  for (let i = 0; i < 64; i++) {
    const part = far.content.slice(i * 4096, (i + 1) * 4096);
    assertEquals(part, pattern(4096, i));
  }
});

Deno.test("a remote component sends only the last content of what was recovered", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  far.hold();
  const first = await create(scratch, far);
  first.write(pattern(1000, 1), 0);
  first.write(pattern(500, 2), 250);
  first.write(pattern(1000, 3), 5000);
  first.writeZeroes(5000, 1000);
  // As after SIGKILL. The far side may have all of it by now, and durably.
  const other = new FarMemory(SIZE);
  await using second = await reopen(scratch, other);
  await second.flush();
  const wanted = pattern(1000, 1);
  wanted.set(pattern(500, 2), 250);
  assertEquals(other.content.slice(0, 1000), wanted);
  for (const { what, offset, bytes } of other.requests) {
    if (what === "flush") continue;
    const part = other.content.slice(offset, offset + bytes.length);
    assertEquals(bytes, part, "never an older content");
  }
  await first.close();
});

Deno.test("a flush of a remote component ends when the far side has flushed", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  await using component = await create(scratch, far);
  const seen: string[] = [];
  component.observer = {
    flushBegins: () => seen.push("begins"),
    flushEnds: () => seen.push("ends"),
  };
  far.hold();
  component.write(pattern(100, 1), 0);
  let isDone = false;
  const flush = Promise.resolve(component.flush()).then(() => isDone = true);
  component.write(pattern(100, 2), 0);
  const next = component.flush();
  assertEquals(component.flush(), next, "flushes share the next one");
  await pause(20);
  assertEquals([isDone, ...seen], [false, "begins"]);
  far.release();
  await flush;
  await next;
  assertEquals(seen, ["begins", "ends", "begins", "ends"]);
  assertEquals(component.flush(), undefined);
  // What the first flush covered was written before it, though overwritten.
  const [first, ...others] = far.requests;
  assertEquals(first?.bytes, pattern(100, 1));
  assertEquals(others.map(({ what }) => what).toSorted(), [
    ...["flush", "flush", "write"],
  ]);
});

Deno.test("writes to a remote component wait in order while its journal is full", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  await using component = await create(scratch, far);
  far.hold();
  const source = new Uint8Array(10_000);
  const waiting: Promise<void>[] = [];
  for (let i = 0; i < 40; i++) {
    source.fill(i + 1);
    const pending = component.write(source, i * 5000);
    if (pending !== undefined) waiting.push(pending);
  }
  const zeroes = component.writeZeroes(3, 10);
  assert(zeroes !== undefined, "zeroes wait behind writes");
  const { delayedWrites, journalUsed, journalSize } = component.status();
  assertEquals(delayedWrites, waiting.length + 1);
  assertEquals(component.waits, waiting.length + 1);
  assert(waiting.length > 20 && journalUsed <= journalSize);
  const wanted = new Uint8Array(SIZE);
  for (let i = 0; i < 40; i++) {
    wanted.fill(i + 1, i * 5000, i * 5000 + 10_000);
  }
  wanted.fill(0, 3, 13);
  const { behind } = component;
  assert(behind !== undefined && component.congestion === undefined);
  let isComplete = false;
  zeroes.then(() => isComplete = true);
  // Reads see what waits; what neither waits nor is in the journal comes later.
  const target = new Uint8Array(205_000);
  assertEquals(component.read(target, 0), undefined);
  assertEquals(target, wanted.slice(0, 205_000));
  assertEquals(component.readCached(target.subarray(0, 99), 150_000), 99);
  assertEquals(target.slice(0, 99), wanted.slice(150_000, 150_099));
  assertEquals(component.readCached(target.subarray(0, 20), 3), 0);
  far.release();
  await behind;
  assert(isComplete);
  await Promise.all(waiting);
  assertEquals(component.behind, undefined);
  await component.flush();
  assertEquals(far.content, wanted);
});

Deno.test("a flush of a remote component covers what waits for room", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  await using component = await create(scratch, far);
  const seen: string[] = [];
  component.observer = {
    flushBegins: () => seen.push("begins"),
    flushEnds: () => seen.push("ends"),
  };
  far.hold();
  const waiting: Promise<void>[] = [];
  for (let i = 0; i < 40; i++) {
    const pending = component.write(pattern(10_000, i), 0);
    if (pending !== undefined) waiting.push(pending);
  }
  assert(waiting.length > 20);
  const flush = component.flush();
  // What comes later is not covered, and takes no room before what waits.
  const late = component.write(pattern(10_000, 41), 20_000);
  far.release();
  await flush;
  assertEquals(seen, ["begins", "ends"]);
  assertEquals(far.content.slice(0, 10_000), pattern(10_000, 39));
  const flushes = far.requests.filter(({ what }) => what === "flush").length;
  assert(flushes > 2, "the far side was flushed to make room");
  await late;
  await Promise.all(waiting);
});

Deno.test("a far side that refuses now and then is asked again", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  await using component = await create(scratch, far);
  for (const refusals of [1, 3, 5]) {
    far.refusals = refusals;
    component.write(pattern(1000, refusals), 0);
    await component.flush();
    assertEquals(far.content.slice(0, 1000), pattern(1000, refusals));
  }
});

Deno.test("a far side that refuses for good fails its component, and the journal stays", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  const component = await create(scratch, far);
  far.refusals = Infinity;
  component.write(pattern(1000, 1), 0);
  const error = await assertRejects(
    async () => await component.flush(),
    VirstorError,
    "The far side refuses, also after 5 repetitions: The far side refuses",
  );
  assertEquals(error.code, "io");
  await assertRejects(
    async () => await component.write(pattern(10, 1), 0),
    VirstorError,
    'Cannot write "nbd://far/": The far side refuses',
  );
  await assertRejects(async () => await component.flush(), VirstorError);
  assert(component.status().failure !== "");
  assertEquals(await read(component, 0, 1000), pattern(1000, 1));
  assertEquals(await read(component, 5000, 10), new Uint8Array(10));
  await component.close();
  const healthy = new FarMemory(SIZE);
  await using later = await reopen(scratch, healthy);
  await later.flush();
  assertEquals(healthy.content.slice(0, 1000), pattern(1000, 1));
});

Deno.test("a remote component closes while its far side hangs, and loses nothing", async () => {
  await using scratch = await makeScratch();
  const far = new FarMemory(SIZE);
  const component = await create(scratch, far);
  far.hold();
  component.write(pattern(1000, 1), 0);
  const flush = component.flush();
  assert(flush !== undefined);
  const failed = assertRejects(() => flush, VirstorError);
  await component.close();
  await failed;
  await assertRejects(
    async () => await component.write(pattern(10, 1), 0),
    VirstorError,
    'Cannot write "nbd://far/": it is closed',
  );
  // A promise in any case, which rejects.
  const late = component.readCold(new Uint8Array(1), 0);
  await assertRejects(() => late, VirstorError, "it is closed");
  await component.close();
  const other = new FarMemory(SIZE);
  await using later = await reopen(scratch, other);
  assertEquals(await read(later, 0, 1000), pattern(1000, 1));
  await later.flush();
  assertEquals(other.content.slice(0, 1000), pattern(1000, 1));
});

Deno.test("a read of the journal that comes late does not show another record", async () => {
  await using scratch = await makeScratch();
  const path = scratch.file("journal");
  createSparseFile(path, JOURNAL_SIZE_MIN);
  const file = new FileDevice(path);
  // Nothing is in the page cache, and the disk takes its time.
  const disk = Promise.withResolvers<void>();
  let late = 0;
  const device: JournalDevice = {
    path,
    size: file.size,
    read: (target, offset) => file.read(target, offset),
    readCached: () => 0,
    readCold: async (target, offset) => {
      if (target.length === 77) {
        late += 1;
        await disk.promise;
      }
      file.read(target, offset);
    },
    write: (source, offset) => file.write(source, offset),
    flush: () => file.flush(),
    close: () => file.close(),
  };
  const far = new FarMemory(SIZE);
  far.hold();
  await using component = over(far, await Journal.create(device, OWNER));
  component.write(pattern(3000, 1), 0);
  const target = new Uint8Array(77);
  const reading = component.read(target, 100);
  await eventually("the read waits for the disk", () => late === 1);
  far.release();
  // The ring is passed more than once meanwhile.
  for (let i = 0; i < 60; i++) {
    await component.write(pattern(3000, 100 + i), 100_000);
    await component.flush();
  }
  disk.resolve();
  await reading;
  assertEquals(target, pattern(3000, 1).slice(100, 177));
});
