/**
 * A pool that is full: its writes wait, everything else goes on, and
 * `virstor add` from another process sets them going. And the two other
 * policies, and every other end that a wait can have.
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { NBD } from "../helpers/nbd_client.ts";
import type { BusyClient, Reply } from "../helpers/busy_client.ts";
import { firstDifference } from "../helpers/bytes.ts";
import { FORMATS } from "../helpers/scratch.ts";
import { CHUNK, KIB, MIB, ServedPool, stampedBytes } from "./served_pool.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";

/** The chunks for data of the usual pool. */
const CAPACITY = 28;
/** What is written at the start of a chunk; the rest of it stays zero. */
const PART = 32 * KIB;

function partOf(chunk: number): Uint8Array {
  return stampedBytes(PART, chunk + 1);
}

/** Writes at the start of a chunk. */
function writePart(client: BusyClient, chunk: number): Promise<Reply> {
  return client.write(chunk * CHUNK, partOf(chunk));
}

/** Writes to as many chunks as there are. */
async function fill(client: BusyClient): Promise<void> {
  for (let chunk = 0; chunk < CAPACITY; chunk++) {
    assertEquals((await writePart(client, chunk)).errno, 0);
  }
}

/** Reads chunks that were written to once, and compares every byte. */
async function assertChunks(
  client: BusyClient,
  chunks: Iterable<number>,
): Promise<void> {
  for (const chunk of chunks) {
    const wanted = new Uint8Array(CHUNK);
    wanted.set(partOf(chunk));
    await assertBytes(client, chunk * CHUNK, wanted);
  }
}

async function assertBytes(
  client: BusyClient,
  offset: number,
  wanted: Uint8Array,
): Promise<void> {
  const { errno, payload } = await client.read(offset, wanted.length);
  assertEquals(errno, 0);
  const wrong = firstDifference(wanted, payload);
  assertEquals(wrong, -1, `byte ${wrong} at ${offset} is wrong`);
}

function range(start: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => start + i);
}

/** Does all that needs no chunk, and finds that nothing of it waits. */
async function assertGoesOn(client: BusyClient, chunk: number): Promise<void> {
  const at = chunk * CHUNK;
  const inside = stampedBytes(4096, 2000 + chunk);
  const replies = await Promise.all([
    client.write(at + 8192, inside),
    client.flush(),
    client.writeZeroes(at + 512, 512),
    client.trim(at + 4096, 4096),
    client.writeZeroes(90 * CHUNK, CHUNK),
    client.trim(90 * CHUNK, CHUNK),
  ]);
  assertEquals(replies.map(({ errno }) => errno), [0, 0, 0, 0, 0, 0]);
  await assertBytes(client, at + 512, new Uint8Array(512));
  await assertBytes(client, at + 8192, inside);
  await assertBytes(client, 90 * CHUNK, new Uint8Array(CHUNK));
  assertEquals((await writePart(client, chunk)).errno, 0);
  await assertChunks(client, [chunk]);
}

/** Four kinds of writes that need a chunk; answered in any order. */
function writeBeyondCapacity(client: BusyClient): Promise<Reply>[] {
  return [
    // Its first half is in a mapped chunk.
    client.write(CAPACITY * CHUNK - KIB, stampedBytes(2 * KIB, 999)),
    writePart(client, 40),
    client.write(41 * CHUNK + 512, stampedBytes(4096, 1000), NBD.CMD_FLAG_FUA),
    client.writeZeroes(42 * CHUNK, CHUNK, NBD.CMD_FLAG_NO_HOLE),
  ];
}

/** Everything that the fill and the writes beyond it have left. */
async function assertAllIsThere(client: BusyClient): Promise<void> {
  await assertChunks(client, [...range(0, CAPACITY - 1), 40]);
  const edge = new Uint8Array(2 * CHUNK);
  edge.set(partOf(CAPACITY - 1));
  edge.set(stampedBytes(2 * KIB, 999), CHUNK - KIB);
  await assertBytes(client, (CAPACITY - 1) * CHUNK, edge);
  const inside = new Uint8Array(2 * CHUNK);
  inside.set(stampedBytes(4096, 1000), 512);
  await assertBytes(client, 41 * CHUNK, inside);
}

