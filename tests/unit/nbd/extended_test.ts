/**
 * Goal: with extended headers, lengths have 64 bits, payloads are what their
 * flag says, and every reply carries the offset of its request. Method: real
 * sockets; the client checks every header; a huge device that only records
 * requests.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type {
  BlockDevice,
  Extent,
  WriteOptions,
  WriteZeroesOptions,
} from "../../../device/block/block_device.ts";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import {
  encodeExtendedRequest,
  encodeStatusFilter,
  NBD,
  type NbdClient,
  type RawRequest,
} from "../../helpers/nbd_client.ts";
import { HeldDevice } from "./held_device.ts";
import { exportOf, pattern, serve, type Serving, until } from "./serving.ts";

const MIB = 1024 * 1024;
/** As large as a pool can be. */
const HUGE = 2 ** 53 - 2 ** 22;
const LONGEST = 2n ** 64n - 1n;
const PAY = NBD.CMD_FLAG_PAYLOAD_LEN;
const {
  CMD_READ,
  CMD_WRITE,
  CMD_FLUSH,
  CMD_TRIM,
  CMD_CACHE,
  CMD_WRITE_ZEROES,
  CMD_BLOCK_STATUS,
  EINVAL,
  ENOSPC,
  EOVERFLOW,
} = NBD;

/** A disk of 8 PiB that records its requests. */
function hugeDevice(): BlockDevice & { calls: string[] } {
  const calls: string[] = [];
  const { capabilities } = new MemoryDevice(512);
  const done = () => undefined;
  return {
    calls,
    size: HUGE,
    blockSize: 512,
    capabilities,
    read: done,
    write: done,
    flush: done,
    close: done,
    discard(offset: number, length: number, options?: WriteOptions) {
      calls.push(`discard ${offset}+${length} ${options?.fua === true}`);
      return undefined;
    },
    writeZeroes(offset: number, length: number, how?: WriteZeroesOptions) {
      calls.push(`zeroes ${offset}+${length} ${how?.fua === true}`);
      return undefined;
    },
    extents(_: number, length: number): Extent[] {
      return [
        { length: 512, kind: "data" },
        { length: length - 1024, kind: "hole" },
        { length: 512, kind: "zero" },
      ];
    },
  };
}

async function serveHuge(): Promise<
  { serving: Serving; calls: string[] } & AsyncDisposable
> {
  const device = hugeDevice();
  const serving = await serve({ device });
  return {
    serving,
    calls: device.calls,
    [Symbol.asyncDispose]: () => serving[Symbol.asyncDispose](),
  };
}

Deno.test("extended lengths reach the device exactly", async () => {
  await using huge = await serveHuge();
  using client = await huge.serving.open("extended");
  const flags = NBD.CMD_FLAG_FUA;
  const requests: RawRequest[] = [
    { command: CMD_TRIM, length: HUGE },
    { command: CMD_TRIM, offset: 512, length: HUGE - 512, flags },
    { command: CMD_WRITE_ZEROES, offset: 2 ** 32, length: 2 ** 33 + 512 },
    { command: CMD_WRITE_ZEROES, length: HUGE, flags },
    { command: CMD_CACHE, length: HUGE },
  ];
  for (const request of requests) {
    assertEquals((await client.call(request)).errno, 0);
  }
  assertEquals(huge.calls, [
    `discard 0+${HUGE} false`,
    `discard 512+${HUGE - 512} true`,
    `zeroes ${2 ** 32}+${2 ** 33 + 512} false`,
    `zeroes 0+${HUGE} true`,
  ]);
});

Deno.test("extended lengths that are too long are refused, in sync", async () => {
  await using huge = await serveHuge();
  const { client } = await huge.serving.select("extended", ["base:allocation"]);
  using _ = client;
  const cases: [number, number][] = [
    [CMD_READ, EOVERFLOW],
    [CMD_TRIM, EINVAL],
    [CMD_WRITE_ZEROES, ENOSPC],
    [CMD_CACHE, EINVAL],
    [CMD_BLOCK_STATUS, EINVAL],
    [CMD_FLUSH, EINVAL],
    [77, EINVAL],
  ];
  const lengths = [LONGEST, 2n ** 63n, 2n ** 53n, BigInt(HUGE) + 512n];
  for (const [command, errno] of cases) {
    for (const length of lengths) {
      for (const offset of [0n, 512n, LONGEST, 2n ** 63n, BigInt(HUGE)]) {
        const reply = await client.call({ command, offset, length });
        assertEquals([command, length, reply.errno], [command, length, errno]);
      }
    }
  }
  assertEquals(huge.calls, []);
  assertEquals((await client.read(0, 512)).length, 512);
});

Deno.test("extended status has lengths of 64 bits", async () => {
  await using huge = await serveHuge();
  const { client, ids } = await huge.serving.select("extended", [
    "base:allocation",
  ]);
  using _ = client;
  const reply = await client.call({ command: CMD_BLOCK_STATUS, length: HUGE });
  assertEquals(reply.status.get(ids.get("base:allocation") ?? 0), [
    [512, 0],
    [HUGE - 1024, NBD.STATE_HOLE | NBD.STATE_ZERO],
    [512, NBD.STATE_ZERO],
  ]);
});

