/**
 * Goal: what a device finishes later is answered later, and holds up only
 * clients that must wait. Method: a device whose operations the test
 * finishes by hand, real sockets.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { VirstorError } from "../../../errors.ts";
import { encodeRequest, NBD } from "../../helpers/nbd_client.ts";
import { HeldDevice } from "./held_device.ts";
import { pattern, serve, until } from "./serving.ts";

const MIB = 1024 * 1024;
const { CMD_READ, CMD_WRITE, CMD_FLUSH } = NBD;

function holdingDevice(
  kind: "read" | "write" | "flush",
  from = 0,
): HeldDevice {
  const device = new HeldDevice(4 * MIB);
  device.holds = (which, offset) => which === kind && offset >= from;
  return device;
}

Deno.test("a delayed write does not hold up what comes behind it", async () => {
  const device = holdingDevice("write", MIB);
  await using serving = await serve({ device });
  using client = await serving.open();
  const [delayed, write, read, flush] = await client.sendAll([
    { command: CMD_WRITE, offset: MIB, payload: pattern(512) },
    { command: CMD_WRITE, offset: 0, payload: pattern(512, 2) },
    { command: CMD_READ, offset: 0, length: 512 },
    { command: CMD_FLUSH },
  ]);
  const replies = await client.receiveAll(3);
  assertEquals([...replies.keys()], [write, read, flush]);
  assertEquals(replies.get(read ?? 0n)?.payload, pattern(512, 2));
  device.held[0]?.finish();
  const last = await client.receive();
  assertEquals([last.cookie, last.errno], [delayed, 0]);
  assertEquals(await client.read(MIB, 512), pattern(512));
});

Deno.test("a delayed write keeps its bytes while the buffer is used again", async () => {
  const device = holdingDevice("write", MIB);
  await using serving = await serve({ device });
  using client = await serving.open();
  await client.send({
    command: CMD_WRITE,
    offset: MIB,
    payload: pattern(9000),
  });
  for (let i = 0; i < 50; i++) await client.write(0, pattern(30_000, i));
  device.held[0]?.finish();
  await client.receive();
  assertEquals(await client.read(MIB, 9000), pattern(9000));
});

Deno.test("delayed writes that fail are answered with their error", async () => {
  const device = holdingDevice("write");
  await using serving = await serve({ device });
  using client = await serving.open();
  await client.send({ command: CMD_WRITE, payload: pattern(10) });
  await until("held", () => device.held.length === 1);
  device.held[0]?.fail(new VirstorError("no-space", "Cannot write: full"));
  assertEquals((await client.receive()).errno, NBD.ENOSPC);
  assertEquals(serving.server.counters.errors, 1);
});

Deno.test("reads that finish later land in the right replies", async () => {
  const device = holdingDevice("read");
  await using serving = await serve({ device });
  using client = await serving.open();
  await client.write(0, pattern(2 * MIB));
  // Every third finishes at once; one is large.
  device.holds = (kind, offset) => kind === "read" && offset % 3 !== 0;
  const requests = Array.from({ length: 60 }, (_, i) => ({
    command: CMD_READ,
    offset: i,
    length: i === 7 ? MIB : 4096 + i,
  }));
  const cookies = await client.sendAll(requests);
  await until("40 are held", () => device.held.length === 40);
  const early = await client.receiveAll(20);
  // In an order of their own, some fail.
  const failed: number[] = [];
  for (let i = 0; device.held.length > 0; i++) {
    const at = (i * 7) % device.held.length;
    const operation = device.held[at];
    if (i % 5 === 4 && operation !== undefined) {
      failed.push(operation.offset);
      operation.fail(new VirstorError("io", "Cannot read: the disk failed"));
    } else operation?.finish();
    if (i % 4 === 0) await new Promise((done) => setTimeout(done, 1));
  }
  const late = await client.receiveAll(40);
  const all = new Map([...early, ...late]);
  const expected = pattern(2 * MIB);
  for (const [i, cookie] of cookies.entries()) {
    const reply = all.get(cookie);
    assertEquals(reply?.errno, failed.includes(i) ? NBD.EIO : 0);
    if (reply?.errno !== 0) continue;
    const length = requests[i]?.length ?? 0;
    const want = expected.subarray(i, i + length);
    assert(reply.payload.every((byte, at) => byte === want[at]), `read ${i}`);
  }
  // All buffers are free again.
  for (let i = 0; i < 100; i++) await client.read(0, 60_000);
});

Deno.test("many reads that wait do not take memory without bound", async () => {
  const device = holdingDevice("read");
  await using serving = await serve({ device });
  using client = await serving.open();
  const request = { command: CMD_READ, length: 65536 };
  const sending = client.sendAll(Array(100).fill(request));
  const replies = client.receiveAll(100);
  await until("some are held", () => device.held.length >= 60);
  await new Promise((done) => setTimeout(done, 20));
  assert(device.held.length <= 64, `${device.held.length} are held`);
  let finished = 0;
  while (finished < 100) {
    await until("held", () => device.held.length > 0);
    device.held[0]?.finish();
    finished++;
  }
  assertEquals((await replies).size, 100);
  await sending;
});

Deno.test("a slow flush does not hold up others", async () => {
  const device = holdingDevice("flush");
  await using serving = await serve({ device });
  using client = await serving.open();
  const flush = await client.send({ command: CMD_FLUSH });
  await client.write(0, pattern(512));
  assertEquals(await client.read(0, 512), pattern(512));
  device.held[0]?.finish();
  assertEquals((await client.receive()).cookie, flush);
});

Deno.test("pieces of a large write are delayed one by one", async () => {
  const device = holdingDevice("write");
  await using serving = await serve({ device });
  using client = await serving.open();
  const payload = pattern(MIB);
  const flags = NBD.CMD_FLAG_FUA;
  const sending = client.send({ command: CMD_WRITE, payload, flags });
  let answered = false;
  const reply = client.receive().finally(() => answered = true);
  while (!answered) {
    device.held.at(-1)?.finish();
    await new Promise((done) => setTimeout(done, 1));
  }
  assertEquals([(await reply).errno, (await reply).cookie], [0, await sending]);
  assertEquals(device.calls.at(-1), "flush");
  assert((await client.read(0, MIB)).every((byte, i) => byte === payload[i]));
});

Deno.test("a large write fails once, with its first error", async () => {
  const device = holdingDevice("write");
  await using serving = await serve({ device });
  using client = await serving.open();
  const payload = pattern(2 * MIB);
  const bytes = encodeRequest({ command: CMD_WRITE, payload, cookie: 3n });
  await client.sendRaw(bytes.subarray(0, 300_000));
  await until("a piece waits", () => device.held.length > 0);
  device.held[0]?.fail(new VirstorError("no-space", "Cannot write: full"));
  await client.sendRaw(bytes.subarray(300_000));
  while (device.held.length > 0) {
    device.held[0]?.fail(new VirstorError("io", "Cannot write: broken"));
  }
  const { errno, cookie } = await client.receive();
  assertEquals([errno, cookie], [NBD.ENOSPC, 3n]);
  assertEquals((await client.read(0, 10)).length, 10);
});

Deno.test("a congested device slows the client that congests it", async () => {
  const device = holdingDevice("write");
  device.congestedFrom = 3;
  await using serving = await serve({ device });
  using client = await serving.open();
  const requests = Array.from({ length: 10 }, (_, i) => ({
    command: CMD_WRITE,
    offset: i * 512,
    payload: pattern(512, i),
  }));
  await client.sendAll(requests);
  await until("three wait", () => device.held.length === 3);
  await new Promise((done) => setTimeout(done, 20));
  assertEquals(device.calls.length, 3);
  // Others are not slowed, as long as they do not wait themselves.
  using other = await serving.open();
  assertEquals((await other.read(0, 10)).length, 10);
  device.held[1]?.finish();
  await until("one more", () => device.calls.length === 5);
  device.congestedFrom = Infinity;
  while (device.held.length > 0) {
    device.held[0]?.finish();
    await new Promise((done) => setTimeout(done, 2));
  }
  const replies = await client.receiveAll(10);
  for (const { errno } of replies.values()) assertEquals(errno, 0);
});

Deno.test("a client that leaves takes its delayed writes with it", async () => {
  const device = holdingDevice("write");
  for (const congestedFrom of [Infinity, 2]) {
    device.congestedFrom = congestedFrom;
    await using serving = await serve({ device });
    const client = await serving.open();
    const request = { command: CMD_WRITE, payload: pattern(512) };
    await client.sendAll(Array(5).fill(request));
    const expected = Math.min(5, congestedFrom);
    await until("they wait", () => device.held.length === expected);
    client.close();
    await until("it is gone", () => serving.server.clients.length === 0);
    assertEquals(device.held.length, 0);
  }
});

Deno.test("a client that leaves is not held by the congestion of others", async () => {
  const device = holdingDevice("write");
  device.congestedFrom = 2;
  await using serving = await serve({ device });
  using other = await serving.open();
  const request = { command: CMD_WRITE, payload: pattern(512) };
  await other.sendAll([request, request]);
  await until("they wait", () => device.held.length === 2);
  const client = await serving.open();
  await client.sendAll([request, request, request]);
  await until("it waits", () => device.held.length === 3);
  client.close();
  await until("it is gone", () => serving.server.clients.length === 1);
  assertEquals(device.held.length, 2);
});

Deno.test("DISC waits for delayed writes, leaving ends the wait", async () => {
  const device = holdingDevice("write");
  await using serving = await serve({ device });
  for (const leaves of [false, true]) {
    const client = await serving.open();
    await client.sendAll([
      { command: CMD_WRITE, payload: pattern(512) },
      { command: NBD.CMD_DISC },
    ]);
    await until("it waits", () => device.held.length === 1);
    await new Promise((done) => setTimeout(done, 10));
    assertEquals(serving.server.clients.length, 1);
    if (!leaves) {
      device.held[0]?.finish();
      assertEquals((await client.receive()).errno, 0);
      assertEquals(await client.receiveEnd(), 0);
    }
    client.close();
    await until("it is gone", () => serving.server.clients.length === 0);
    assertEquals(device.held.length, 0);
  }
});

Deno.test("replies to a client that is gone do no harm", async () => {
  const device = holdingDevice("flush");
  await using serving = await serve({ device });
  const client = await serving.open();
  await client.sendAll(Array(50).fill({ command: CMD_FLUSH }));
  await until("they wait", () => device.held.length === 50);
  client.close();
  await new Promise((done) => setTimeout(done, 10));
  while (device.held.length > 0) device.held[0]?.finish();
  await until("it is gone", () => serving.server.clients.length === 0);
});
