/**
 * Goal: whatever else happens while a client is to be given a thread of its
 * own, it moves if it can, and it gets what is due to it. Method: real pools,
 * real sockets; clients that never wait, or leave, or are idle, and servers
 * that stop or have no thread to give.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { BUSY_AFTER, LANE_READ_MAX } from "../../../nbd/wire/limits.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  encodeRequest,
  NBD,
  NbdClient,
  type RawRequest,
} from "../../helpers/nbd_client.ts";
import { KIB, MIB, pattern, readBytes } from "../../helpers/scratch.ts";
import { tls, TlsClient } from "../../helpers/tls_client.ts";
import {
  assertSame,
  CONTENT,
  counted,
  DIALECTS,
  moved,
  pause,
  READ_AT,
  reasons,
  receiveGood,
  serveAlone,
  serveCold,
  untilMoved,
  Work,
} from "./moving.ts";
import { until } from "./serving.ts";

const { CMD_READ, CMD_WRITE, EPERM, ESHUTDOWN } = NBD;

/** Keeps so many requests under way until told to stop. */
async function keepUp(
  client: NbdClient,
  depth: number,
  request: RawRequest,
  isDone: () => boolean,
): Promise<void> {
  let sending: Promise<unknown> = client.sendAll(Array(depth).fill(request));
  for (let open = depth; open > 0; open--) {
    assertEquals((await client.receive()).errno, 0);
    if (isDone()) continue;
    open++;
    sending = sending.then(() => client.sendAll([request]));
  }
  await sending;
}

for (const tcp of [false, true]) {
  for (const command of [CMD_READ, CMD_WRITE]) {
    const what = `${command === CMD_READ ? "READs" : "WRITEs"} of 1 MiB`;
    const over = tcp ? "TCP" : "Unix";
    testNatively(`who never waits with ${what} moves (${over})`, async () => {
      const { serving, client } = await serveAlone("simple", { tcp });
      await using _serving = serving;
      const payload = pattern(MIB, 1);
      await client.write(0, payload);
      const request = command === CMD_READ
        ? { command, length: MIB }
        : { command, payload };
      let isDone = false;
      const working = keepUp(client, 8, request, () => isDone);
      await until("it works", () =>
        serving.server.counters.bytesRead +
            serving.server.counters.bytesWritten > 20 * MIB);
      using second = await serving.open();
      try {
        await untilMoved(serving);
      } finally {
        isDone = true;
        await working;
      }
      assertSame(await client.read(0, MIB), payload);
      assertSame(await second.read(0, MIB), payload);
    });
  }
}

testNatively("where nobody can move nobody is waited for", async () => {
  const { serving, client } = await serveAlone("simple", { threads: 0 });
  await using _serving = serving;
  const { client: second } = await serving.openAny();
  const read = { command: CMD_READ, offset: READ_AT, length: 100_000 };
  const payload = pattern(60_000, 1);
  const write = { command: CMD_WRITE, payload };
  // More than the system holds for a client that reads nothing at first.
  const requests = [...Array(12).fill(read), ...Array(40).fill(write)];
  let isSent = false;
  const sending = client.sendAll(requests).then(() => isSent = true);
  try {
    await until("all is sent", () => isSent);
  } catch (error) {
    client.close();
    await sending.catch(() => {});
    throw error;
  }
  await receiveGood(client, requests.length);
  assertSame(await second.read(0, payload.length), payload);
  second.close();
});

/** Sends READs of 512 bytes, many at once, and checks what comes. */
async function readMany(client: NbdClient, batches: number): Promise<void> {
  const depth = 256;
  const [size, reply] = [512, 16 + 512];
  const parts = Array.from({ length: depth }, (_, i) =>
    encodeRequest({
      command: CMD_READ,
      offset: READ_AT + i * size,
      length: size,
      cookie: BigInt(i),
    }));
  const bytes = await new Blob(parts as BlobPart[]).bytes();
  for (let batch = 0; batch < batches; batch++) {
    await client.sendRaw(bytes);
    const replies = await client.receiveRaw(depth * reply);
    const view = new DataView(replies.buffer);
    const seen = new Set<number>();
    for (let at = 0; at < replies.length; at += reply) {
      assertEquals(view.getUint32(at), 0x67446698);
      assertEquals(view.getUint32(at + 4), 0);
      const i = Number(view.getBigUint64(at + 8));
      assert(!seen.has(i), `${i} is answered twice`);
      seen.add(i);
      // All of them would take longer than to serve them.
      const [start, last] = [i * size, size - 1];
      assertEquals(view.getUint8(at + 16), CONTENT[start]);
      assertEquals(view.getUint8(at + 16 + last), CONTENT[start + last]);
    }
  }
}

