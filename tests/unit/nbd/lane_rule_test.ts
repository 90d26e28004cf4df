/**
 * Goal: a client gets its lane as its handshake ends, or stays on the event
 * loop for good, and is answered right either way. Method: real pools, real
 * sockets; clients whose every answer is checked, more of them than threads.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { testNatively } from "../../helpers/native.ts";
import {
  encodeRequest,
  NBD,
  NbdClient,
  type RawRequest,
} from "../../helpers/nbd_client.ts";
import { KIB, MIB, pattern, SMALL_CHUNK } from "../../helpers/scratch.ts";
import { tls, TlsClient } from "../../helpers/tls_client.ts";
import { type LaneServing, lease, serveOnLanes } from "./lane_serving.ts";
import {
  assertSame,
  CONTENT,
  counted,
  DIALECTS,
  pause,
  READ_AT,
  receiveGood,
  Work,
} from "./lane_work.ts";
import { until } from "./serving.ts";

const { CMD_READ, CMD_WRITE, EPERM } = NBD;

/** A pool that has what {@linkcode Work} reads. */
async function serveFilled(
  options: Parameters<typeof serveOnLanes>[0] = {},
): Promise<LaneServing> {
  const serving = await serveOnLanes({ isEmpty: true, ...options });
  await serving.pool.volume().write(CONTENT, READ_AT);
  return serving;
}

/** Work for so many rounds. */
function keepOn(work: Work, rounds = 10): Promise<void> {
  let done = 0;
  return work.keepOn(() => ++done > rounds);
}

for (const tcp of [false, true]) {
  for (const dialect of DIALECTS) {
    const how = `${dialect}, ${tcp ? "TCP" : "Unix"}`;
    testNatively(`a client alone is on a lane (${how})`, async () => {
      await using serving = await serveFilled({ tcp });
      const client = await serving.open(dialect);
      const work = new Work(client);
      let isDone = false;
      const working = work.keepOn(() => isDone);
      await until("its thread works", () => {
        const { reads, writes } = serving.leased();
        return reads > 500 && writes > 200;
      });
      isDone = true;
      await working;
      await work.verify(serving);
      assertEquals(counted(serving), work.sent);
      // And when the client has left.
      client.close();
      await serving.server.close();
      assertEquals(counted(serving), work.sent);
    });
  }
}

