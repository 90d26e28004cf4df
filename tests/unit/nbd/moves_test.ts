/**
 * Goal: a client that is given a thread of its own in the middle of its work
 * notices nothing: every request is answered once, with the right bytes, and
 * counted once. Method: real pools, real sockets; a client that the event loop
 * serves, and a second one that makes it move.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { BUSY_AFTER } from "../../../nbd/limits.ts";
import {
  type Dialect,
  encodeRequest,
  NBD,
  NbdClient,
  type RawReply,
  type RawRequest,
} from "../../helpers/nbd_client.ts";
import {
  componentSize,
  KIB,
  MIB,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { tls, TlsClient } from "../../helpers/tls_client.ts";
import {
  type LaneServeOptions,
  type LaneServing,
  serveOnLanes,
} from "./lane_serving.ts";
import { until } from "./serving.ts";

const { CMD_READ, CMD_WRITE, CMD_FLUSH, EPERM, ESHUTDOWN } = NBD;
const DIALECTS: readonly Dialect[] = ["simple", "structured", "extended"];
/** What is read and not written to, behind all that is. */
const READ_AT = 40 * SMALL_CHUNK;
const CONTENT = pattern(8 * SMALL_CHUNK, 5);
/** Where writes go: none is under way twice in the same place. */
const PLACES = 300;
const PLACE_SIZE = 3000;

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

function assertSame(actual: Uint8Array | undefined, wanted: Uint8Array): void {
  assertEquals(actual?.length, wanted.length);
  const wrong = actual?.findIndex((byte, i) => byte !== wanted[i]);
  assertEquals(wrong, -1, `byte ${wrong} is wrong`);
}

/** Which clients have moved, by their numbers. */
function moved({ log }: LaneServing): number[] {
  return log.filter(({ kind }) => kind === "moved").map(({ client }) => client);
}

function reasons({ log }: LaneServing): string[] {
  return log.filter(({ kind }) => kind === "disconnected")
    .map(({ message }) => message);
}

function untilMoved(serving: LaneServing, client = 1): Promise<void> {
  return until("moved", () => moved(serving).includes(client));
}

/** A client that the event loop serves, and that knows what can be read. */
async function serveAlone(
  dialect: Dialect,
  options: LaneServeOptions = {},
): Promise<{ serving: LaneServing; client: NbdClient }> {
  const serving = await serveOnLanes({ isAlone: true, ...options });
  const { client, hasThread } = await serving.openAny(dialect);
  assert(!hasThread, "the event loop serves who is alone");
  await serving.pool.write(CONTENT, READ_AT);
  return { serving, client };
}

/** A client at work: what it asks for, and whether that is what it gets. */
class Work {
  /** Requests that are not answered. */
  readonly open = new Map<bigint, RawRequest>();
  /** Requests and bytes so far: reads, writes. */
  readonly sent = { reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0 };
  readonly #client: NbdClient;
  readonly #start: number;
  readonly #written = new Uint8Array(PLACES * PLACE_SIZE);
  #count = 0;

  /** Writes to one part of the disk of eight chunks. */
  constructor(client: NbdClient, part = 0) {
    this.#client = client;
    this.#start = part * 8 * SMALL_CHUNK;
  }

  /** Sends reads, and writes to other places, all at once. */
  async send(count: number): Promise<void> {
    const requests = Array.from({ length: count }, () => this.#next());
    const cookies = await this.#client.sendAll(requests);
    for (const [i, request] of requests.entries()) {
      this.open.set(cookies[i] ?? 0n, request);
    }
  }

  #next(): RawRequest {
    const { sent } = this;
    const seed = ++this.#count;
    const length = 1 + (seed * 977) % PLACE_SIZE;
    if (seed % 3 !== 0) {
      sent.reads++;
      sent.bytesRead += length;
      const at = (seed * 7919) % (CONTENT.length - PLACE_SIZE);
      return { command: CMD_READ, offset: READ_AT + at, length };
    }
    sent.writes++;
    sent.bytesWritten += length;
    const at = (seed / 3 % PLACES) * PLACE_SIZE;
    const payload = pattern(length, seed);
    this.#written.set(payload, at);
    return { command: CMD_WRITE, offset: this.#start + at, payload };
  }

  /** Checks replies to so many requests. */
  async receive(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const { cookie, errno, payload } = await this.#client.receive();
      const request = this.open.get(cookie);
      assert(request !== undefined, `${cookie} is answered twice`);
      this.open.delete(cookie);
      assertEquals(errno, 0);
      if (request.command !== CMD_READ) continue;
      const at = Number(request.offset) - READ_AT;
      const end = at + Number(request.length);
      assertSame(payload, CONTENT.subarray(at, end));
    }
  }

  /** Keeps many requests under way until told to stop. */
  async keepOn(isDone: () => boolean): Promise<void> {
    await this.send(60);
    while (!isDone()) {
      await this.send(40);
      await this.receive(40);
    }
    await this.receive(60);
    assertEquals(this.open.size, 0);
  }