for (const threads of [0, 1]) {
  const what = threads === 0 ? "stays where there is no thread" : "moves";
  testNatively(`a lone client that reads much at once ${what}`, async () => {
    const { serving, client } = await serveAlone("simple", { threads });
    await using _serving = serving;
    const half = BUSY_AFTER / 256 / 2;
    await readMany(client, half);
    assertEquals(moved(serving), []);
    await readMany(client, 2 * half);
    assertEquals(moved(serving), threads === 0 ? [] : [1]);
    const { reads } = serving.leased();
    assertEquals(reads > 0, threads > 0);
    assertEquals(counted(serving).reads, 3 * BUSY_AFTER / 2);
    await client.write(0, pattern(100, 1));
    assertSame(await client.read(0, 100), pattern(100, 1));
  });
}

testNatively(
  "a lone client that reads what is not in the page cache stays",
  async () => {
    const { serving, client, device } = await serveCold("simple");
    await using _serving = serving;
    const half = BUSY_AFTER / 256 / 2;
    await readMany(client, half);
    device.isCold = true;
    const cold = { command: CMD_READ, offset: READ_AT, length: 512 };
    await client.sendAll([cold, cold]);
    await until("they wait", () => device.waiting.length === 2);
    device.isCold = false;
    for (const goOn of device.waiting) goOn();
    await receiveGood(client, 2);
    await readMany(client, half);
    assertEquals(moved(serving), []);
    await readMany(client, half);
    assertEquals(moved(serving), [1]);
  },
);

testNatively(
  "a lone client with long READs stays, a thread would not carry them out",
  async () => {
    const { serving, client } = await serveAlone("structured");
    await using _serving = serving;
    // Nothing is mapped there: the answer is short.
    const hole = { command: CMD_READ, offset: 0, length: LANE_READ_MAX + 1 };
    const depth = 256;
    for (let batch = 0; batch <= BUSY_AFTER / depth; batch++) {
      await client.sendAll(Array.from({ length: depth }, () => hole));
      await receiveGood(client, depth);
    }
    assertEquals(moved(serving), []);
  },
);

for (const threads of [0, 1, 2]) {
  testNatively(`four clients and ${threads} threads`, async () => {
    const { serving, client } = await serveAlone("simple", { threads });
    await using _serving = serving;
    const clients = [client];
    // Who comes has a thread while there is one; nobody else gets any.
    for (const dialect of DIALECTS) {
      const opened = await serving.openAny(dialect);
      assertEquals(opened.hasThread, clients.length <= threads);
      clients.push(opened.client);
    }
    const works = clients.map((client, i) => new Work(client, i));
    await Promise.all(works.map(async (work) => {
      let rounds = 0;
      await work.keepOn(() => ++rounds > 10);
    }));
    for (const work of works) await work.verify(serving);
    assertEquals(moved(serving), []);
    const sum = (key: keyof Work["sent"]) =>
      works.reduce((sum, { sent }) => sum + sent[key], 0);
    assertEquals(counted(serving), {
      reads: sum("reads"),
      bytesRead: sum("bytesRead"),
      writes: sum("writes"),
      bytesWritten: sum("bytesWritten"),
    });
    for (const client of clients) client.close();
  });
}

testNatively("who is encrypted stays, and makes others move", async () => {
  const { serving, client } = await serveAlone("simple", {
    tls: tls({ required: false }),
    threads: 3,
  });
  await using _serving = serving;
  using encrypted = await TlsClient.encrypted(serving.address);
  await encrypted.go("disk");
  using second = await NbdClient.open(serving.address, "disk");
  const clients = [client, encrypted, second];
  const works = clients.map((client, i) => new Work(client, i));
  await Promise.all(works.map((work) => {
    let rounds = 0;
    return work.keepOn(() => ++rounds > 10);
  }));
  for (const work of works) await work.verify(serving);
  assertEquals(moved(serving), [1]);
});