for (const threads of [0, 1, 2]) {
  testNatively(`four clients and ${threads} threads`, async () => {
    await using serving = await serveFilled({ threads });
    const clients: NbdClient[] = [];
    for (const dialect of [...DIALECTS, "simple"] as const) {
      const opened = await serving.openAny(dialect);
      assertEquals(opened.hasThread, clients.length < threads);
      clients.push(opened.client);
    }
    const works = clients.map((client, i) => new Work(client, i));
    await Promise.all(works.map((work) => keepOn(work)));
    for (const work of works) await work.verify(serving);
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

testNatively(
  "a client on the event loop stays when a thread is free",
  async () => {
    await using serving = await serveFilled({ threads: 1 });
    const leaving = await serving.open();
    const { client: staying, hasThread } = await serving.openAny();
    assert(!hasThread, "the thread serves another client");
    await leaving.disconnect();
    await until("it has left", () => serving.server.clients.length === 1);
    const before = serving.leased();
    const work = new Work(staying);
    await keepOn(work);
    await work.verify(serving);
    assertEquals(serving.leased(), before, "the event loop does all of it");
    // The thread serves the next client.
    let next = await serving.openAny();
    while (!next.hasThread) {
      await next.client.disconnect();
      next = await serving.openAny();
    }
    await lease(serving, next.client, [0]);
    next.client.close();
    staying.close();
  },
);

testNatively("a client that encrypts takes no thread", async () => {
  await using serving = await serveFilled({
    tls: tls({ required: false }),
    threads: 2,
  });
  using encrypted = await TlsClient.encrypted(serving.address);
  await encrypted.go("disk");
  const plain = [
    await NbdClient.open(serving.address, "disk"),
    await NbdClient.open(serving.address, "disk"),
  ];
  const works = [encrypted, ...plain].map((client, i) => new Work(client, i));
  await Promise.all(works.map((work) => keepOn(work)));
  for (const work of works) await work.verify(serving);
  const manners = serving.log.filter(({ kind }) => kind === "connected")
    .map(({ message }) => message.split(",")[0]);
  assertEquals(manners, [
    'Uses export "disk" over TLS',
    'Uses export "disk" on a thread of its own',
    'Uses export "disk" on a thread of its own',
  ]);
  for (const client of plain) client.close();
});

/** Counts the threads that are started and ended, while a test runs. */
function watchThreads(): Disposable & { started: number; ended: number } {
  const Original = globalThis.Worker;
  const watch = {
    started: 0,
    ended: 0,
    [Symbol.dispose]: () => void (globalThis.Worker = Original),
  };
  globalThis.Worker = class extends Original {
    constructor(...args: ConstructorParameters<typeof Original>) {
      super(...args);
      watch.started++;
    }

    override terminate(): void {
      watch.ended++;
      super.terminate();
    }
  };
  return watch;
}

testNatively("one thread more than clients is kept warm", async () => {
  using watch = watchThreads();
  const serving = await serveFilled({ threads: 3, isEmpty: true });
  assertEquals(watch.started, 0, "before the first client");
  const clients: NbdClient[] = [];
  for (const wanted of [2, 3, 3]) {
    clients.push(await serving.open());
    assertEquals(watch.started, wanted);
  }
  const { client, hasThread } = await serving.openAny();
  assertEquals([hasThread, watch.started], [false, 3], "all are in use");
  for (const one of [client, ...clients]) one.close();
  await until("all have left", () => serving.server.clients.length === 0);
  await serving[Symbol.asyncDispose]();
  assertEquals(watch.ended, 3);
});

testNatively("no thread is started where none may be", async () => {
  using watch = watchThreads();
  await using serving = await serveFilled({ threads: 0 });
  const { client } = await serving.openAny();
  client.close();
  assertEquals(watch.started, 0);
});

for (const dialect of DIALECTS) {
  const header = dialect === "extended" ? 32 : 28;
  const whole = header + 64 * KIB;
  for (const cut of [1, header - 1, header, header + 4099, whole - 1]) {
    testNatively(
      `a request comes in two pieces (${dialect}, ${cut})`,
      async () => {
        await using serving = await serveFilled();
        const client = await serving.open(dialect);
        const { conn } = client;
        const payload = pattern(64 * KIB, cut);
        const read = { command: CMD_READ, offset: READ_AT, length: 999 };
        const write = conn.write.bind(conn);
        conn.write = async (bytes) => {
          conn.write = write;
          await client.sendRaw(bytes.subarray(0, header + cut));
          await pause(20);
          return header + cut;
        };
        const cookies = await client.sendAll([
          read,
          { command: CMD_WRITE, offset: 7, payload },
          read,
        ]);
        const replies = await receiveGood(client, 3);
        for (const i of [0, 2]) {
          const data = replies.get(cookies[i] ?? 0n)?.payload;
          assertSame(data, CONTENT.subarray(0, 999));
        }
        assertSame(await client.read(7, payload.length), payload);
        const { reads, writes } = serving.server.counters;
        assertEquals([reads, writes], [3, 1]);
        client.close();
      },
    );
  }
}

/** Keeps so many requests in flight until the test stops it. */
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
    testNatively(
      `a client that never waits with ${what} (${over})`,
      async () => {
        await using serving = await serveFilled({ tcp });
        const client = await serving.open();
        const payload = pattern(MIB, 1);
        await client.write(0, payload);
        const request = command === CMD_READ
          ? { command, length: MIB }
          : { command, payload };
        let isDone = false;
        const working = keepUp(client, 8, request, () => isDone);
        await until("it works", () => {
          const { bytesRead, bytesWritten } = serving.server.counters;
          return bytesRead + bytesWritten > 20 * MIB;
        });
        using second = await serving.open();
        assertSame(await second.read(READ_AT, 100), CONTENT.subarray(0, 100));
        isDone = true;
        await working;
        assertSame(await client.read(0, MIB), payload);
        assertSame(await second.read(0, MIB), payload);
        client.close();
      },
    );
  }
}

testNatively("writes to an export that is read-only are refused", async () => {
  await using serving = await serveFilled({ readOnly: true });
  const client = await serving.open("extended");
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
  assertEquals(serving.server.counters.errors, 30);
  assertSame(await client.read(READ_AT, 1000), CONTENT.subarray(0, 1000));
  client.close();
});

/** Its cold reads wait for the test; nothing is in its page cache. */
class ColdDevice extends FileDevice {
  isCold = false;
  readonly waiting: (() => void)[] = [];

  override readCached(target: Uint8Array, offset: number): number {
    return this.isCold ? 0 : super.readCached(target, offset);
  }

  override async readCold(target: Uint8Array, offset: number): Promise<void> {
    if (this.isCold) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    await super.readCold(target, offset);
  }
}

for (const dialect of DIALECTS) {
  testNatively(`reads that wait hold up no others (${dialect})`, async () => {
    const devices: ColdDevice[] = [];
    await using serving = await serveFilled({
      count: 1,
      pool: {
        openDevice(path, options) {
          const device = new ColdDevice(path, options);
          devices.push(device);
          return device;
        },
      },
    });
    const device = devices.at(-1);
    assert(device !== undefined);
    const client = await serving.open(dialect);
    device.isCold = true;
    // None of it is leased yet, so the owner reads, and waits.
    const lengths = [100, 5000, 2 * SMALL_CHUNK, 3 * SMALL_CHUNK];
    const cold = lengths.map((length, i) => (
      { command: CMD_READ, offset: READ_AT + i * 10_000, length }
    ));
    const cookies = await client.sendAll(cold);
    await until("they wait", () => {
      return serving.server.counters.reads === lengths.length;
    });
    assert(device.waiting.length >= lengths.length);
    device.isCold = false;
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
    client.close();
  });
}

testNatively("bytes of the handshake's end are the first request", async () => {
  await using serving = await serveFilled();
  using client = await NbdClient.connect(serving.address);
  await client.greet();
  const name = new TextEncoder().encode("disk");
  const option = new Uint8Array(16 + name.length);
  const view = new DataView(option.buffer);
  view.setBigUint64(0, 0x49484156454f5054n);
  view.setUint32(8, NBD.OPT_EXPORT_NAME);
  view.setUint32(12, name.length);
  option.set(name, 16);
  const read = { command: CMD_READ, offset: READ_AT, length: 10, cookie: 9n };
  const request = encodeRequest(read);
  // One byte of it comes later.
  const parts = [option, request.subarray(0, request.length - 1)];
  await client.sendRaw(await new Blob(parts as BlobPart[]).bytes());
  await pause(50);
  await client.sendRaw(request.subarray(request.length - 1));
  const answer = await client.receiveRaw(10 + 16 + 10);
  assertSame(answer.subarray(26), CONTENT.subarray(0, 10));
});
