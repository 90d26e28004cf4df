/**
 * Goal: however a client with a thread of its own leaves, or is made to, it
 * gets what is due to it, no other client waits for it, and nothing is left
 * behind. Method: real pools, real sockets; each client is one that the server
 * says has a thread. That no descriptor and no thread is left is what the
 * runtime checks after each test.
 *
 * @module
 */

import { testNatively } from "../../helpers/native.ts";
import { assert, assertEquals } from "@std/assert";
import {
  type Dialect,
  encodeRequest,
  NBD,
  NbdClient,
  type RawReply,
} from "../../helpers/nbd_client.ts";
import { PATIENCE_MS } from "../../helpers/patience.ts";
import { KIB, MIB, pattern, SMALL_CHUNK } from "../../helpers/scratch.ts";
import { type LaneServing, lease, serveOnLanes } from "./lane_serving.ts";
import { until } from "./serving.ts";

const { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, ESHUTDOWN } = NBD;
const DIALECTS: readonly Dialect[] = ["simple", "structured", "extended"];
/** More than any socket holds. */
const MANY = 200;

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** Why clients have left, in order. */
function reasons({ log }: LaneServing): string[] {
  return log.filter(({ kind }) => kind === "disconnected")
    .map(({ message }) => message);
}

/** Reads of leased bytes whose replies are not taken, until the thread waits. */
async function block(serving: LaneServing, client: NbdClient): Promise<void> {
  await lease(serving, client, [0]);
  await client.read(0, 100_000);
  const read = { command: CMD_READ, length: 100_000 };
  await client.sendAll(Array(MANY).fill(read));
  let reads = -1;
  while (serving.server.counters.reads !== reads) {
    reads = serving.server.counters.reads;
    await pause(100);
  }
  assert(reads < MANY, "the thread waits");
}

/** Receives until the end of the connection. */
async function receiveRest(client: NbdClient): Promise<RawReply[]> {
  const replies: RawReply[] = [];
  for (;;) {
    try {
      replies.push(await client.receive());
    } catch (error) {
      assert(error instanceof Error);
      assert(error.message.startsWith("Connection ended after 0 of"));
      return replies;
    }
  }
}

testNatively("a client that reads no replies holds up no other", async () => {
  await using serving = await serveOnLanes();
  using deaf = await serving.open();
  using other = await serving.open();
  await block(serving, deaf);
  await lease(serving, other, [SMALL_CHUNK]);
  for (const client of [other, serving.first]) {
    await client?.write(10, pattern(100, 1));
    assertEquals(await client?.read(10, 100), pattern(100, 1));
    await client?.flush();
  }
  const begin = performance.now();
  await serving.server.close({ graceMs: 300 });
  assert(performance.now() - begin < PATIENCE_MS, "the server waits no longer");
});

testNatively("its replies are there when it reads them after all", async () => {
  await using serving = await serveOnLanes();
  using client = await serving.open();
  await block(serving, client);
  await client.sendAll([{ command: CMD_FLUSH }]);
  const replies = await client.receiveAll(MANY + 1);
  for (const { errno } of replies.values()) assertEquals(errno, 0);
});

for (const dialect of DIALECTS) {
  testNatively(
    `a server that stops answers everything (${dialect})`,
    async () => {
      await using serving = await serveOnLanes();
      using client = await serving.open(dialect);
      await block(serving, client);
      const closing = serving.server.close({ graceMs: 60_000 });
      await pause(300);
      const replies = [...(await client.receiveAll(MANY)).values()];
      const errors = new Set(replies.map(({ errno }) => errno));
      errors.delete(0);
      errors.delete(ESHUTDOWN);
      assertEquals(errors, new Set());
      assert(replies.some(({ errno }) => errno === 0));
      await closing;
      assertEquals(reasons(serving), Array(2).fill("the server stops"));
    },
  );
}