Deno.test("every extended reply carries the offset of its request", async () => {
  const device = new HeldDevice(8 * MIB);
  await using serving = await serve({ device });
  using client = await serving.open("extended");
  // The client compares the offset of each chunk itself.
  const requests: RawRequest[] = [
    { command: CMD_WRITE, offset: 4096, payload: pattern(100) },
    { command: CMD_WRITE, offset: 1, payload: pattern(3 * MIB) },
    { command: CMD_READ, offset: 4000, length: 512 },
    { command: CMD_READ, offset: MIB, length: 4 * MIB },
    { command: CMD_READ, offset: 2n ** 64n - 1n, length: 1 },
    { command: CMD_WRITE, offset: 2n ** 63n + 7n, payload: pattern(1) },
    { command: CMD_TRIM, offset: 77, length: 1 },
    { command: 99, offset: 0x0123456789abcdefn },
  ];
  for (const held of [false, true]) {
    device.holds = () => held;
    const sending = client.sendAll(requests);
    const replies = client.receiveAll(requests.length);
    await sending;
    const [errors, trims] = held ? [6, 2] : [3, 1];
    await until("all begun", () => {
      const { counters } = serving.server;
      return counters.errors === errors && counters.trims === trims;
    });
    while (device.held.length > 0) device.held.at(-1)?.finish();
    assertEquals(
      [...(await replies).values()].map(({ errno }) => errno).sort(),
      [
        ...[0, 0, 0, 0, 0, 22, 22, 28],
      ],
    );
  }
});

Deno.test("an unwanted payload is consumed and refused", async () => {
  const device = new HeldDevice();
  await using serving = await serve({ device });
  using client = await serving.open("extended");
  const commands = [CMD_READ, CMD_FLUSH, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES];
  for (const command of [...commands, CMD_BLOCK_STATUS, 8, 0xffff]) {
    for (const length of [1, 512, 65536, 65537, 300_000, 3 * MIB]) {
      const payload = pattern(length, command);
      const reply = await client.call({ command, payload });
      assertEquals([command, reply.errno], [command, EINVAL]);
      assert(reply.text.length > 0);
    }
  }
  assertEquals(device.calls, []);
  assertEquals((await client.read(0, 512)).length, 512);
});

Deno.test("an extended write needs its flag, and has no payload without", async () => {
  const device = new HeldDevice();
  await using serving = await serve({ device });
  using client = await serving.open("extended");
  for (const length of [0, 1, 4096, 2 ** 33, LONGEST]) {
    const reply = await client.call({ command: CMD_WRITE, length });
    assertEquals(reply.errno, EINVAL);
    assertEquals(
      reply.text,
      "A WRITE with an extended header needs the flag PAYLOAD_LEN",
    );
  }
  assertEquals(device.calls, []);
  // A flag with no bytes is as good as any write of nothing.
  const flags = PAY;
  const nothing = await client.call({ command: CMD_WRITE, flags, length: 0 });
  assertEquals(nothing.errno, 0);
  await client.write(0, pattern(512));
  assertEquals(device.calls, ["write 0+512"]);
});

Deno.test("extended writes of all sizes arrive, and keep in step when refused", async () => {
  const device = new MemoryDevice(40 * MIB);
  await using serving = await serve({ device });
  using client = await serving.open("extended");
  for (const length of [1, 65536, 65537, 256 * 1024 - 32, 3 * MIB, 32 * MIB]) {
    const bytes = pattern(length, length);
    await client.write(5, bytes);
    const got = await client.read(5, length);
    assertEquals(got.every((byte, i) => byte === bytes[i]), true);
    const payload = bytes;
    const reply = await client.call({
      ...{ command: CMD_WRITE, offset: 40 * MIB, payload },
    });
    assertEquals(reply.errno, ENOSPC);
  }
  const readOnly = [exportOf(device, { readOnly: true })];
  await using other = await serve({ exports: readOnly });
  using refused = await other.open("extended");
  for (const length of [10, 100_000]) {
    const payload = pattern(length);
    const reply = await refused.call({ command: CMD_WRITE, payload });
    assertEquals(
      [reply.errno, reply.text],
      [NBD.EPERM, "The export is read-only"],
    );
  }
});

Deno.test("a payload above 32 MiB ends the connection", async () => {
  await using serving = await serve();
  const commands = [CMD_WRITE, CMD_READ, CMD_BLOCK_STATUS, 99];
  for (const command of commands) {
    for (const length of [32 * MIB + 1, 2 ** 32, LONGEST]) {
      using client = await serving.open("extended");
      const request = { command, flags: PAY, length };
      await client.sendRaw(encodeExtendedRequest(request));
      assertEquals(await client.receiveEnd(), 0);
    }
  }
  await until("logged", () => serving.events.length === 24);
  assertEquals(
    serving.events.find(({ kind }) => kind === "disconnected")?.message,
    `the client broke the protocol: a payload has ${32 * MIB + 1} bytes`,
  );
});