for (const format of FORMATS) {
  Deno.test(`A write to a full pool waits, everything else goes on, and virstor add completes it (${format})`, async () => {
    await using pool = await ServedPool.start({ format });
    using writer = await pool.connect();
    using other = await pool.connect();
    await fill(writer);
    const waiting = writeBeyondCapacity(writer);
    const replied = waiting.map((reply) => reply.then(() => performance.now()));
    const { pool: full, server } = await pool.statusUntil(({ pool }) =>
      pool.delayed.count === waiting.length
    );
    assertEquals(full.freeChunks, 0);
    assertEquals(full.delayed.bytes, KIB + PART + 4096);
    assert(full.delayed.oldestSeconds > 0);
    assertEquals(server?.clients.length, 2);
    await assertGoesOn(writer, 2);
    await assertGoesOn(other, 3);
    assertEquals((await pool.work.run(["check", "pool"])).code, 0);
    assertEquals(writer.inFlight, waiting.length);

    const start = performance.now();
    await pool.add();
    const end = performance.now();
    const replies = await Promise.all(waiting);
    assertEquals(replies.map(({ errno }) => errno), [0, 0, 0, 0]);
    const first = Math.min(...await Promise.all(replied));
    // deno-lint-ignore no-console -- a measurement, for the reader of the log
    console.log(
      `"virstor add" took ${(end - start).toFixed(0)} ms; the first delayed ` +
        `write was answered ${(first - end).toFixed(1)} ms after its end`,
    );
    await assertAllIsThere(other);
    const { pool: { delayed, mappedChunks } } = await pool.status();
    assertEquals([delayed.count, delayed.bytes], [0, 0]);
    assertEquals(mappedChunks, CAPACITY + 4);
    await Promise.all([writer.disconnect(), other.disconnect()]);
    await pool.stopAndCheck();
    await pool.restart();
    using again = await pool.connect();
    await assertAllIsThere(again);
    await again.disconnect();
    await pool.stopAndCheck();
  });
}

Deno.test("virstor serve --full-timeout fails a write that waited too long, and only that one", async () => {
  await using pool = await ServedPool.start({ serve: ["--full-timeout", "1"] });
  using client = await pool.connect();
  await fill(client);
  const start = performance.now();
  const late = writePart(client, 40);
  await assertChunks(client, [0]);
  assertEquals((await late).errno, NBD.ENOSPC);
  const seconds = (performance.now() - start) / 1000;
  assert(seconds > 0.9, `It took ${seconds} s`);
  const { pool: { delayed } } = await pool.status();
  assertEquals([delayed.count, delayed.timedOut], [0, 1]);
  await assertBytes(client, 40 * CHUNK, new Uint8Array(CHUNK));
  await client.disconnect();
  await pool.stopAndCheck();
});

Deno.test("virstor serve --full-timeout does not fail a write that waits less", async () => {
  // Also on a machine so busy that "virstor add" takes long.
  const serve = ["--full-timeout", String(2 * PATIENCE_MS / 1000)];
  await using pool = await ServedPool.start({ serve });
  using client = await pool.connect();
  await fill(client);
  const inTime = writePart(client, 41);
  await pool.statusUntil(({ pool }) => pool.delayed.count === 1);
  await pool.add();
  assertEquals((await inTime).errno, 0);
  assertEquals((await writePart(client, 42)).errno, 0);
  await assertChunks(client, [...range(0, CAPACITY), 41, 42]);
  const { pool: { delayed, mappedChunks } } = await pool.status();
  assertEquals([delayed.count, delayed.timedOut], [0, 0]);
  assertEquals(mappedChunks, CAPACITY + 2);
  await client.disconnect();
  await pool.stopAndCheck();
});

Deno.test("virstor serve --on-full error fails a write to a full pool at once", async () => {
  await using pool = await ServedPool.start({ serve: ["--on-full", "error"] });
  using client = await pool.connect();
  await fill(client);
  const replies = await Promise.all([
    writePart(client, 40),
    writePart(client, 0),
    client.writeZeroes(41 * CHUNK, CHUNK, NBD.CMD_FLAG_NO_HOLE),
  ]);
  assertEquals(replies.map(({ errno }) => errno), [NBD.ENOSPC, 0, NBD.ENOSPC]);
  assertEquals((await pool.status()).pool.delayed.count, 0);
  await pool.add();
  assertEquals((await writePart(client, 40)).errno, 0);
  await assertChunks(client, [...range(0, CAPACITY), 40]);
  await client.disconnect();
  await pool.stopAndCheck();
});