testNatively("a server that stops answers busy clients", async () => {
  await using serving = await serveOnLanes();
  const clients = [await serving.open(), await serving.open("structured")];
  await lease(serving, clients[0] ?? await serving.open(), [0, SMALL_CHUNK]);
  let answered = 0;
  const working = clients.map(async (client, i) => {
    const payload = pattern(20_000, i);
    for (;;) {
      const requests = Array.from({ length: 8 }, (_, k) => ({
        command: k % 2 === 0 ? CMD_WRITE : CMD_READ,
        offset: i * SMALL_CHUNK,
        ...k % 2 === 0 ? { payload } : { length: 20_000 },
      }));
      await client.sendAll(requests);
      const replies = [...(await client.receiveAll(8)).values()];
      answered += 8;
      if (replies.every(({ errno }) => errno === 0)) continue;
      for (const { errno } of replies) {
        assert(errno === 0 || errno === ESHUTDOWN, `errno ${errno}`);
      }
      return;
    }
  });
  await until("they are at work", () => answered > 200);
  const begin = performance.now();
  await serving.server.close({ graceMs: 2 * PATIENCE_MS });
  const took = performance.now() - begin;
  assert(took < PATIENCE_MS, "it ends before its time is up");
  await Promise.all(working);
  for (const client of clients) client.close();
});

testNatively("a long WRITE is waited for by a server that stops", async () => {
  await using serving = await serveOnLanes({ chunks: 300 });
  using client = await serving.open();
  const payload = pattern(32 * MIB, 1);
  await serving.first?.write(0, payload.subarray(0, 32 * MIB));
  const bytes = encodeRequest({ command: CMD_WRITE, payload, cookie: 77n });
  const before = serving.server.counters.bytesWritten;
  await client.sendRaw(bytes.subarray(0, 150_000));
  await until(
    "it has begun",
    () => serving.server.counters.bytesWritten > before,
  );
  const closing = serving.server.close({ graceMs: 60_000 });
  await client.sendRaw(bytes.subarray(150_000));
  const reply = new DataView((await client.receiveRaw(16)).buffer);
  const errno = reply.getUint32(4);
  // What the thread hands over after the stop is refused.
  assert(errno === 0 || errno === ESHUTDOWN, `errno ${errno}`);
  assertEquals(reply.getBigUint64(8), 77n);
  await closing;
});

testNatively("an export that is dismissed ends its clients only", async () => {
  await using serving = await serveOnLanes();
  using client = await serving.open();
  using idle = await serving.open();
  await lease(serving, client, [0]);
  await client.write(0, pattern(100, 1));
  await serving.server.dismiss("disk");
  assertEquals(await client.receiveEnd(), 0);
  assertEquals(await idle.receiveEnd(), 0);
  assertEquals(
    reasons(serving),
    Array(3).fill("its export is not served any more"),
  );
  assertEquals(serving.server.clients, []);
  // No lane uses the pool then, which can be closed while the server goes on.
  await serving.pool.close();
});

testNatively("only a client that does nothing is idle", async () => {
  // So long that a client that is busy is never idle on a busy machine either.
  const idleMs = 2000;
  await using serving = await serveOnLanes({ limits: { idleMs } });
  using busy = await serving.open();
  using idle = await serving.open();
  await lease(serving, busy, [0]);
  let isDone = false;
  const working = (async () => {
    while (!isDone) {
      await busy.write(0, pattern(100, 1));
      await busy.read(0, 100);
      await serving.first?.read(0, 100);
    }
  })();
  assertEquals(await idle.receiveEnd(), 0);
  await pause(idleMs);
  isDone = true;
  await working;
  assertEquals(reasons(serving), ["the client was idle for too long"]);
});

