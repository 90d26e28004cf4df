/**
 * Goal: a client that is given a thread of its own in the middle of its work
 * notices nothing: every request is answered once, with the right bytes, and
 * counted once. Method: real pools, real sockets; a client that the event loop
 * serves, and a second one that makes it move.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { testNatively } from "../../helpers/native.ts";
import {
  NBD,
  type NbdClient,
  type RawRequest,
} from "../../helpers/nbd_client.ts";
import {
  componentSize,
  KIB,
  MIB,
  pattern,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { serveOnLanes } from "./lane_serving.ts";
import {
  assertSame,
  CONTENT,
  counted,
  DIALECTS,
  moved,
  pause,
  READ_AT,
  receiveGood,
  serveAlone,
  serveCold,
  untilMoved,
  Work,
} from "./moving.ts";
import { until } from "./serving.ts";

const { CMD_READ, CMD_WRITE, CMD_FLUSH } = NBD;

for (const tcp of [false, true]) {
  for (const dialect of DIALECTS) {
    const how = `${dialect}, ${tcp ? "TCP" : "Unix"}`;
    testNatively(
      `a client moves in the middle of its work (${how})`,
      async () => {
        const { serving, client } = await serveAlone(dialect, { tcp });
        await using _serving = serving;
        const work = new Work(client);
        let isDone = false;
        const working = work.keepOn(() => isDone);
        await until("it works", () => counted(serving).reads > 200);
        using second = await serving.open(dialect);
        await untilMoved(serving);
        const { reads } = serving.leased();
        await until("its thread reads", () => serving.leased().reads > reads);
        await second.read(0, 1);
        isDone = true;
        await working;
        await work.verify(serving);
        const { reads: all, bytesRead, ...writes } = work.sent;
        const sent = { reads: all + 1, bytesRead: bytesRead + 1, ...writes };
        assertEquals(counted(serving), sent);
        assertEquals(moved(serving), [1]);
        // And when nobody is there any more.
        client.close();
        second.close();
        await serving.server.close();
        assertEquals(counted(serving), sent);
      },
    );
  }
}

/** Sends requests with one write, of which it cuts off what is sent later. */
async function sendCut(
  client: NbdClient,
  requests: RawRequest[],
  cut: number,
  between: () => Promise<void>,
): Promise<bigint[]> {
  const { conn } = client;
  const write = conn.write.bind(conn);
  conn.write = async (bytes) => {
    conn.write = write;
    await client.sendRaw(bytes.subarray(0, cut));
    await between();
    return cut;
  };
  return await client.sendAll(requests);
}

for (const dialect of DIALECTS) {
  const header = dialect === "extended" ? 32 : 28;
  const whole = header + 64 * KIB;
  const cuts = {
    simple: [header - 1, whole - 1],
    structured: [1, header + 4099],
    extended: [header - 1, header, whole - 1],
  };
  for (const cut of cuts[dialect]) {
    testNatively(
      `${cut} bytes of a request move along (${dialect})`,
      async () => {
        const { serving, client } = await serveAlone(dialect);
        await using _serving = serving;
        using _second = await serving.open(dialect);
        const payload = pattern(64 * KIB, cut);
        const read = { command: CMD_READ, offset: READ_AT, length: 999 };
        const cookies = await sendCut(
          client,
          [read, { command: CMD_WRITE, offset: 7, payload }, read],
          header + cut,
          () => untilMoved(serving),
        );
        const replies = await receiveGood(client, 3);
        for (const i of [0, 2]) {
          const data = replies.get(cookies[i] ?? 0n)?.payload;
          assertSame(data, CONTENT.subarray(0, 999));
        }
        assertSame(await client.read(7, payload.length), payload);
        const { reads, writes } = serving.server.counters;
        assertEquals([reads, writes], [3, 1]);
      },
    );
  }

  testNatively(`half a long WRITE is waited for (${dialect})`, async () => {
    const { serving, client } = await serveAlone(dialect);
    await using _serving = serving;
    const payload = pattern(MIB, 3);
    const write = { command: CMD_WRITE, offset: 100, payload };
    const read = { command: CMD_READ, offset: READ_AT, length: 999 };
    const between = async () => {
      await until("it has begun", () => serving.server.counters.writes === 1);
      using second = await serving.open(dialect);
      await second.write(2 * MIB, pattern(10, 1));
    };
    const requests = [write, read, { command: CMD_FLUSH }];
    await sendCut(client, requests, 300_000, between);
    await receiveGood(client, 3);
    await client.read(READ_AT, 1);
    await untilMoved(serving);
    assertSame(await client.read(100, MIB), payload);
    // What it got first was the beginning of a request.
    const { reads } = serving.leased();
    for (let i = 0; i < 50; i++) await client.read(READ_AT, 1);
    assert(serving.leased().reads > reads, "its thread reads");
    const { writes, bytesWritten } = counted(serving);
    assertEquals([writes, bytesWritten], [2, MIB + 10]);
  });

  testNatively(
    `delayed writes are answered after a move (${dialect})`,
    async () => {
      const serving = await serveOnLanes({
        isAlone: true,
        count: 1,
        chunks: 4,
      });
      await using _serving = serving;
      const { client } = await serving.openAny(dialect);
      await client.write(0, pattern(4 * SMALL_CHUNK, 1));
      const small = { command: CMD_WRITE, offset: 20 * SMALL_CHUNK };
      const long = pattern(3 * SMALL_CHUNK, 5);
      const delayed = await client.sendAll([
        { ...small, payload: pattern(5000, 4) },
        { command: CMD_WRITE, offset: 30 * SMALL_CHUNK, payload: long },
      ]);
      await until("they wait", () => serving.pool.status().delayed.count >= 2);
      using second = await serving.open(dialect);
      for (let i = 0; i < 30; i++) {
        await client.write(i * 5000, pattern(5000, i));
        assertSame(await client.read(i * 5000, 5000), pattern(5000, i));
      }
      assertEquals(moved(serving), [1]);
      const createSize = componentSize("native", 10);
      await serving.pool.add([serving.file("more")], { createSize });
      const replies = await receiveGood(client, 2);
      assertEquals(new Set(replies.keys()), new Set(delayed));
      assertSame(await second.read(small.offset, 5000), pattern(5000, 4));
      assertSame(await second.read(30 * SMALL_CHUNK, long.length), long);
      assertEquals(serving.server.counters.writes, 33);
    },
  );
}