Deno.test("A client that goes away takes its delayed writes with it, and only its own", async () => {
  await using pool = await ServedPool.start();
  using stays = await pool.connect();
  await fill(stays);
  const leaves = await pool.connect();
  const lost = [40, 41].map((chunk) => writePart(leaves, chunk));
  await pool.statusUntil(({ pool }) => pool.delayed.count === 2);
  const kept = writePart(stays, 42);
  await pool.statusUntil(({ pool }) => pool.delayed.count === 3);
  leaves[Symbol.dispose]();
  await Promise.all(lost);
  const { pool: { delayed } } = await pool.statusUntil(({ pool, server }) =>
    pool.delayed.count === 1 && server?.clients.length === 1
  );
  assertEquals([delayed.bytes, delayed.cancelled], [PART, 2]);
  await pool.add();
  assertEquals((await kept).errno, 0);
  assertEquals((await pool.status()).pool.mappedChunks, CAPACITY + 1);
  await assertBytes(stays, 40 * CHUNK, new Uint8Array(2 * CHUNK));
  await assertChunks(stays, [42]);
  await stays.disconnect();
  await pool.stopAndCheck();
});

for (const way of ["virstor stop -f", "SIGTERM"] as const) {
  Deno.test(`${way} answers delayed writes with ESHUTDOWN and loses nothing else`, async () => {
    await using pool = await ServedPool.start();
    using client = await pool.connect();
    await fill(client);
    const waiting = [40, 41].map((chunk) => writePart(client, chunk));
    await pool.statusUntil(({ pool }) => pool.delayed.count === 2);
    if (way === "SIGTERM") {
      pool.server.signal("SIGTERM");
    } else {
      assertNotEquals((await pool.work.run(["stop", "pool"])).code, 0);
      await pool.work.succeed(["stop", "-f", "pool"]);
    }
    const replies = await Promise.all(waiting);
    assertEquals(replies.map(({ errno }) => errno), [
      NBD.ESHUTDOWN,
      NBD.ESHUTDOWN,
    ]);
    await client.gone();
    const { code, stderr } = await pool.server.ended();
    assertEquals(code, 0, stderr);
    await pool.assertSound();
    await pool.restart();
    using again = await pool.connect();
    await assertChunks(again, range(0, CAPACITY));
    assertEquals((await pool.status()).pool.mappedChunks, CAPACITY);
    await again.disconnect();
    await pool.stopAndCheck();
  });
}

Deno.test("virstor serve --max-delayed slows a client down, and no other one", async () => {
  await using pool = await ServedPool.start({ serve: ["--max-delayed", "1M"] });
  using writer = await pool.connect();
  using other = await pool.connect();
  await fill(writer);
  // 4 MiB: more than may wait and buffers on the way hold, together.
  const chunks = range(40, 128);
  const writes = chunks.map((chunk) => writePart(writer, chunk));
  const { pool: { delayed } } = await pool.statusUntil(({ pool }) =>
    pool.delayed.bytes >= MIB
  );
  assert(delayed.bytes <= MIB + PART, `${delayed.bytes} bytes wait`);
  // Its requests behind are not looked at; others are.
  const held = writer.read(0, 8);
  await assertChunks(other, range(0, CAPACITY));
  assertEquals((await writePart(other, 0)).errno, 0);
  assertEquals((await pool.status()).pool.delayed.bytes, delayed.bytes);
  assertEquals(writer.inFlight, chunks.length + 1);
  await pool.add("1M"); // Not enough by far.
  await pool.statusUntil(({ pool }) =>
    pool.freeChunks === 0 && pool.delayed.bytes >= MIB
  );
  await pool.add("20M");
  const replies = await Promise.all(writes);
  assertEquals(replies.filter(({ errno }) => errno !== 0), []);
  assertEquals((await held).payload, partOf(0).subarray(0, 8));
  await assertChunks(other, [...range(0, CAPACITY), ...chunks]);
  await Promise.all([writer.disconnect(), other.disconnect()]);
  await pool.stopAndCheck();
});
