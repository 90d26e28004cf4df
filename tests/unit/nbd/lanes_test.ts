/**
 * Goal: a client that has a thread of its own reads and writes what any other
 * would, in all dialects, whether the thread does it by itself or hands it
 * over. Method: real pools, real sockets; each client is one that the server
 * says has a thread.
 *
 * @module
 */

import { testNatively } from "../../helpers/native.ts";
import { assert, assertEquals } from "@std/assert";
import {
  type Dialect,
  NBD,
  type RawRequest,
} from "../../helpers/nbd_client.ts";
import { firstDifference } from "../../helpers/bytes.ts";
import {
  componentSize,
  FORMATS,
  KIB,
  MIB,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { randomOf } from "../../helpers/small_pools.ts";
import { type LaneServing, lease, serveOnLanes } from "./lane_serving.ts";

const { CMD_READ, CMD_WRITE, CMD_WRITE_ZEROES, CMD_FLUSH, CMD_FLAG_FUA } = NBD;
const { EINVAL, ENOSPC, EOVERFLOW } = NBD;
const DIALECTS: readonly Dialect[] = ["simple", "structured", "extended"];
const SIZE = 64 * MIB;
/** A pool on which everything has room. */
const ROOMY = { chunks: 600 };

/** Registers a test of what is the same in all dialects. */
function testDialects(
  title: string,
  test: (dialect: Dialect) => Promise<void>,
): void {
  for (const dialect of DIALECTS) {
    testNatively(`${title} (${dialect})`, () => test(dialect));
  }
}

function assertSame(actual: Uint8Array, wanted: Uint8Array): void {
  assertEquals(actual.length, wanted.length);
  const wrong = firstDifference(actual, wanted);
  assertEquals(wrong, -1, `byte ${wrong} is wrong`);
}

/** What the disk holds, seen past the server. */
function onDisk(
  { pool }: LaneServing,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  return readBytes(pool.volume(), offset, length);
}

testDialects("a thread writes and reads chunks by itself", async (dialect) => {
  await using serving = await serveOnLanes();
  using client = await serving.open(dialect);
  await lease(serving, client, [0, SMALL_CHUNK]);
  const before = serving.leased();
  for (const [at, length] of [[0, 1], [5, 511], [SMALL_CHUNK, 64 * KIB]]) {
    const bytes = pattern(length ?? 0, 7);
    await client.write(at ?? 0, bytes);
    assertSame(await client.read(at ?? 0, bytes.length), bytes);
    assertSame(await onDisk(serving, at ?? 0, bytes.length), bytes);
  }
  const after = serving.leased();
  assertEquals(after.writes - before.writes, 3);
  assert(after.reads > before.reads, "some reads are the thread's");
});

/** Requests whose ranges do not overlap: they may be done in any order. */
function makeBatch(
  below: (end: number) => number,
  size: number,
  seed: number,
): RawRequest[] {
  const requests: RawRequest[] = [];
  for (let at = below(1000);; at += below(2 * SMALL_CHUNK)) {
    const length = 1 + below(below(8) === 0 ? 3 * SMALL_CHUNK : 9000);
    if (at + length > size) return requests;
    const flags = below(6) === 0 ? CMD_FLAG_FUA : 0;
    const what = below(9);
    const range = { offset: at, length };
    if (what < 3) requests.push({ command: CMD_READ, ...range });
    else if (what === 3) {
      requests.push({ command: CMD_WRITE_ZEROES, ...range, flags });
    } else {
      const payload = pattern(length, seed);
      requests.push({ command: CMD_WRITE, offset: at, payload, flags });
    }
    at += length;
  }
}

for (const format of FORMATS) {
  testDialects(`random requests, format ${format}`, async (dialect) => {
    await using serving = await serveOnLanes({
      pool: { format, createSize: 32 * MIB },
    });
    using client = await serving.open(dialect);
    const random = randomOf(DIALECTS.indexOf(dialect));
    const below = (end: number) => Math.floor(random() * end);
    const wanted = new Uint8Array(20 * SMALL_CHUNK);
    for (let round = 0; round < 60; round++) {
      const requests = makeBatch(below, wanted.length, round);
      const sending = client.sendAll(requests);
      const replies = await client.receiveAll(requests.length);
      for (const [i, cookie] of (await sending).entries()) {
        const request = requests[i] ?? { command: CMD_READ };
        const { command, offset, payload, length } = request;
        const start = Number(offset);
        const end = start + Number(length ?? payload?.length);
        const reply = replies.get(cookie);
        assertEquals(reply?.errno, 0);
        if (command === CMD_READ) {
          const bytes = reply?.payload ?? new Uint8Array();
          assertSame(bytes, wanted.subarray(start, end));
        } else if (payload !== undefined) wanted.set(payload, start);
        else wanted.fill(0, start, end);
      }
    }
    assertSame(await onDisk(serving, 0, wanted.length), wanted);
    assert(serving.leased().writes > 0, "some writes are the thread's");
  });
}

for (const length of [4 * MIB, 32 * MIB]) {
  testDialects(`a WRITE of ${length / MIB} MiB is one`, async (dialect) => {
    await using serving = await serveOnLanes(ROOMY);
    using client = await serving.open(dialect);
    const at = 3 * SMALL_CHUNK + 777;
    // The first two chunks are mapped, and some in the middle.
    const mapped = [0, 1, 7, 8, 9, 20].map((i) => at + i * SMALL_CHUNK);
    await lease(serving, client, mapped);
    const bytes = pattern(length, 3);
    const before = { ...serving.server.counters };
    const replying = client.receive();
    const [cookie] = await client.sendAll([
      { command: CMD_WRITE, offset: at, payload: bytes },
    ]);
    const reply = await replying;
    assertEquals([reply.cookie, reply.errno], [cookie, 0]);
    // The next reply is to the next request: there was one only.
    assertSame(await client.read(at - 8, 8), new Uint8Array(8));
    assertSame(await onDisk(serving, at, length), bytes);
    assertSame(
      await onDisk(serving, at + length, 100),
      new Uint8Array(100),
    );
    const { writes, bytesWritten } = serving.server.counters;
    assertEquals(
      [writes - before.writes, bytesWritten - before.bytesWritten],
      [1, length],
    );
  });
}

testDialects("long READs are answered in one piece", async (dialect) => {
  await using serving = await serveOnLanes(ROOMY);
  using client = await serving.open(dialect);
  const bytes = pattern(6 * MIB, 9);
  await serving.first?.write(0, bytes);
  const lengths = [256 * KIB, 256 * KIB + 1, 2 * MIB, 2 * MIB + 1, 5 * MIB];
  for (const length of [...lengths, 4096]) {
    assertSame(await client.read(99, length), bytes.subarray(99, 99 + length));
  }
  // Many at once: nothing gets in between.
  const requests = [...lengths, ...lengths].map((length, i) => ({
    command: CMD_READ,
    offset: i,
    length,
  }));
  const replying = client.receiveAll(requests.length);
  const cookies = await client.sendAll(requests);
  const replies = await replying;
  for (const [i, { length }] of requests.entries()) {
    const payload = replies.get(cookies[i] ?? 0n)?.payload;
    assertSame(payload ?? new Uint8Array(), bytes.subarray(i, i + length));
  }
});

testDialects("requests for no bytes do nothing", async (dialect) => {
  await using serving = await serveOnLanes();
  using client = await serving.open(dialect);
  await lease(serving, client, [0]);
  const none = new Uint8Array();
  for (const offset of [0, SIZE]) {
    for (const flags of [0, CMD_FLAG_FUA]) {
      await client.write(offset, none, flags);
      const read = { command: CMD_READ, offset, length: 0, flags };
      assertEquals((await client.call(read)).errno, 0);
    }
  }
  await client.flush();
  assertSame(await client.read(0, 10), new Uint8Array(10));
});

const BEYOND: readonly (readonly [bigint, number])[] = [
  [BigInt(SIZE), 1],
  [BigInt(SIZE) - 1n, 2],
  [BigInt(SIZE - SMALL_CHUNK), 2 * SMALL_CHUNK],
  [2n ** 32n, 4096],
  [2n ** 53n + 1n, 100_000],
  [2n ** 63n, 100_000],
  [2n ** 64n - 1n, 1],
  [2n ** 64n - 1n, 100_000],
  [2n ** 64n - 1024n, 300_000],
];

testDialects("nothing is done beyond the end", async (dialect) => {
  await using serving = await serveOnLanes();
  using client = await serving.open(dialect);
  const last = SIZE - SMALL_CHUNK;
  await lease(serving, client, [0, last]);
  const before = { ...serving.server.counters };
  for (const [offset, length] of BEYOND) {
    const payload = new Uint8Array(length).fill(1);
    const write = { command: CMD_WRITE, offset, payload };
    const read = { command: CMD_READ, offset, length };
    assertEquals((await client.call(write)).errno, ENOSPC, `WRITE ${offset}`);
    assertEquals((await client.call(read)).errno, EINVAL, `READ ${offset}`);
  }
  const { errors, writes, bytesWritten } = serving.server.counters;
  assertEquals(errors - before.errors, 2 * BEYOND.length);
  assertEquals(
    [writes, bytesWritten],
    [before.writes, before.bytesWritten],
    "what is refused is not counted",
  );
  const zeroes = new Uint8Array(SMALL_CHUNK);
  assertSame(await onDisk(serving, 0, SMALL_CHUNK), zeroes);
  assertSame(await onDisk(serving, last, SMALL_CHUNK), zeroes);
});

testNatively("a WRITE that is too long changes nothing", async () => {
  await using serving = await serveOnLanes(ROOMY);
  using client = await serving.open();
  await lease(serving, client, [0, SMALL_CHUNK]);
  const payload = new Uint8Array(33 * MIB).fill(1);
  const replying = client.receive();
  await client.sendAll([{ command: CMD_WRITE, payload }]);
  assertEquals((await replying).errno, EINVAL);
  assertSame(await client.read(0, 4096), new Uint8Array(4096));
});

testDialects("a READ that is too long is refused", async (dialect) => {
  await using serving = await serveOnLanes();
  using client = await serving.open(dialect);
  await lease(serving, client, [0]);
  const lengths = dialect === "extended"
    ? [33 * MIB, 2n ** 63n, 2n ** 64n - 1n]
    : [33 * MIB, 2 ** 32 - 1];
  for (const length of lengths) {
    const reply = await client.call({ command: CMD_READ, length });
    assertEquals(reply.errno, EOVERFLOW);
  }
  assertSame(await client.read(0, 10), new Uint8Array(10));
});

testNatively(
  "a client does not see more of a disk that has grown",
  async () => {
    await using serving = await serveOnLanes();
    using old = await serving.open();
    await serving.pool.resize(2 * SIZE);
    using young = await serving.open();
    await lease(serving, young, [SIZE]);
    const read = { command: CMD_READ, offset: SIZE, length: 10 };
    assertEquals((await young.call(read)).errno, 0);
    assertEquals((await old.call(read)).errno, EINVAL);
    const payload = new Uint8Array(10).fill(1);
    const write = { command: CMD_WRITE, offset: SIZE, payload };
    assertEquals((await old.call(write)).errno, ENOSPC);
    assertSame(await young.read(SIZE, 10), new Uint8Array(10));
  },
);

testNatively("chunks beyond 4 GiB of a component are found", async () => {
  const chunkSize = 64 * MIB;
  await using serving = await serveOnLanes({
    count: 1,
    pool: {
      createSize: componentSize("native", 0) + 80 * chunkSize,
      chunkSize,
      virtualSize: 80 * chunkSize,
    },
  });
  using client = await serving.open();
  for (let i = 0; i < 70; i++) await client.write(i * chunkSize, pattern(8, i));
  for (const i of [0, 31, 32, 63, 64, 69]) {
    const at = i * chunkSize;
    assertSame(await client.read(at, 8), pattern(8, i));
    await lease(serving, client, [at]);
    await client.write(at + 8, pattern(70_000, i));
    assertSame(await client.read(at + 8, 70_000), pattern(70_000, i));
    assertSame(await onDisk(serving, at + 8, 70_000), pattern(70_000, i));
  }
});

testNatively("counters of the server and of the pool add up", async () => {
  await using serving = await serveOnLanes();
  const all = [serving.first, await serving.open(), await serving.open()];
  for (const [i, client] of all.entries()) {
    const at = i * SMALL_CHUNK;
    for (let k = 0; k < 10; k++) await client?.write(at, pattern(1000, k));
    for (let k = 0; k < 20; k++) await client?.read(at, 500);
    // Across two chunks, of which one may be unmapped.
    await client?.read(at + SMALL_CHUNK - 10, 20);
  }
  const counters = { ...serving.server.counters };
  assertEquals(counters.reads, 63);
  assertEquals(counters.bytesRead, 3 * (20 * 500 + 20));
  assertEquals([counters.writes, counters.bytesWritten], [30, 30_000]);
  const of = serving.pool.status().counters;
  assertEquals([of.writes, of.bytesWritten], [30, 30_000]);
  assertEquals([of.reads, of.bytesRead], [63, counters.bytesRead]);
  // They stay what they are when the clients have left.
  for (const client of all) await client?.disconnect();
  await serving.server.close();
  const { reads, writes } = serving.server.counters;
  assertEquals([reads, writes], [63, 30]);
});

testNatively("a thread leaves the server a turn to answer", async () => {
  await using serving = await serveOnLanes();
  using client = await serving.open();
  await lease(serving, client, [0]);
  const read = { command: CMD_READ, length: 64 * KIB };
  const depth = 32;
  await client.sendAll(Array(depth).fill(read));
  let passed = 0;
  for (let round = 0; round < 30; round++) {
    const [flush] = await client.sendAll([{ command: CMD_FLUSH }]);
    while ((await client.receive()).cookie !== flush) {
      passed++;
      await client.sendAll([read]);
    }
  }
  await client.receiveAll(depth);
  assert(passed / 30 < 20 * depth, `${passed / 30} replies came before one`);
});