testNatively("nonsense ends a connection after what came before", async () => {
  await using serving = await serveOnLanes();
  using client = await serving.open();
  await lease(serving, client, [0]);
  const write = { command: CMD_WRITE, payload: pattern(100, 1), cookie: 1n };
  const parts = [
    encodeRequest(write),
    // Not leased: this one is handed over.
    encodeRequest({ ...write, offset: 5 * SMALL_CHUNK, cookie: 2n }),
    encodeRequest({ command: CMD_READ, length: 100, cookie: 3n }),
    new Uint8Array(100_000).fill(7),
    encodeRequest({ ...write, offset: 1000, cookie: 4n }),
  ];
  await client.sendRaw(await new Blob(parts as BlobPart[]).bytes());
  assertEquals(await client.receiveEnd(), 3 * 16 + 100);
  using other = await serving.open();
  assertEquals(await other.read(0, 100), pattern(100, 1));
  assertEquals(await other.read(5 * SMALL_CHUNK, 100), pattern(100, 1));
  assertEquals(await other.read(1000, 100), new Uint8Array(100));
  const [reason = ""] = reasons(serving);
  assert(reason.includes("wrong magic"), reason);
});

for (const dialect of DIALECTS) {
  testNatively(`a goodbye comes last (${dialect})`, async () => {
    await using serving = await serveOnLanes();
    using client = await serving.open(dialect);
    await lease(serving, client, [0]);
    const requests = Array.from({ length: 40 }, (_, i) => ({
      command: CMD_WRITE,
      // Every third chunk is mapped on the way.
      offset: i % 3 === 0 ? i * SMALL_CHUNK : i * 2000,
      payload: pattern(1500, i),
    }));
    await client.sendAll([
      ...requests,
      { command: CMD_FLUSH },
      { command: CMD_DISC },
    ]);
    const replies = await receiveRest(client);
    assertEquals(replies.map(({ errno }) => errno), Array(41).fill(0));
    for (const { offset, payload } of requests) {
      assertEquals(await serving.first?.read(offset, 1500), payload);
    }
  });

  testNatively(`half a request is nothing (${dialect})`, async () => {
    await using serving = await serveOnLanes({ threads: 4 });
    const parts = [
      { size: 10, length: 100 },
      { size: 27, length: 100 },
      { size: 500, length: 10_000 },
    ];
    for (const { size, length } of parts) {
      using client = await serving.open(dialect);
      await lease(serving, client, [0]);
      const payload = new Uint8Array(length).fill(1);
      await client.sendRaw(
        encodeRequest({ command: CMD_WRITE, payload }).subarray(0, size),
      );
      client.close();
      await until("it has left", () => serving.server.clients.length === 1);
    }
    assertEquals(await serving.first?.read(0, 100), new Uint8Array(100));
  });
}

for (const tcp of [false, true]) {
  const over = tcp ? "TCP" : "Unix";
  testNatively(
    `a client that sends no more still gets replies (${over})`,
    async () => {
      await using serving = await serveOnLanes({ tcp });
      using client = await serving.open();
      await lease(serving, client, [0]);
      const read = { command: CMD_READ, length: 100_000 };
      const cookies = await client.sendAll([
        ...Array(60).fill(read),
        { command: CMD_WRITE, offset: 9 * SMALL_CHUNK, payload: pattern(9, 1) },
        { command: CMD_FLUSH },
      ]);
      await client.conn.closeWrite();
      await pause(200);
      const replies = await receiveRest(client);
      assertEquals(replies.length, cookies.length);
      assertEquals(replies.every(({ errno }) => errno === 0), true);
      assertEquals(
        await serving.first?.read(9 * SMALL_CHUNK, 9),
        pattern(9, 1),
      );
    },
  );
}

/** A thread is free a moment after its client has left. */
async function openWithThread(serving: LaneServing): Promise<NbdClient> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const { client, hasThread } = await serving.openAny();
    if (hasThread) return client;
    await client.disconnect();
    await pause(20);
  }
  throw new Error("No thread is used again");
}