testNatively(
  "writes to an export that is read-only are refused after a move",
  async () => {
    const { serving, client } = await serveAlone("extended", {
      readOnly: true,
    });
    await using _serving = serving;
    using second = await serving.open();
    const payload = pattern(1000, 1);
    const requests = Array.from({ length: 20 }, (_, i) => (
      i % 2 === 0
        ? { command: CMD_READ, offset: READ_AT, length: 1000 }
        : { command: CMD_WRITE, offset: READ_AT, payload }
    ));
    for (let round = 0; round < 3; round++) {
      const cookies = await client.sendAll(requests);
      const replies = await client.receiveAll(requests.length);
      for (const [i, cookie] of cookies.entries()) {
        const { errno, payload } = replies.get(cookie) ?? {};
        assertEquals(errno, i % 2 === 0 ? 0 : EPERM);
        if (i % 2 === 0) assertSame(payload, CONTENT.subarray(0, 1000));
      }
    }
    assertEquals(moved(serving), [1]);
    assertEquals(serving.server.counters.errors, 30);
    assertSame(await second.read(READ_AT, 1000), CONTENT.subarray(0, 1000));
  },
);

testNatively("after a move only who does nothing is idle", async () => {
  const { serving, client } = await serveAlone("simple", {
    limits: { idleMs: 1500 },
  });
  await using _serving = serving;
  using second = await serving.open();
  let isDone = false;
  const working = (async () => {
    while (!isDone) await client.read(READ_AT, 100);
  })();
  assertEquals(await second.receiveEnd(), 0);
  // Longer than that: what works all the time is not idle.
  await pause(2000);
  isDone = true;
  await working;
  assertEquals(moved(serving), [1]);
  assertEquals(reasons(serving).length, 1);
  assertEquals(await client.receiveEnd(), 0);
  await until("both have left", () => serving.server.clients.length === 0);
  const idle = "the client was idle for too long";
  assertEquals(reasons(serving), [idle, idle]);
});

for (const [round, dialect] of [...DIALECTS, ...DIALECTS].entries()) {
  testNatively(
    `a server that stops around a move answers (${dialect}, ${round})`,
    async () => {
      const { serving, client } = await serveAlone(dialect);
      await using _serving = serving;
      const requests = Array.from({ length: 200 }, (_, i) => (
        i % 2 === 0
          ? { command: CMD_READ, offset: READ_AT + i, length: 1000 }
          : { command: CMD_WRITE, offset: i * 1000, payload: pattern(1000, i) }
      ));
      using second = await serving.open(dialect);
      const cookies: bigint[] = [];
      for (let part = 0; part < 4; part++) {
        cookies.push(...await client.sendAll(requests.splice(0, 50)));
        if (part === 0 && round < 3) await untilMoved(serving);
      }
      const closing = serving.server.close({ graceMs: 60_000 });
      const replies = await client.receiveAll(cookies.length);
      for (const [i, cookie] of cookies.entries()) {
        const { errno, payload } = replies.get(cookie) ?? {};
        if (errno !== 0) assertEquals(errno, ESHUTDOWN);
        else if (i % 2 === 0) {
          assertSame(payload, CONTENT.subarray(i, i + 1000));
        } else {
          const written = await readBytes(
            serving.pool.volume(),
            i * 1000,
            1000,
          );
          assertSame(written, pattern(1000, i));
        }
      }
      assertEquals(await client.receiveEnd(), 0);
      await closing;
      assertEquals(await second.receiveEnd(), 0);
      assertEquals(reasons(serving), Array(2).fill("the server stops"));
    },
  );
}

testNatively("who was to move does not when the server stops", async () => {
  const { serving, client } = await serveAlone("structured");
  await using _serving = serving;
  using second = await serving.open();
  const closing = serving.server.close({ graceMs: 60_000 });
  const read = { command: CMD_READ, offset: READ_AT, length: 100 };
  assertEquals((await client.call(read)).errno, ESHUTDOWN);
  await closing;
  assertEquals(await second.receiveEnd(), 0);
  assertEquals(moved(serving), []);
});

testNatively("who leaves around a move leaves nothing behind", async () => {
  const { serving, client } = await serveAlone("simple", { threads: 3 });
  await using _serving = serving;
  client.close();
  for (let round = 0; round < 12; round++) {
    await until("all left", () => serving.server.clients.length === 0);
    using leaving = await NbdClient.open(serving.address, "disk");
    const requests = Array.from({ length: 30 }, (_, i) => (
      i % 2 === 0
        ? { command: CMD_READ, offset: READ_AT, length: 64 * KIB }
        : { command: CMD_WRITE, offset: 0, payload: pattern(30_000, i) }
    ));
    using second = await NbdClient.open(serving.address, "disk");
    const sending = leaving.sendAll(requests).catch(() => {});
    if (round % 2 === 0) await pause(round / 2);
    leaving.close();
    await sending;
    const others = () => serving.server.clients.length - 1;
    await until("it has left", () => others() === 0);
    assertSame(await second.read(READ_AT, 100), CONTENT.subarray(0, 100));
  }
});
