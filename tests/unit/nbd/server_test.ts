/**
 * Goal: the server starts, counts, limits and stops as it promises.
 * Method: real sockets; a device whose operations the test finishes.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MemoryDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import {
  encodeInfoData,
  encodeOption,
  NBD,
  NbdClient,
} from "../../helpers/nbd_client.ts";
import { HeldDevice } from "./held_device.ts";
import { exportOf, pattern, serve, until } from "./serving.ts";
import { PATIENCE_MS, pause } from "../../helpers/patience.ts";

const { CMD_READ, CMD_WRITE } = NBD;

Deno.test("NbdServer counts connections, requests and bytes", async () => {
  await using serving = await serve({ tcp: true });
  const { server } = serving;
  using client = await serving.open();
  await client.write(0, pattern(1000));
  await client.read(0, 300);
  await client.flush();
  await client.call({ command: NBD.CMD_TRIM, length: 10 });
  await client.call({ command: NBD.CMD_CACHE, length: 10 });
  await client.call({ command: NBD.CMD_WRITE_ZEROES, length: 10 });
  await client.call({ command: 99 });
  assertEquals(server.counters, {
    connections: 1,
    connectionsRefused: 0,
    reads: 1,
    writes: 1,
    flushes: 1,
    trims: 1,
    writeZeroes: 1,
    caches: 1,
    blockStatuses: 0,
    errors: 1,
    bytesRead: 300,
    bytesWritten: 1000,
  });
  const [info] = server.clients;
  assertEquals(info?.id, 1);
  assertEquals(info?.exportName, "disk");
  assert(info?.peer.startsWith("127.0.0.1:"));
  await client.disconnect();
  await until("it is gone", () => server.clients.length === 0);
  assertEquals(serving.events.map(({ kind }) => kind), [
    "connected",
    "disconnected",
  ]);
  assertEquals(serving.events[1]?.message, "the client said goodbye");
});

Deno.test("NbdServer takes several listeners", async () => {
  await using serving = await serve();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  serving.server.serve(listener);
  using one = await serving.open();
  using two = await NbdClient.open({ port: listener.addr.port });
  await one.write(0, pattern(10));
  assertEquals(await two.read(0, 10), pattern(10));
});

Deno.test("NbdServer closes connections above its limit", async () => {
  await using serving = await serve({ limits: { clients: 2 } });
  using one = await serving.open();
  using _two = await serving.open();
  using three = await NbdClient.connect(serving.address);
  assertEquals(await three.receiveEnd(), 0);
  assertEquals(serving.server.counters.connectionsRefused, 1);
  await one.disconnect();
  await until("there is room", () => serving.server.clients.length === 1);
  using four = await serving.open();
  assertEquals((await four.read(0, 1)).length, 1);
});

Deno.test("NbdServer ends the oldest handshake when there are too many", async () => {
  await using serving = await serve({ limits: { handshakes: 3 } });
  using _user = await serving.open();
  using oldest = await serving.greeted();
  using second = await serving.greeted();
  using third = await serving.greeted();
  // A client that proceeds gets in, however many others do not proceed.
  using good = await serving.open();
  assertEquals((await good.read(0, 1)).length, 1);
  assertEquals(await oldest.receiveEnd(), 0);
  await second.go("disk");
  await third.go("disk");
  assertEquals(serving.server.clients.length, 4);
  const refused = serving.events.filter(({ kind }) => kind === "refused");
  assertEquals(refused.map(({ message }) => message), [
    "It was the oldest of 3 handshakes",
  ]);
});

Deno.test("NbdServer refuses a client above the limit only after the handshake", async () => {
  await using serving = await serve({ limits: { clients: 1 } });
  using slow = await serving.greeted();
  using quick = await serving.open();
  await slow.go("disk");
  assertEquals(await slow.receiveEnd(), 0);
  assertEquals((await quick.read(0, 1)).length, 1);
  assertEquals(serving.server.counters.connectionsRefused, 1);
});

Deno.test("NbdServer ends idle clients, if so configured", async () => {
  const device = new HeldDevice();
  device.holds = (kind) => kind === "write";
  // So long that one that is busy is never idle on a busy machine either.
  const idleMs = 1500;
  await using serving = await serve({ device, limits: { idleMs } });
  using idle = await serving.open();
  using waiting = await serving.open();
  await waiting.send({ command: CMD_WRITE, payload: pattern(512) });
  using busy = await serving.open();
  const start = performance.now();
  let ended = false;
  const end = idle.receiveEnd().then(() => ended = true);
  while (!ended || performance.now() - start < 2 * idleMs) {
    await busy.read(0, 1);
    await pause(5);
    assert(performance.now() - start < PATIENCE_MS, "it does not end");
  }
  await end;
  assertEquals(serving.server.clients.map(({ id }) => id), [2, 3]);
  const reasons = serving.events.filter(({ kind }) => kind === "disconnected");
  assertEquals(reasons.map(({ message }) => message), [
    "the client was idle for too long",
  ]);
  device.held[0]?.finish();
  assertEquals((await waiting.receive()).errno, 0);
});

Deno.test("NbdServer tells of clients that only look around", async () => {
  await using serving = await serve();
  using client = await serving.greeted();
  await client.option(NBD.OPT_ABORT);
  await until("it has left", () => serving.events.length > 0);
  assertEquals(serving.events.map(({ kind }) => kind), ["left"]);
});

Deno.test("dismiss() ends the clients of one export, the others stay", async () => {
  const devices = [new HeldDevice(), new HeldDevice()];
  for (const device of devices) device.holds = (kind) => kind === "write";
  await using serving = await serve({
    exports: devices.map((device, i) => exportOf(device, { name: `disk${i}` })),
  });
  using leaving = await NbdClient.open(serving.address, "disk0");
  using halfway = await serving.greeted();
  using staying = await NbdClient.open(serving.address, "disk1");
  const write = { command: CMD_WRITE, payload: pattern(512) };
  await leaving.send(write);
  await staying.send(write);
  await until("they wait", () => devices.every(({ held }) => held.length > 0));
  const dismissed = serving.server.dismiss("disk0");
  await leaving.send({ command: NBD.CMD_FLUSH });
  assertEquals((await leaving.receive()).errno, NBD.ESHUTDOWN);
  devices[0]?.held[0]?.finish();
  assertEquals((await leaving.receive()).errno, 0);
  assertEquals(await leaving.receiveEnd(), 0);
  await dismissed;
  // Also if the negotiation began before, by name and as the default.
  for (const client of [halfway, await serving.greeted()]) {
    assertEquals(await client.list(), ["disk1"]);
    await client.speak("structured");
    for (const name of ["disk0", ""]) {
      for (const option of [NBD.OPT_INFO, NBD.OPT_GO]) {
        const data = encodeInfoData(name);
        const [reply, ...more] = await client.option(option, data);
        const text = new TextDecoder().decode(reply?.data);
        assertEquals(text, 'Export "disk0" is not served any more');
        assertEquals([reply?.type, more], [NBD.REP_ERR_UNKNOWN, []]);
      }
      const refused = client.contexts(name, ["base:allocation"]);
      await assertRejects(() => refused, Error, "failed: 2147483654");
    }
    await client.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME));
    assertEquals(await client.receiveEnd(), 0);
    client.close();
  }
  assertEquals(
    serving.events.filter(({ kind }) => kind === "refused")
      .map(({ message }) => message),
    Array(2).fill('Export "disk0" is not served any more'),
  );
  devices[1]?.held[0]?.finish();
  assertEquals((await staying.receive()).errno, 0);
  assertEquals(serving.server.clients.length, 1);
});

Deno.test("close() does not wait for idle clients and handshakes", async () => {
  const limits = { handshakeMs: 2 * PATIENCE_MS };
  await using serving = await serve({ tcp: true, limits });
  using idle = await serving.open();
  using halfway = await serving.greeted();
  using silent = await NbdClient.connect(serving.address);
  await until("all are there", () => serving.server.clients.length === 3);
  const start = performance.now();
  await serving.server.close({ graceMs: 2 * PATIENCE_MS });
  assert(performance.now() - start < PATIENCE_MS, "it has waited for them");
  assertEquals(serving.server.clients, []);
  assertEquals(await idle.receiveEnd(), 0);
  assertEquals(await halfway.receiveEnd(), 0);
  await silent.receiveEnd();
  await serving.server.finished;
});

Deno.test("close() refuses the options of handshakes while it takes", async () => {
  const device = new HeldDevice();
  device.holds = (kind) => kind === "write";
  await using serving = await serve({ device });
  using client = await serving.open();
  using halfway = await serving.greeted();
  using old = await serving.greeted();
  using leaving = await serving.greeted();
  await client.send({ command: CMD_WRITE, payload: pattern(512) });
  await until("it waits", () => device.held.length === 1);
  const closing = serving.server.close({ graceMs: 60_000 });
  for (const option of [NBD.OPT_LIST, NBD.OPT_GO, NBD.OPT_INFO, 77]) {
    const replies = await halfway.option(option, encodeInfoData("disk"));
    assertEquals(replies.map(({ type }) => type), [NBD.REP_ERR_SHUTDOWN]);
  }
  await old.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME));
  assertEquals(await old.receiveEnd(), 0);
  const replies = await leaving.option(NBD.OPT_ABORT);
  assertEquals(replies.map(({ type }) => type), [NBD.REP_ACK]);
  assertEquals(await leaving.receiveEnd(), 0);
  device.held[0]?.finish();
  assertEquals((await client.receive()).errno, 0);
  await closing;
  assertEquals(await halfway.receiveEnd(), 0);
});

Deno.test("close() refuses new requests and finishes old ones", async () => {
  const device = new HeldDevice();
  device.holds = (kind) => kind === "write";
  await using serving = await serve({ device });
  using client = await serving.open();
  const old = await client.send({ command: CMD_WRITE, payload: pattern(512) });
  await until("it waits", () => device.held.length === 1);
  const closing = serving.server.close({ graceMs: 60_000 });
  for (const length of [10, 200_000]) {
    const payload = pattern(length);
    const reply = await client.call({ command: CMD_WRITE, payload });
    assertEquals(reply.errno, NBD.ESHUTDOWN);
  }
  const read = await client.call({ command: CMD_READ, length: 512 });
  assertEquals(read.errno, NBD.ESHUTDOWN);
  assertEquals(device.calls, ["write 0+512"]);
  device.held[0]?.finish();
  const reply = await client.receive();
  assertEquals([reply.cookie, reply.errno], [old, 0]);
  assertEquals(await client.receiveEnd(), 0);
  await closing;
});

Deno.test("close() cancels what waits after the grace", async () => {
  const device = new HeldDevice();
  device.holds = (kind) => kind === "write";
  await using serving = await serve({ device });
  using client = await serving.open();
  await client.send({ command: CMD_WRITE, payload: pattern(512) });
  await until("it waits", () => device.held.length === 1);
  await serving.server.close({ graceMs: 20 });
  assertEquals((await client.receive()).errno, NBD.ESHUTDOWN);
  assertEquals(await client.receiveEnd(), 0);
  assertEquals(device.held, []);
});

Deno.test("close() cuts off a client that takes no replies", async () => {
  const device = new HeldDevice();
  await using serving = await serve({ device });
  using client = await serving.open();
  const request = { command: CMD_READ, length: 1024 * 1024 };
  const sending = client.sendAll(Array(200).fill(request));
  await until("it is stuck", () => device.calls.length > 0);
  await serving.server.close({ graceMs: 20 });
  await sending.catch(() => {});
  assertEquals(serving.server.clients, []);
});

Deno.test("close() cuts off what the device never finishes", async () => {
  const device = new HeldDevice();
  device.holds = (kind) => kind === "flush";
  await using serving = await serve({ device });
  using client = await serving.open();
  await client.send({ command: NBD.CMD_FLUSH });
  await until("it waits", () => device.held.length === 1);
  await serving.server.close({ graceMs: 20 });
  assertEquals(await client.receiveEnd(), 0);
  device.held[0]?.finish();
});

Deno.test("serve() refuses after close(), close() may be repeated", async () => {
  await using serving = await serve();
  await Promise.all([serving.server.close(), serving.server.close()]);
  await serving.server.close();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  assertThrows(() => serving.server.serve(listener), VirstorError, "is closed");
});

Deno.test("one client's nonsense does not reach another", async () => {
  const exports = [exportOf(new HeldDevice())];
  await using serving = await serve({ exports });
  using good = await serving.open();
  for (let i = 0; i < 20; i++) {
    const bad = await (i % 2 === 0 ? serving.open() : serving.greeted());
    await bad.sendRaw(pattern(1000, i));
    await good.write(i * 512, pattern(512, i));
    bad.close();
  }
  for (let i = 0; i < 20; i++) {
    assertEquals(await good.read(i * 512, 512), pattern(512, i));
  }
});

Deno.test("NbdServer tells of a failing device, but not of each request", async () => {
  const device = new MemoryDevice(1024 * 1024);
  device.write = () => {
    throw new VirstorError("io", "Cannot write: the disk is on fire");
  };
  await using serving = await serve({ device });
  const client = await serving.open();
  const request = { command: NBD.CMD_WRITE, payload: new Uint8Array(512) };
  for (let i = 0; i < 5; i++) {
    assertEquals((await client.call(request)).errno, NBD.EIO);
  }
  // What the client does wrong is its own business.
  assertEquals(
    (await client.call({ ...request, offset: 2 ** 40 })).errno,
    NBD.ENOSPC,
  );
  await client.disconnect();
  const told = serving.events.filter(({ kind }) => kind === "error");
  assertEquals(told.map(({ message }) => message), [
    "WRITE of 512 bytes at 0: Cannot write: the disk is on fire",
  ]);
});
