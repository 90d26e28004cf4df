/**
 * Goal: the handshake does what the protocol says, with everything a client
 * may send: right, wrong, too long, too slow. Method: real sockets, raw bytes.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import {
  encodeInfoData,
  encodeOption,
  encodeRequest,
  NBD,
  NbdClient,
} from "../../helpers/nbd_client.ts";
import { exportOf, serve, until } from "./serving.ts";

const MEMORY = new MemoryDevice(1024 * 1024);
const SMALL = new MemoryDevice(4096, { blockSize: 512 });
// 8 PiB less one chunk: the largest size, served by a device never touched.
const LARGE_SIZE = 2 ** 53 - 2 ** 22;

const ALL_WRITABLE = 0b1101_0110_1101;

function twoExports() {
  return [
    exportOf(MEMORY, { name: "first", description: "The first disk" }),
    exportOf(SMALL, { name: "second", readOnly: true }),
  ];
}

for (const tcp of [false, true]) {
  const kind = tcp ? "TCP" : "a Unix socket";
  Deno.test(`GO tells size, flags and block sizes over ${kind}`, async () => {
    await using serving = await serve({ tcp, exports: twoExports() });
    using client = await serving.greeted();
    const info = await client.go("first");
    assertEquals(info.size, 1024n * 1024n);
    assertEquals(info.flags, ALL_WRITABLE);
    assertEquals(info.blockSizes, [1, 4096, 32 * 1024 * 1024]);
    assertEquals(info.name, undefined);
    assertEquals((await client.read(0, 4096)).length, 4096);
    await client.disconnect();
  });
}

Deno.test("the greeting offers fixed newstyle and no zeroes", async () => {
  await using serving = await serve();
  using client = await NbdClient.connect(serving.address);
  assertEquals(await client.greet(), 3);
});

Deno.test("INFO and GO agree, and INFO can be followed by GO", async () => {
  await using serving = await serve({ exports: twoExports() });
  using client = await serving.greeted();
  const types = [0, 1, 2, 3, 77];
  const told = await client.info("second", types);
  assertEquals(told, await client.go("second", types));
  assertEquals(told.size, 4096n);
  assertEquals(told.name, "second");
  assertEquals(told.description, "A disk for tests");
  assertEquals(told.blockSizes, [512, 4096, 32 * 1024 * 1024]);
  // Read-only: no TRIM, no zeroes, but CACHE, FLUSH and FUA.
  assertEquals(told.flags, 0b0101_0000_1111);
});

Deno.test("the empty name is the first export", async () => {
  await using serving = await serve({ exports: twoExports() });
  using client = await serving.greeted();
  const info = await client.go("", [NBD.INFO_NAME]);
  assertEquals(info.name, "first");
  assertEquals(serving.server.clients[0]?.exportName, "first");
});

Deno.test("a preferred block size is sent", async () => {
  const exports = [exportOf(SMALL, { preferredBlockSize: 65536 })];
  await using serving = await serve({ exports });
  using client = await serving.greeted();
  const info = await client.info("disk");
  assertEquals(info.blockSizes, [512, 65536, 32 * 1024 * 1024]);
});

Deno.test("sizes beyond 2^32 are sent exactly", async () => {
  const device = { ...bare(LARGE_SIZE) };
  await using serving = await serve({ device });
  using client = await serving.greeted();
  assertEquals((await client.info("disk")).size, BigInt(LARGE_SIZE));
  assertEquals((await client.exportName("disk")).size, BigInt(LARGE_SIZE));
});

Deno.test("EXPORT_NAME starts with and without zeroes", async () => {
  await using serving = await serve({ exports: twoExports() });
  for (const flags of [0, 1, 2, 3]) {
    using client = await NbdClient.connect(serving.address);
    await client.greet(flags);
    const info = await client.exportName("first");
    assertEquals([info.size, info.flags], [1024n * 1024n, ALL_WRITABLE]);
    assertEquals((await client.read(0, 512)).length, 512);
    await client.disconnect();
  }
});

Deno.test("requests sent together with EXPORT_NAME are answered", async () => {
  await using serving = await serve();
  using client = await serving.greeted();
  const name = encodeOption(NBD.OPT_EXPORT_NAME, new Uint8Array());
  const request = encodeRequest({ command: NBD.CMD_FLUSH, cookie: 9n });
  await client.sendRaw(new Uint8Array([...name, ...request]));
  await client.receiveRaw(10);
  const { errno, cookie } = await client.receive();
  assertEquals([errno, cookie], [0, 9n]);
});

Deno.test("EXPORT_NAME of an unknown export ends the connection", async () => {
  await using serving = await serve({ exports: twoExports() });
  using client = await serving.greeted();
  const data = new TextEncoder().encode("nosuch");
  await client.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME, data));
  assertEquals(await client.receiveEnd(), 0);
  await until("logged", () => serving.events.length > 0);
  assertEquals(serving.events[0]?.kind, "refused");
});

Deno.test("an unknown export in GO is refused and haggling goes on", async () => {
  await using serving = await serve({ exports: twoExports() });
  using client = await serving.greeted();
  const names = ["nosuch", "__proto__", "../first", "First", "x".repeat(4096)];
  for (const name of names) {
    for (const option of [NBD.OPT_INFO, NBD.OPT_GO]) {
      const replies = await client.option(option, encodeInfoData(name));
      assertEquals(replies.map(({ type }) => type), [NBD.REP_ERR_UNKNOWN]);
      assert((replies[0]?.data.length ?? 0) < 200);
    }
  }
  assertEquals((await client.go("second")).size, 4096n);
});

Deno.test("an export that was asked for in vain is logged by its name", async () => {
  await using serving = await serve({ exports: twoExports() });
  const long = "\u4ed3".repeat(1300);
  const told = new Map([
    ["nosuch", '"nosuch"'],
    ['a\r\n\u001b[2J\u202e"b', '"a\\r\\n\\u001b[2J\\u202e\\"b"'],
    [long, `"${long.slice(0, 80)}" and so on`],
  ]);
  const isLogged = (kind: string, message: string) =>
    until(
      `${kind}: ${message}`,
      () =>
        serving.events.some((event) =>
          event.kind === kind && event.message === message
        ),
    );
  for (const [name, quoted] of told) {
    const vain = `; it asked for export ${quoted}, and there is none`;
    using leaving = await serving.greeted();
    await leaving.option(NBD.OPT_GO, encodeInfoData(name));
    await leaving.option(NBD.OPT_ABORT);
    await isLogged("left", `Left without choosing an export${vain}`);
    using choosing = await serving.greeted();
    await choosing.option(NBD.OPT_INFO, encodeInfoData(name));
    await choosing.go("first");
    await isLogged("connected", `Uses export "first", simple replies${vain}`);
    using old = await serving.greeted();
    const data = new TextEncoder().encode(name);
    await old.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME, data));
    await isLogged(
      "refused",
      `There is no export ${quoted}, for which the client asked`,
    );
  }
  using broken = await serving.greeted();
  const bytes = new Uint8Array([0xff, 0xfe]);
  await broken.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME, bytes));
  await isLogged(
    "refused",
    "There is no export with a name that is not UTF-8, for which the client " +
      "asked",
  );
  // One that says nothing more before it goes.
  const gone = await serving.greeted();
  await gone.option(NBD.OPT_GO, encodeInfoData("gone"));
  gone.close();
  await until(
    "told",
    () =>
      serving.events.some(({ kind, message }) =>
        kind === "refused" &&
        message.includes('export "gone", and there is none')
      ),
  );
});

Deno.test("LIST names the exports; with data it is refused", async () => {
  await using serving = await serve({ exports: twoExports() });
  using client = await serving.greeted();
  assertEquals(await client.list(), ["first", "second"]);
  const replies = await client.option(NBD.OPT_LIST, new Uint8Array(4));
  assertEquals(replies.map(({ type }) => type), [NBD.REP_ERR_INVALID]);
  assertEquals(await client.list(), ["first", "second"]);
});

Deno.test("exports given by a function are asked for anew", async () => {
  let exports = twoExports();
  await using serving = await serve({ exports: () => exports });
  using before = await serving.greeted();
  assertEquals(await before.list(), ["first", "second"]);
  exports = exports.slice(1);
  using after = await serving.greeted();
  assertEquals(await after.list(), ["second"]);
});

Deno.test("ABORT is acknowledged, also with data", async () => {
  await using serving = await serve();
  for (const length of [0, 8, 100_000]) {
    const data = new Uint8Array(length);
    using client = await serving.greeted();
    const replies = await client.option(NBD.OPT_ABORT, data);
    assertEquals(replies.map(({ type }) => type), [NBD.REP_ACK]);
    assertEquals(await client.receiveEnd(), 0);
  }
});

Deno.test("options that are not known are refused politely", async () => {
  await using serving = await serve();
  using client = await serving.greeted();
  for (const option of [0, 4, 12, 13, 0xffffffff]) {
    for (const length of [0, 1, 500, 16384, 16385, 65536]) {
      const replies = await client.option(option, new Uint8Array(length));
      assertEquals(replies.map(({ type }) => type), [NBD.REP_ERR_UNSUP]);
    }
  }
  assertEquals((await client.go("disk")).size, 1024n * 1024n);
});

Deno.test("lengths that lie inside GO are refused and in sync", async () => {
  await using serving = await serve();
  using client = await serving.greeted();
  const good = encodeInfoData("disk", [1]);
  const bad: Uint8Array[] = [
    new Uint8Array(0),
    new Uint8Array(5),
    good.subarray(0, good.length - 1),
    new Uint8Array([...good, 0]),
    new Uint8Array([0xff, 0xff, 0xff, 0xff, ...good.subarray(4)]),
    new Uint8Array([0, 0, 0, 5, ...good.subarray(4)]),
    new Uint8Array([0, 0, 0, 3, ...good.subarray(4)]),
    encodeInfoData("di\0k"),
    encodeInfoData("x".repeat(4097)),
    new Uint8Array([0, 0, 0, 1, 0xff, 0, 0]),
  ];
  for (const data of bad) {
    for (const option of [NBD.OPT_INFO, NBD.OPT_GO]) {
      const replies = await client.option(option, data);
      assertEquals(replies.map(({ type }) => type), [NBD.REP_ERR_INVALID]);
    }
  }
  assertEquals((await client.go("disk")).size, 1024n * 1024n);
});

Deno.test("option data that is too long is drained and refused", async () => {
  await using serving = await serve();
  using client = await serving.greeted();
  for (const length of [16385, 65536, 1024 * 1024]) {
    const data = new Uint8Array(length);
    for (const option of [NBD.OPT_GO, NBD.OPT_INFO]) {
      const replies = await client.option(option, data);
      assertEquals(replies.map(({ type }) => type), [NBD.REP_ERR_TOO_BIG]);
    }
    // It is wrong here however much of it there is.
    for (
      const option of [
        NBD.OPT_LIST,
        NBD.OPT_STRUCTURED_REPLY,
        NBD.OPT_EXTENDED_HEADERS,
      ]
    ) {
      const replies = await client.option(option, data);
      assertEquals(replies.map(({ type }) => type), [NBD.REP_ERR_INVALID]);
    }
  }
  assertEquals((await client.go("disk")).size, 1024n * 1024n);
});

Deno.test("option data that is far too long ends the connection", async () => {
  await using serving = await serve();
  const cases: [number, number][] = [
    [NBD.OPT_GO, 1024 * 1024 + 1],
    [77, 0xffffffff],
    [NBD.OPT_EXPORT_NAME, 16385],
  ];
  for (const [option, length] of cases) {
    using client = await serving.greeted();
    await client.sendRaw(encodeOption(option, new Uint8Array(), length));
    assertEquals(await client.receiveEnd(), 0);
  }
});

Deno.test("unknown client flags end the connection", async () => {
  await using serving = await serve();
  for (const flags of [4, 7, 0x80000003]) {
    using client = await NbdClient.connect(serving.address);
    await client.greet(flags);
    assertEquals(await client.receiveEnd(), 0);
  }
});

Deno.test("junk in place of an option ends the connection", async () => {
  await using serving = await serve();
  using client = await serving.greeted();
  await client.sendRaw(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  assertEquals(await client.receiveEnd(), 0);
  await until("logged", () => serving.events.length > 0);
  assertEquals(
    serving.events[0]?.message,
    "Cannot negotiate: an option starts with 0x47455420, not with IHAVEOPT",
  );
});

Deno.test("leaving anywhere in the handshake does no harm", async () => {
  await using serving = await serve();
  const go = encodeOption(NBD.OPT_GO, encodeInfoData("disk"));
  for (let length = 0; length < go.length; length += 5) {
    const client = await serving.greeted();
    await client.sendRaw(go.subarray(0, length));
    client.close();
  }
  (await NbdClient.connect(serving.address)).close();
  await until("all gone", () => serving.server.clients.length === 0);
  using client = await serving.open();
  assertEquals((await client.read(0, 1)).length, 1);
});

Deno.test("a handshake may come byte by byte", async () => {
  await using serving = await serve({ tcp: true });
  using client = await serving.greeted();
  for (const byte of encodeOption(NBD.OPT_GO, encodeInfoData("disk"))) {
    await client.sendRaw(new Uint8Array([byte]));
  }
  assertEquals((await client.receiveOptionReply()).type, NBD.REP_INFO);
});

Deno.test("a handshake that takes too long is ended", async () => {
  await using serving = await serve({ limits: { handshakeMs: 50 } });
  using silent = await NbdClient.connect(serving.address);
  using halfway = await serving.greeted();
  await halfway.sendRaw(encodeOption(NBD.OPT_GO).subarray(0, 10));
  using done = await serving.open();
  assertEquals(await silent.receiveEnd(), 18);
  assertEquals(await halfway.receiveEnd(), 0);
  await until("logged", () => serving.events.length >= 3);
  const refused = serving.events.filter(({ kind }) => kind === "refused");
  assertEquals(
    refused.map(({ message }) => message),
    Array(2).fill("The handshake took more than 50 ms"),
  );
  // The limit is for the handshake only.
  assertEquals((await done.read(0, 1)).length, 1);
});

Deno.test("too many options end the connection", async () => {
  const exports = ["a", "b"].map((name) => exportOf(MEMORY, { name }));
  // A client may ask of each export.
  for (const [options, allowed] of [[9, 9], [3, 8]] as const) {
    await using serving = await serve({ exports, limits: { options } });
    using client = await serving.greeted();
    for (let i = 0; i < allowed; i++) await client.list();
    await assertRejects(() => client.list(), Error);
  }
});

/** A device that has a size and nothing else. */
function bare(size: number) {
  const small = new MemoryDevice(512);
  return {
    size,
    blockSize: 512,
    capabilities: small.capabilities,
    read: () => undefined,
    write: () => undefined,
    flush: () => undefined,
    discard: () => undefined,
    writeZeroes: () => undefined,
    extents: (_offset: number, length: number) => [
      { length, kind: "data" as const },
    ],
    close: () => undefined,
  };
}
