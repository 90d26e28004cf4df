/**
 * Goal: requests are carried out and answered as the protocol says, in any
 * portions and sizes, and what is wrong with one does not harm the others.
 * Method: real sockets, a device in memory that finishes at once.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { AssertionError, messageOf, VirstorError } from "../../../errors.ts";
import {
  RECEIVE_BUFFER_SIZE,
  REPLY_BUFFER_SIZE,
  WRITE_PIECE_SIZE,
} from "../../../nbd/wire/limits.ts";
import {
  encodeRequest,
  NBD,
  type RawRequest,
} from "../../helpers/nbd_client.ts";
import { HeldDevice } from "./held_device.ts";
import { exportOf, pattern, serve, until } from "./serving.ts";

const MIB = 1024 * 1024;
const { CMD_READ, CMD_WRITE, CMD_FLUSH, CMD_TRIM, CMD_WRITE_ZEROES } = NBD;

for (const tcp of [false, true]) {
  const kind = tcp ? "TCP" : "a Unix socket";
  Deno.test(`writes are read back over ${kind}`, async () => {
    await using serving = await serve({
      tcp,
      device: new MemoryDevice(4 * MIB),
    });
    using client = await serving.open();
    for (
      const [offset, length] of [[0, 1], [1, 511], [4096, 4096], [100, MIB]]
    ) {
      const bytes = pattern(length ?? 0, offset);
      await client.write(offset ?? 0, bytes);
      assertEquals(await client.read(offset ?? 0, length ?? 0), bytes);
    }
    await client.flush();
    await client.disconnect();
  });

  Deno.test(`a thousand pipelined requests are answered over ${kind}`, async () => {
    await using serving = await serve({ tcp });
    using client = await serving.open();
    const requests: RawRequest[] = [];
    for (let i = 0; i < 500; i++) {
      const payload = pattern(512 + i, i);
      requests.push({ command: CMD_WRITE, offset: i * 1024, payload });
      requests.push({ command: CMD_READ, offset: i * 1024, length: 512 + i });
    }
    const sending = client.sendAll(requests);
    const replies = await client.receiveAll(requests.length);
    const cookies = await sending;
    for (let i = 0; i < requests.length; i++) {
      const reply = replies.get(cookies[i] ?? 0n);
      assertEquals(reply?.errno, 0);
      if (i % 2 === 1) assertEquals(reply?.payload, requests[i - 1]?.payload);
    }
    await client.disconnect();
    assertEquals(serving.server.counters.reads, 500);
    assertEquals(serving.server.counters.writes, 500);
  });
}

Deno.test("payloads of every awkward size survive", async () => {
  const size = 34 * MIB;
  await using serving = await serve({ device: new MemoryDevice(size) });
  using client = await serving.open();
  const sizes = [
    65535,
    65536,
    65537,
    256 * 1024 - 28,
    256 * 1024 - 27,
    256 * 1024,
    2 * MIB + 4080,
    2 * MIB + 4081,
    3 * MIB + 1,
    32 * MIB,
  ];
  for (const length of sizes) {
    const bytes = pattern(length, length);
    await client.write(MIB, bytes);
    const got = await client.read(MIB, length);
    assertEquals(isSame(got, bytes), true);
    assertEquals(await client.read(MIB - 1, 1), new Uint8Array(1));
  }
  await client.disconnect();
});

Deno.test("a request may come byte by byte", async () => {
  await using serving = await serve({ tcp: true });
  using client = await serving.open();
  const payload = pattern(40);
  const cookie = 7n;
  const bytes = encodeRequest({ command: CMD_WRITE, payload, cookie });
  for (const byte of bytes) await client.sendRaw(new Uint8Array([byte]));
  assertEquals((await client.receive()).cookie, 7n);
  assertEquals(await client.read(0, 40), payload);
});

Deno.test("a large write is written in whole blocks as it comes", async () => {
  const device = new HeldDevice(4 * MIB, 512);
  await using serving = await serve({ device });
  using client = await serving.open();
  const payload = pattern(2 * MIB);
  const bytes = encodeRequest({ command: CMD_WRITE, payload, cookie: 5n });
  // Portions that end within a block.
  for (let at = 0; at < bytes.length; at += 100_001) {
    await client.sendRaw(bytes.subarray(at, at + 100_001));
    await new Promise((done) => setTimeout(done, 1));
  }
  assertEquals((await client.receive()).errno, 0);
  assert(device.calls.length > 5);
  let next = 0;
  for (const call of device.calls) {
    const [offset, length] = call.split(" ")[1]?.split("+").map(Number) ?? [];
    assertEquals(offset, next);
    assertEquals((length ?? 1) % 512, 0);
    next += length ?? 0;
  }
  assertEquals(next, payload.length);
  assertEquals(isSame(await client.read(0, 2 * MIB), payload), true);
});

Deno.test("a promised payload that does not come holds no memory", async () => {
  await using serving = await serve({ device: new MemoryDevice(64 * MIB) });
  const before = Deno.memoryUsage().external;
  const clients = [];
  for (let i = 0; i < 20; i++) {
    const client = await serving.open();
    const header = { command: CMD_WRITE, length: 32 * MIB };
    await client.sendRaw(encodeRequest(header));
    await client.sendRaw(new Uint8Array(100));
    clients.push(client);
  }
  await until("all served", () => serving.server.clients.length === 20);
  await using _ = { [Symbol.asyncDispose]: () => serving.server.close() };
  // Its buffers are all that a connection has, not the 32 MiB it was promised.
  const buffers = 20 * (RECEIVE_BUFFER_SIZE + REPLY_BUFFER_SIZE);
  const held = Deno.memoryUsage().external - before;
  assert(held < buffers + 4 * MIB, `${held} bytes are held`);
  for (const client of clients) client.close();
});

Deno.test("FUA goes down with every write, and means a flush for pieces", async () => {
  const device = new HeldDevice();
  await using serving = await serve({ device });
  using client = await serving.open();
  const { CMD_FLAG_FUA: flags } = NBD;
  await client.write(0, new Uint8Array(512), flags);
  await client.call({ command: CMD_TRIM, length: 512, flags });
  await client.call({ command: CMD_WRITE_ZEROES, length: 512, flags });
  assertEquals(device.calls, [
    "write 0+512 fua",
    "discard 0+512 fua",
    "zeroes 0+512 fua",
  ]);
  device.calls.length = 0;
  const payload = new Uint8Array(MIB);
  const bytes = encodeRequest({ command: CMD_WRITE, payload, flags });
  const first = WRITE_PIECE_SIZE + 70_000;
  await client.sendRaw(bytes.subarray(0, first));
  await until("a piece", () => device.calls.length > 0);
  await client.sendRaw(bytes.subarray(first));
  assertEquals((await client.receive()).errno, 0);
  // Without a gap, and each ends where a large page of the page cache does.
  const pieces = device.calls.slice(0, -1).map((call) =>
    call.match(/\d+/g)?.map(Number) ?? []
  );
  let end = 0;
  for (const [at, length = NaN] of pieces) {
    assertEquals([at, length % WRITE_PIECE_SIZE], [end, 0]);
    end += length;
  }
  assertEquals([end, device.calls.at(-1)], [MIB, "flush"]);
});

Deno.test("FUA is accepted on every command", async () => {
  await using serving = await serve();
  using client = await serving.open();
  const { CMD_FLAG_FUA: flags, CMD_CACHE } = NBD;
  for (const command of [CMD_READ, CMD_FLUSH, CMD_CACHE, CMD_TRIM]) {
    const length = command === CMD_FLUSH ? 0 : 512;
    assertEquals((await client.call({ command, flags, length })).errno, 0);
  }
});

Deno.test("zeroes and trims reach the device with their flags", async () => {
  const device = new HeldDevice(MIB);
  await using serving = await serve({ device });
  using client = await serving.open();
  const command = CMD_WRITE_ZEROES;
  const all = NBD.CMD_FLAG_NO_HOLE | NBD.CMD_FLAG_FAST_ZERO;
  await client.write(0, pattern(8192));
  const { errno } = await client.call({ command, length: 4096, flags: all });
  assertEquals(errno, 0);
  assertEquals(await client.read(0, 4096), new Uint8Array(4096));
  assertEquals(await client.read(4096, 1), pattern(4097).subarray(4096));
  assertEquals(device.calls[1], "zeroes 0+4096 noHole fastOnly");
  // The test device cannot do this one fast: ENOTSUP, and only then.
  const offset = MIB / 2;
  const flags = NBD.CMD_FLAG_FAST_ZERO;
  const slow = await client.call({ command, offset, length: 512, flags });
  assertEquals(slow.errno, NBD.ENOTSUP);
  await client.call({ command: CMD_TRIM, offset: 4096, length: MIB - 4096 });
  assertEquals(await client.read(4096, 4096), new Uint8Array(4096));
});

Deno.test("requests for nothing succeed and do nothing", async () => {
  const device = new HeldDevice();
  await using serving = await serve({ device });
  using client = await serving.open();
  for (const command of [CMD_READ, CMD_WRITE, CMD_TRIM, CMD_WRITE_ZEROES, 5]) {
    for (const offset of [0, MIB]) {
      const reply = await client.call({ command, offset, length: 0 });
      assertEquals([reply.errno, reply.payload.length], [0, 0]);
    }
  }
  assertEquals(device.calls, []);
});

Deno.test("refused requests leave the connection in step", async () => {
  const device = new MemoryDevice(MIB, { blockSize: 512 });
  await using serving = await serve({ device });
  using client = await serving.open();
  const { EINVAL, ENOSPC, EOVERFLOW } = NBD;
  const cases: [RawRequest, number][] = [
    [{ command: CMD_READ, offset: MIB, length: 512 }, EINVAL],
    [{ command: CMD_READ, offset: 2n ** 64n - 1n, length: 512 }, EINVAL],
    [{ command: CMD_READ, length: 2 ** 32 - 1 }, EOVERFLOW],
    [{ command: CMD_READ, offset: 3, length: 512 }, EINVAL],
    [{ command: CMD_READ, length: 512, flags: 0x100 }, EINVAL],
    [{ command: CMD_WRITE, offset: MIB, payload: pattern(512) }, ENOSPC],
    [{ command: CMD_WRITE, offset: 2n ** 63n, payload: pattern(512) }, ENOSPC],
    [{ command: CMD_WRITE, offset: MIB, payload: pattern(300_000) }, ENOSPC],
    [{ command: CMD_WRITE, offset: 1, payload: pattern(512) }, EINVAL],
    [{ command: CMD_WRITE, payload: new Uint8Array(33 * MIB) }, EINVAL],
    [{ command: CMD_FLUSH, offset: 512 }, EINVAL],
    [{ command: CMD_TRIM, length: 2 * MIB }, EINVAL],
    [{ command: CMD_WRITE_ZEROES, length: 2 * MIB }, ENOSPC],
    [{ command: NBD.CMD_BLOCK_STATUS, length: 512 }, EINVAL],
    [{ command: 0x7777, offset: 1, length: 12345 }, EINVAL],
  ];
  for (const [request, errno] of cases) {
    assertEquals((await client.call(request)).errno, errno);
  }
  // The same in one go, between requests that succeed.
  const requests = cases.flatMap(([request]) => [
    request,
    { command: CMD_READ, length: 512 },
  ]);
  const sending = client.sendAll(requests);
  const replies = await client.receiveAll(requests.length);
  const cookies = await sending;
  for (let i = 0; i < requests.length; i++) {
    const errno = replies.get(cookies[i] ?? 0n)?.errno;
    assertEquals(errno, i % 2 === 0 ? cases[i / 2]?.[1] : 0);
  }
  assertEquals(serving.server.counters.errors, 2 * cases.length);
  assertEquals(await client.read(0, 512), new Uint8Array(512));
});

Deno.test("a read-only export refuses every kind of write", async () => {
  for (const byDevice of [true, false]) {
    const device = new MemoryDevice(MIB, { readOnly: byDevice });
    const exports = [exportOf(device, { readOnly: !byDevice })];
    await using serving = await serve({ exports });
    using client = await serving.open();
    for (const payload of [pattern(10), pattern(MIB)]) {
      const { errno } = await client.call({ command: CMD_WRITE, payload });
      assertEquals(errno, NBD.EPERM);
    }
    for (const command of [CMD_TRIM, CMD_WRITE_ZEROES]) {
      const { errno } = await client.call({ command, length: 512 });
      assertEquals(errno, NBD.EPERM);
    }
    assertEquals(await client.read(0, 512), new Uint8Array(512));
    await client.flush();
  }
});

Deno.test("a wrong magic ends the connection after what was before", async () => {
  await using serving = await serve();
  using client = await serving.open();
  await client.sendRaw(encodeRequest({ command: CMD_FLUSH, cookie: 1n }));
  await client.sendRaw(encodeRequest({ command: CMD_FLUSH }, 0x25609514));
  assertEquals((await client.receive()).cookie, 1n);
  assertEquals(await client.receiveEnd(), 0);
  await until("logged", () => serving.events.length === 2);
  assertEquals(
    serving.events[1]?.message,
    "the client broke the protocol: a request has a wrong magic",
  );
});

Deno.test("a client that closes half still gets its replies", async () => {
  await using serving = await serve();
  using client = await serving.open();
  const requests = Array.from({ length: 100 }, (_, i) => ({
    command: CMD_READ,
    offset: i * 4096,
    length: 4096,
  }));
  await client.sendAll(requests);
  await client.conn.closeWrite();
  assertEquals((await client.receiveAll(100)).size, 100);
  assertEquals(await client.receiveEnd(), 0);
});

Deno.test("requests behind DISC are not carried out", async () => {
  const device = new HeldDevice();
  await using serving = await serve({ device });
  using client = await serving.open();
  await client.sendAll([
    { command: CMD_WRITE, payload: pattern(512) },
    { command: NBD.CMD_DISC, flags: 1 },
    { command: CMD_WRITE, offset: 512, payload: pattern(512) },
  ]);
  assertEquals((await client.receive()).errno, 0);
  assertEquals(await client.receiveEnd(), 0);
  assertEquals(device.calls, ["write 0+512"]);
});

Deno.test("leaving in the middle of anything does no harm", async () => {
  await using serving = await serve({ device: new MemoryDevice(8 * MIB) });
  const write = encodeRequest({ command: CMD_WRITE, payload: pattern(MIB) });
  for (const sent of [1, 27, 28, 29, 5000, 70_000, MIB, write.length]) {
    const client = await serving.open();
    await client.sendRaw(write.subarray(0, sent));
    client.close();
  }
  for (let i = 0; i < 5; i++) {
    const client = await serving.open();
    const length = 8 * MIB;
    await client.sendAll(Array(20).fill({ command: CMD_READ, length }));
    client.close();
  }
  await until("all gone", () => serving.server.clients.length === 0);
  using client = await serving.open();
  assertEquals((await client.read(0, 10)).length, 10);
});

Deno.test("a client that takes no replies is not read any further", async () => {
  const device = new HeldDevice(MIB);
  await using serving = await serve({ device });
  using client = await serving.open();
  const requests = Array(2000).fill({ command: CMD_READ, length: 65536 });
  const sending = client.sendAll(requests);
  await until("some are done", () => device.calls.length >= 10);
  await new Promise((done) => setTimeout(done, 50));
  // Two reply buffers, and what the sockets take.
  const done = device.calls.length;
  assert(done < 100, `${done} were done`);
  using other = await serving.open();
  assertEquals((await other.read(0, 10)).length, 10);
  assertEquals((await client.receiveAll(2000)).size, 2000);
  await sending;
});

Deno.test("errors of the device reach the client that asked", async () => {
  const device = new HeldDevice();
  const refuse = (): never => {
    throw new VirstorError("no-space", "Cannot write: no free chunk is left");
  };
  const failing = Object.assign(device, { write: refuse, read: refuse });
  await using serving = await serve({ device: failing });
  using client = await serving.open();
  for (const payload of [pattern(512), pattern(MIB)]) {
    const { errno } = await client.call({ command: CMD_WRITE, payload });
    assertEquals(errno, NBD.ENOSPC);
  }
  for (const length of [512, MIB]) {
    const { errno } = await client.call({ command: CMD_READ, length });
    assertEquals(errno, NBD.ENOSPC);
  }
  assertEquals((await client.call({ command: CMD_FLUSH })).errno, 0);
});

Deno.test("an unexpected error comes out of the server", async () => {
  for (const later of [true, false]) {
    const device = Object.assign(new HeldDevice(), {
      flush() {
        const error = new AssertionError("this cannot be");
        if (later) return Promise.reject(error);
        throw error;
      },
    });
    await using serving = await serve({ device });
    const finished = serving.server.finished.then(() => "ok", messageOf);
    using client = await serving.open();
    await client.send({ command: CMD_FLUSH });
    await client.receiveEnd();
    assertEquals(await finished, "this cannot be");
  }
});

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
