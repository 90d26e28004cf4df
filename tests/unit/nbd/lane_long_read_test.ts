/**
 * Goal: a READ that is longer than a piece, or lies in several chunks, is
 * answered by the thread of its client where replies are structured, and what
 * the thread cannot read is answered by the server, behind the same cookie.
 * Method: real pools, real sockets, each byte compared.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Dialect, NBD } from "../../helpers/nbd_client.ts";
import { testNatively } from "../../helpers/native.ts";
import { MIB, pattern, SMALL_CHUNK } from "../../helpers/scratch.ts";
import { type LaneServing, serveOnLanes } from "./lane_serving.ts";
import { assertSame, counted, reasons } from "./lane_work.ts";
import { until } from "./serving.ts";

const { CMD_FLUSH, CMD_READ, EIO } = NBD;
const DIALECTS: readonly Dialect[] = ["simple", "structured", "extended"];
/** A pool on which everything has room. */
const ROOMY = { chunks: 600 };
/** What is read: it begins and ends within a chunk. */
const START = SMALL_CHUNK + 1000;
const LENGTH = 4 * MIB + 2000;

/** Writes what is read, and has the server lease it all. */
async function fill(serving: LaneServing, dialect: Dialect) {
  const client = await serving.open(dialect);
  const content = pattern(LENGTH, 3);
  await client.write(START, content);
  // A READ that is handed over asks for the leases that it lacked.
  for (let at = 0; at < LENGTH; at += SMALL_CHUNK) {
    await client.read(START + at, 1);
    await client.read(START + at, 1);
  }
  return { client, content };
}

for (const dialect of DIALECTS) {
  testNatively(`a long READ gives every byte (${dialect})`, async () => {
    await using serving = await serveOnLanes(ROOMY);
    const { client, content } = await fill(serving, dialect);
    using _client = client;
    const [work, before] = [serving.leased(), counted(serving)];
    assertSame(await client.read(START, LENGTH), content);
    const after = counted(serving);
    assertEquals(after.reads - before.reads, 1);
    assertEquals(after.bytesRead - before.bytesRead, LENGTH);
    const byThread = serving.leased().bytesRead - work.bytesRead;
    assertEquals(byThread, dialect === "structured" ? LENGTH : 0);
  });
}

testNatively("what a thread cannot read comes from the server", async () => {
  await using serving = await serveOnLanes(ROOMY);
  const { client, content } = await fill(serving, "structured");
  using _client = client;
  // A hole in the middle, and one at the end.
  const [from, length] = [20 * SMALL_CHUNK, 2 * SMALL_CHUNK];
  await client.call({ command: NBD.CMD_TRIM, offset: from, length });
  const wanted = new Uint8Array(LENGTH + 3 * SMALL_CHUNK);
  wanted.set(content);
  wanted.fill(0, from - START, from - START + length);
  const [work, before] = [serving.leased(), counted(serving)];
  assertSame(await client.read(START, wanted.length), wanted);
  const after = counted(serving);
  assertEquals(after.reads - before.reads, 1);
  assertEquals(after.bytesRead - before.bytesRead, wanted.length);
  // The thread has read as far as the hole.
  const byThread = serving.leased().bytesRead - work.bytesRead;
  assertEquals(byThread, from - START);
});

testNatively(
  "an error amid a long READ is reported, and ends no more",
  async () => {
    await using serving = await serveOnLanes({ ...ROOMY, count: 1 });
    const { client, content } = await fill(serving, "structured");
    using _client = client;
    const [path = ""] = serving.paths;
    await client.flush();
    const { size } = await Deno.stat(path);
    // The first chunks lie first on the component.
    const found = indexOf(await Deno.readFile(path), content.subarray(0, 64));
    assert(found > 0, "the component holds the data");
    const kept = 10 * SMALL_CHUNK;
    await Deno.truncate(path, found + kept);
    try {
      const reply = await client.call({
        ...{ command: CMD_READ, offset: START, length: LENGTH },
      });
      assertEquals(reply.errno, EIO);
      const half = kept / 2;
      assertSame(await client.read(START, half), content.subarray(0, half));
    } finally {
      await Deno.truncate(path, size);
    }
  },
);

testNatively("a client may leave in the middle of a long READ", async () => {
  await using serving = await serveOnLanes(ROOMY);
  const { client } = await fill(serving, "structured");
  const read = { command: CMD_READ, offset: START, length: LENGTH };
  await client.sendAll(Array(20).fill(read));
  client.close();
  await until("it is gone", () => reasons(serving).length === 1);
  using other = await serving.open("structured");
  assertEquals((await other.call({ command: CMD_FLUSH })).errno, 0);
});

testNatively("a long READ that is not taken holds up no other", async () => {
  await using serving = await serveOnLanes(ROOMY);
  const { client: deaf, content } = await fill(serving, "structured");
  using _deaf = deaf;
  using other = await serving.open("structured");
  const read = { command: CMD_READ, offset: START, length: LENGTH };
  const [cookie = 0n] = await deaf.sendAll([read]);
  assertSame(await other.read(START, LENGTH), content);
  const bytes = pattern(SMALL_CHUNK, 9);
  await other.write(100 * SMALL_CHUNK, bytes);
  assertSame(await other.read(100 * SMALL_CHUNK, SMALL_CHUNK), bytes);
  // It is whole when it is read after all.
  assertSame((await deaf.receiveAll(1)).get(cookie)?.payload, content);
});

/** Where bytes are first; -1 if nowhere. */
function indexOf(bytes: Uint8Array, sought: Uint8Array): number {
  const [first = 0] = sought;
  for (
    let at = bytes.indexOf(first);
    at >= 0;
    at = bytes.indexOf(first, at + 1)
  ) {
    if (sought.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}