Deno.test("a promised extended payload that does not come holds no memory", async () => {
  await using serving = await serve();
  const before = Deno.memoryUsage().external;
  const clients: NbdClient[] = [];
  for (let i = 0; i < 20; i++) {
    const client = await serving.open("extended");
    const request = { command: CMD_WRITE, flags: PAY, length: 32 * MIB };
    await client.sendRaw(encodeExtendedRequest(request));
    clients.push(client);
  }
  await until("all served", () => serving.server.clients.length === 20);
  const held = Deno.memoryUsage().external - before;
  assert(held < 64 * MIB, `${held} bytes are held`);
  for (const client of clients) client.close();
});

Deno.test("a status filter has to be right in every respect", async () => {
  const contexts = [1, 2].map((flags) => ({
    name: `x-test:${flags}`,
    status: (_: number, length: number) => [{ length, flags }],
  }));
  const device = new MemoryDevice(MIB, { blockSize: 512 });
  const exports = [exportOf(device, { contexts })];
  await using serving = await serve({ exports });
  const { client, ids } = await serving.select("extended", [
    ...["base:allocation", "x-test:1"],
  ]);
  using _ = client;
  const [base, one] = [ids.get("base:allocation"), ids.get("x-test:1")];
  const command = CMD_BLOCK_STATUS;
  const good = encodeStatusFilter(MIB, [one ?? 0, base ?? 0]);
  const bad = [
    new Uint8Array(1),
    good.subarray(0, 4),
    good.subarray(0, 8), // No context at all.
    good.subarray(0, 11),
    good.subarray(0, 14),
    new Uint8Array([...good, 0]),
    encodeStatusFilter(MIB, [one ?? 0, one ?? 0]),
    encodeStatusFilter(MIB, [one ?? 0, base ?? 0, one ?? 0]),
    encodeStatusFilter(MIB, [99]),
    encodeStatusFilter(MIB, [one ?? 0, 0]),
    encodeStatusFilter(MIB, [one ?? 0, 0xffffffff]),
    encodeStatusFilter(0, [one ?? 0]),
    encodeStatusFilter(MIB + 512, [one ?? 0]),
    encodeStatusFilter(100, [one ?? 0]),
    encodeStatusFilter(LONGEST, [one ?? 0]),
    new Uint8Array(100_000),
  ];
  for (const payload of bad) {
    const reply = await client.call({ command, payload });
    assertEquals(reply.errno, EINVAL);
  }
  const reply = await client.call({ command, payload: good });
  assertEquals([...reply.status.keys()], [one, base]);
  // The flag decides, not the length.
  const plain = await client.call({ command, length: 512 });
  assertEquals([...plain.status.keys()].sort(), [base, one].sort());
  const flags = PAY;
  const empty = await client.call({ command, flags, length: 0 });
  assertEquals(empty.errno, EINVAL);
});

Deno.test("extended DISC and a half-closed socket end after all replies", async () => {
  const device = new HeldDevice();
  await using serving = await serve({ device });
  using client = await serving.open("extended");
  await client.sendAll([
    { command: CMD_WRITE, payload: pattern(512) },
    { command: NBD.CMD_DISC, flags: PAY, length: LONGEST },
    { command: CMD_WRITE, offset: 512, payload: pattern(512) },
  ]);
  assertEquals((await client.receive()).errno, 0);
  assertEquals(await client.receiveEnd(), 0);
  assertEquals(device.calls, ["write 0+512"]);
  using half = await serving.open("extended");
  await half.sendAll(Array(100).fill({ command: CMD_READ, length: 4096 }));
  await half.conn.closeWrite();
  assertEquals((await half.receiveAll(100)).size, 100);
  assertEquals(await half.receiveEnd(), 0);
});

Deno.test("extended requests may come byte by byte", async () => {
  await using serving = await serve({ tcp: true });
  using client = await serving.open("extended");
  const payload = pattern(40);
  const command = CMD_WRITE;
  const cookie = await client.send({ command, payload: pattern(1) });
  await client.receive();
  const request = { command, payload, flags: PAY, cookie: cookie + 100n };
  for (const byte of encodeExtendedRequest(request)) {
    await client.sendRaw(new Uint8Array([byte]));
  }
  const header = new DataView((await client.receiveRaw(32)).buffer);
  assertEquals(header.getBigUint64(8), cookie + 100n);
  assertEquals(await client.read(0, 40), payload);
});

for (const dialect of ["structured", "extended"] as const) {
  Deno.test(`a server that stops tells so in chunks, ${dialect}`, async () => {
    const device = new HeldDevice();
    device.holds = (kind) => kind === "flush";
    await using serving = await serve({ device });
    using client = await serving.open(dialect);
    await client.send({ command: CMD_FLUSH });
    await until("it waits", () => device.held.length === 1);
    const closing = serving.server.close({ graceMs: 60_000 });
    const reply = await client.call({ command: CMD_READ, length: 512 });
    assertEquals(
      [reply.errno, reply.text],
      [NBD.ESHUTDOWN, "The server is stopping"],
    );
    device.held[0]?.finish();
    assertEquals((await client.receive()).errno, 0);
    assertEquals(await client.receiveEnd(), 0);
    await closing;
  });
}