testNatively("there are as many threads as allowed, used again", async () => {
  await using serving = await serveOnLanes({ threads: 2 });
  const use = async (client: NbdClient, seed: number) => {
    await client.write(seed * SMALL_CHUNK, pattern(100, seed));
    const bytes = await client.read(seed * SMALL_CHUNK, 100);
    assertEquals(bytes, pattern(100, seed));
  };
  const clients: NbdClient[] = [];
  for (const wanted of [true, true, false, false]) {
    const { client, hasThread } = await serving.openAny();
    assertEquals(hasThread, wanted);
    clients.push(client);
  }
  for (const [i, client] of clients.entries()) await use(client, i);
  for (let round = 0; round < 10; round++) {
    const [leaving] = clients.splice(round % 2, 1);
    // With a word, or without.
    if (round % 3 === 0) await leaving?.disconnect();
    leaving?.close();
    await until("it has left", () => serving.server.clients.length === 4);
    const client = await openWithThread(serving);
    clients.splice(round % 2, 0, client);
    await use(client, round);
  }
  for (const [i, client] of clients.entries()) {
    await use(client, i);
    client.close();
  }
});

testNatively(
  "where threads cannot start no client has one",
  async () => {
    await using serving = await serveOnLanes({ threads: 0 });
    const { client, hasThread } = await serving.openAny();
    assertEquals(hasThread, false);
    await client.write(0, pattern(100_000, 1));
    assertEquals(await client.read(0, 100_000), pattern(100_000, 1));
    assertEquals(serving.leased().writes, 0);
    await client.disconnect();
  },
);

testNatively("requests that come with the handshake are answered", async () => {
  await using serving = await serveOnLanes();
  using client = await NbdClient.connect(serving.address);
  await client.greet();
  const name = new TextEncoder().encode("disk");
  const option = new Uint8Array(16 + name.length);
  const view = new DataView(option.buffer);
  view.setBigUint64(0, 0x49484156454f5054n);
  view.setUint32(8, NBD.OPT_EXPORT_NAME);
  view.setUint32(12, name.length);
  option.set(name, 16);
  const payload = pattern(3000, 1);
  const parts = [
    option,
    encodeRequest({ command: CMD_WRITE, payload, cookie: 1n }),
    encodeRequest({ command: CMD_WRITE, payload, offset: 4096, cookie: 2n }),
    // Half of one, the rest of which comes later.
    encodeRequest({ command: CMD_WRITE, payload, offset: 9000, cookie: 3n }),
  ];
  const bytes = await new Blob(parts as BlobPart[]).bytes();
  await client.sendRaw(bytes.subarray(0, bytes.length - 2000));
  await pause(100);
  await client.sendRaw(bytes.subarray(bytes.length - 2000));
  const answer = await client.receiveRaw(10 + 3 * 16);
  assertEquals(new DataView(answer.buffer).getUint32(14), 0);
  for (const offset of [0, 4096, 9000]) {
    assertEquals(await serving.first?.read(offset, 3000), payload);
  }
  const last = serving.log.findLast(({ kind }) => kind === "connected");
  assert(last?.message.includes("on a thread of its own"), last?.message);
});

testNatively(
  "clients that leave in the middle leave nothing behind",
  async () => {
    await using serving = await serveOnLanes({ threads: 2 });
    for (let round = 0; round < 30; round++) {
      const { client } = await serving.openAny();
      const requests = Array.from({ length: 30 }, (_, i) => ({
        command: i % 2,
        offset: ((i + round) % 20) * SMALL_CHUNK,
        ...i % 2 === 1 ? { payload: pattern(30_000, i) } : { length: 64 * KIB },
      }));
      const sending = client.sendAll(requests).catch(() => {});
      await pause(round % 5);
      client.close();
      await sending;
    }
    await until("they have left", () => serving.server.clients.length === 1);
    const { connections } = serving.server.counters;
    assertEquals(connections, 31);
    await serving.first?.write(0, pattern(10, 1));
    assertEquals(await serving.first?.read(0, 10), pattern(10, 1));
  },
);