  /** Compares the disk with what was written. */
  async verify({ pool }: LaneServing): Promise<void> {
    const { length } = this.#written;
    assertSame(await readBytes(pool, this.#start, length), this.#written);
  }
}

/** What the server has counted, as {@linkcode Work.sent}. */
function counted({ server }: LaneServing): Work["sent"] {
  const { reads, bytesRead, writes, bytesWritten } = server.counters;
  return { reads, bytesRead, writes, bytesWritten };
}

for (const tcp of [false, true]) {
  for (const dialect of DIALECTS) {
    const how = `${dialect}, ${tcp ? "TCP" : "Unix"}`;
    Deno.test(`a client moves in the middle of its work (${how})`, async () => {
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
    });
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

/** Receives what answers requests in which nothing is wrong. */
async function receiveGood(
  client: NbdClient,
  count: number,
): Promise<Map<bigint, RawReply>> {
  const replies = await client.receiveAll(count);
  for (const { errno } of replies.values()) assertEquals(errno, 0);
  return replies;
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
    Deno.test(`${cut} bytes of a request move along (${dialect})`, async () => {
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
    });
  }

  Deno.test(`half a long WRITE is waited for (${dialect})`, async () => {
    const { serving, client } = await serveAlone(dialect);
    await using _serving = serving;
    const payload = pattern(MIB, 3);
    const write = { command: CMD_WRITE, offset: 100, payload };
    const read = { command: CMD_READ, offset: READ_AT, length: 999 };
    const between = async () => {
      await until("it has begun", () => serving.server.counters.writes === 1);
      using second = await serving.open(dialect);
      await second.write(2 * MIB, pattern(10, 1));
      await client.conn.write(new Uint8Array());
      assertEquals(moved(serving), []);
    };
    const requests = [write, read, { command: CMD_FLUSH }];
    await sendCut(client, requests, 300_000, between);
    await receiveGood(client, 3);
    await client.read(READ_AT, 1);
    await untilMoved(serving);
    assertSame(await client.read(100, MIB), payload);
    const { writes, bytesWritten } = counted(serving);
    assertEquals([writes, bytesWritten], [2, MIB + 10]);
  });

  Deno.test(`delayed writes are answered after a move (${dialect})`, async () => {
    const serving = await serveOnLanes({ isAlone: true, count: 1, chunks: 4 });
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
  });
}

/** Its cold reads wait until told to go on; nothing is in its page cache. */
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
  Deno.test(`cold reads are answered after a move (${dialect})`, async () => {
    const devices: ColdDevice[] = [];
    const { serving, client } = await serveAlone(dialect, {
      count: 1,
      pool: {
        openDevice(path, options) {
          const device = new ColdDevice(path, options);
          devices.push(device);
          return device;
        },
      },
    });
    await using _serving = serving;
    const device = devices.at(-1);
    assert(device !== undefined);
    device.isCold = true;
    const lengths = [100, 5000, 2 * SMALL_CHUNK, 3 * SMALL_CHUNK];
    const cold = lengths.map((length, i) => (
      { command: CMD_READ, offset: READ_AT + i * 10_000, length }
    ));
    const cookies = await client.sendAll(cold);
    await until("they wait", () => device.waiting.length >= lengths.length);
    device.isCold = false;
    using second = await serving.open(dialect);
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
  });
}

for (const dialect of DIALECTS) {
  Deno.test(`who reads no replies moves when they have left (${dialect})`, async () => {
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
      if (length === read.length) assertSame(data, CONTENT.subarray(0, length));
      else assertSame(data?.subarray(0, 99), new Uint8Array(99));
    }
    await client.read(0, 10);
    await untilMoved(serving);
    assertSame(await client.read(READ_AT, 10), CONTENT.subarray(0, 10));
    assertEquals(counted(serving).reads, requests.length + 3);
  });
}

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
    Deno.test(`who never waits with ${what} moves (${over})`, async () => {
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

Deno.test("where nobody can move nobody is waited for", async () => {
  const { serving, client } = await serveAlone("simple", { threads: 0 });
  await using _serving = serving;
  const { client: second } = await serving.openAny();
  const read = { command: CMD_READ, offset: READ_AT, length: 100_000 };
  const payload = pattern(MIB, 1);
  const write = { command: CMD_WRITE, payload };
  // More than the system holds for a client that reads nothing at first.
  const requests = [...Array(8).fill(read), ...Array(8).fill(write)];
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
  assertSame(await second.read(0, MIB), payload);
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
  Deno.test(`a lone client that reads much at once ${what}`, async () => {
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

for (const threads of [0, 1, 2]) {
  Deno.test(`four clients and ${threads} threads`, async () => {
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

Deno.test("who is encrypted stays, and makes others move", async () => {
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

Deno.test("writes to an export that is read-only are refused after a move", async () => {
  const { serving, client } = await serveAlone("extended", { readOnly: true });
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
});

Deno.test("after a move only who does nothing is idle", async () => {
  const { serving, client } = await serveAlone("simple", {
    limits: { idleMs: 400 },
  });
  await using _serving = serving;
  using second = await serving.open();
  let isDone = false;
  const working = (async () => {
    while (!isDone) await client.read(READ_AT, 100);
  })();
  assertEquals(await second.receiveEnd(), 0);
  await pause(500);
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
  Deno.test(`a server that stops around a move answers (${dialect}, ${round})`, async () => {
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
      else if (i % 2 === 0) assertSame(payload, CONTENT.subarray(i, i + 1000));
      else {
        const written = await readBytes(serving.pool, i * 1000, 1000);
        assertSame(written, pattern(1000, i));
      }
    }
    assertEquals(await client.receiveEnd(), 0);
    await closing;
    assertEquals(await second.receiveEnd(), 0);
    assertEquals(reasons(serving), Array(2).fill("the server stops"));
  });
}

Deno.test("who leaves around a move leaves nothing behind", async () => {
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