for (const dialect of DIALECTS) {
  testNatively(
    `cold reads are answered after a move (${dialect})`,
    async () => {
      const { serving, client, device } = await serveCold(dialect);
      await using _serving = serving;
      device.isCold = true;
      const lengths = [100, 5000, 2 * SMALL_CHUNK, 3 * SMALL_CHUNK];
      const cold = lengths.map((length, i) => (
        { command: CMD_READ, offset: READ_AT + i * 10_000, length }
      ));
      const cookies = await client.sendAll(cold);
      await until("they wait", () => device.waiting.length >= lengths.length);
      device.isCold = false;
      using second = await serving.open(dialect);
      // It does not move while it is waited for what it sends.
      device.waiting.shift()?.();
      const [[cookie, { payload }] = [0n, { payload: CONTENT }]] =
        await receiveGood(client, 1);
      assertSame(payload, CONTENT.subarray(0, lengths[0]));
      assertEquals([moved(serving), cookie], [[], cookies.shift()]);
      cold.shift();
      for (let i = 0; i < 30; i++) {
        const at = i * 777;
        const data = await client.read(READ_AT + at, 5000);
        assertSame(data, CONTENT.subarray(at, at + 5000));
      }
      assertEquals(moved(serving), [1]);
      const work = new Work(client);
      await work.send(30);
      await work.receive(30);
      for (const go of device.waiting.splice(0)) go();
      const replies = await receiveGood(client, cold.length);
      for (const [i, { offset, length }] of cold.entries()) {
        const at = offset - READ_AT;
        const data = replies.get(cookies[i] ?? 0n)?.payload;
        assertSame(data, CONTENT.subarray(at, at + length));
      }
      await second.flush();
    },
  );
}

for (const dialect of DIALECTS) {
  testNatively(
    `who reads no replies moves when they have left (${dialect})`,
    async () => {
      const { serving, client } = await serveAlone(dialect);
      await using _serving = serving;
      const long = { command: CMD_READ, offset: 0, length: 5 * MIB };
      const read = { command: CMD_READ, offset: READ_AT, length: 100_000 };
      const requests = [...Array(40).fill(read), long, ...Array(40).fill(read)];
      const cookies = await client.sendAll(requests);
      await until("some are read", () => serving.server.counters.reads > 0);
      using second = await serving.open(dialect);
      await second.read(0, 10);
      assertEquals(moved(serving), []);
      const replies = await receiveGood(client, requests.length);
      for (const [i, cookie] of cookies.entries()) {
        const data = replies.get(cookie)?.payload;
        const { length } = requests[i];
        if (length === read.length) {
          assertSame(data, CONTENT.subarray(0, length));
        } else assertSame(data?.subarray(0, 99), new Uint8Array(99));
      }
      await client.read(0, 10);
      await untilMoved(serving);
      assertSame(await client.read(READ_AT, 10), CONTENT.subarray(0, 10));
      assertEquals(counted(serving).reads, requests.length + 3);
    },
  );
}

testNatively("a READ that is sent in parts is completed first", async () => {
  const { serving, client, device } = await serveCold("simple");
  await using _serving = serving;
  const long = { command: CMD_READ, offset: READ_AT, length: 3 * MIB };
  const short = { command: CMD_READ, offset: READ_AT, length: 1000 };
  device.isCold = true;
  const cookies = await client.sendAll([long]);
  await until("it waits", () => device.waiting.length > 0);
  device.isCold = false;
  using second = await serving.open();
  cookies.push(...await client.sendAll(Array(5).fill(short)));
  await second.read(0, 1);
  await pause(20);
  assertEquals(moved(serving), []);
  for (const go of device.waiting.splice(0)) go();
  const replies = await receiveGood(client, cookies.length);
  assertEquals([...replies.keys()], cookies);
  const [first, ...others] = replies.values();
  assertSame(first?.payload.subarray(0, CONTENT.length), CONTENT);
  for (const { payload } of others) {
    assertSame(payload, CONTENT.subarray(0, 1000));
  }
  await client.read(READ_AT, 1);
  await untilMoved(serving);
});
