/**
 * Goal: dialects and metadata contexts are agreed on as the protocol says, in
 * every order, and with every kind of nonsense. Method: real sockets, raw
 * bytes.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { messageOf } from "../../../errors.ts";
import type { NbdContext } from "../../../nbd/mod.ts";
import {
  encodeContextQuery,
  encodeExtendedRequest,
  encodeOption,
  encodeRequest,
  NBD,
  NbdClient,
} from "../../helpers/nbd_client.ts";
import { exportOf, serve, type Serving, until } from "./serving.ts";

const MIB = 1024 * 1024;
const DISK = new MemoryDevice(MIB);
const {
  OPT_STRUCTURED_REPLY: STRUCTURED,
  OPT_EXTENDED_HEADERS: EXTENDED,
  OPT_LIST_META_CONTEXT: LIST,
  OPT_SET_META_CONTEXT: SET,
  REP_ACK: ACK,
  REP_ERR_INVALID: INVALID,
} = NBD;

function contextNamed(name: string): NbdContext {
  return { name, status: (_, length) => [{ length, flags: 7 }] };
}

const CONTEXTS = ["x-test:one", "x-test:two", "x-other:three"]
  .map(contextNamed);

function serveTwo(): Promise<Serving> {
  return serve({
    exports: [
      exportOf(DISK, { name: "first", contexts: CONTEXTS }),
      exportOf(DISK, { name: "second", rotational: true }),
    ],
  });
}

/** The type of the last reply. */
async function finalType(
  client: NbdClient,
  option: number,
  data?: Uint8Array,
): Promise<number | undefined> {
  return (await client.option(option, data)).at(-1)?.type;
}

Deno.test("dialects are agreed on in any order, the extended one stays", async () => {
  await using serving = await serveTwo();
  using client = await serving.greeted();
  assertEquals(await finalType(client, STRUCTURED), ACK);
  assertEquals(await finalType(client, STRUCTURED), ACK);
  assertEquals((await client.info("first")).flags & NBD.FLAG_SEND_DF, 128);
  assertEquals(await finalType(client, EXTENDED), ACK);
  assertEquals(await finalType(client, EXTENDED), ACK);
  const { REP_ERR_EXT_HEADER_REQD } = NBD;
  assertEquals(await finalType(client, STRUCTURED), REP_ERR_EXT_HEADER_REQD);
  await client.go("first");
  await client.sendRaw(encodeExtendedRequest({ command: NBD.CMD_FLUSH }));
  const header = new DataView((await client.receiveRaw(32)).buffer);
  assertEquals(header.getUint32(0), 0x6e8a278c);
});

Deno.test("extended headers need no structured replies before", async () => {
  await using serving = await serveTwo();
  using client = await NbdClient.open(serving.address, "first", "extended");
  assertEquals((await client.read(0, 512)).length, 512);
});

Deno.test("dialects with data are refused, and nothing is agreed on", async () => {
  await using serving = await serveTwo();
  using client = await serving.greeted();
  for (const option of [STRUCTURED, EXTENDED]) {
    for (const length of [1, 4, 4096]) {
      const data = new Uint8Array(length);
      assertEquals(await finalType(client, option, data), INVALID);
    }
  }
  assertEquals((await client.go("first")).flags & NBD.FLAG_SEND_DF, 0);
  assertEquals((await client.read(0, 512)).length, 512);
});

Deno.test("EXPORT_NAME goes with structured replies, not with extended headers", async () => {
  await using serving = await serveTwo();
  using client = await serving.greeted();
  await client.speak("structured");
  const { flags } = await client.exportName("second");
  assertEquals(flags & NBD.FLAG_SEND_DF, NBD.FLAG_SEND_DF);
  assertEquals((await client.read(0, 512)).length, 512);
  using other = await serving.greeted();
  await other.speak("extended");
  const name = new TextEncoder().encode("second");
  await other.sendRaw(encodeOption(NBD.OPT_EXPORT_NAME, name));
  assertEquals(await other.receiveEnd(), 0);
  await until("logged", () => serving.events.length > 1);
  assertEquals(
    serving.events.find(({ kind }) => kind === "refused")?.message,
    "Cannot negotiate: EXPORT_NAME was sent after EXTENDED_HEADERS",
  );
});

Deno.test("requests of another dialect end the connection", async () => {
  await using serving = await serveTwo();
  const command = NBD.CMD_FLUSH;
  for (const dialect of ["simple", "structured", "extended"] as const) {
    using client = await NbdClient.open(serving.address, "first", dialect);
    await client.sendRaw(
      dialect === "extended"
        ? new Uint8Array([...encodeRequest({ command }), 0, 0, 0, 0])
        : encodeExtendedRequest({ command }),
    );
    assertEquals(await client.receiveEnd(), 0);
  }
});

Deno.test("flags tell what there is, in each dialect", async () => {
  await using serving = await serveTwo();
  const { FLAG_SEND_DF, FLAG_BLOCK_STAT_PAYLOAD, FLAG_ROTATIONAL } = NBD;
  const dialects = [
    ["simple", 0, 0],
    ["structured", FLAG_SEND_DF, FLAG_SEND_DF],
    ["extended", FLAG_SEND_DF, FLAG_SEND_DF | FLAG_BLOCK_STAT_PAYLOAD],
  ] as const;
  const plain = 0b1101_0110_1101;
  for (const [dialect, bare, selected] of dialects) {
    using client = await serving.greeted();
    await client.speak(dialect);
    const { flags } = await client.info("first");
    assertEquals(flags, plain | bare);
    const second = await client.info("second");
    assertEquals(second.flags, plain | bare | FLAG_ROTATIONAL);
    if (dialect === "simple") continue;
    await client.contexts("first", ["base:allocation"]);
    assertEquals((await client.info("first")).flags, plain | selected);
    // Nothing was selected of this one.
    assertEquals((await client.info("second")).flags, second.flags);
    assertEquals((await client.go("first")).flags, plain | selected);
  }
});

Deno.test("contexts need a dialect with chunks", async () => {
  await using serving = await serveTwo();
  using client = await serving.greeted();
  const data = encodeContextQuery("first", ["base:allocation"]);
  for (const option of [LIST, SET]) {
    assertEquals(await finalType(client, option, data), INVALID);
  }
  assertEquals((await client.go("first")).size, BigInt(MIB));
});

Deno.test("LIST_META_CONTEXT knows names and namespaces", async () => {
  await using serving = await serveTwo();
  using client = await serving.greeted();
  await client.speak("structured");
  const all = ["base:allocation", ...CONTEXTS.map(({ name }) => name)];
  const cases: [string[], string[]][] = [
    [[], all],
    [["base:"], ["base:allocation"]],
    [["x-test:"], ["x-test:one", "x-test:two"]],
    [["x-test:", "x-test:one", "base:"], all.slice(0, 3)],
    [["x-other:three"], ["x-other:three"]],
    [["x-other:", "x-nosuch:", "qemu:dirty-bitmap:x"], ["x-other:three"]],
    [["base:nosuch", "x-test:on", "x-test:onetwo", "X-TEST:one"], []],
    [["", "base", "x-test", ":", "base:allocation:"], []],
    [["x-nosuch:"], []],
  ];
  for (const [queries, names] of cases) {
    const found = await client.contexts("first", queries, LIST);
    assertEquals([...found.keys()], names);
    assert([...found.values()].every((id) => id === 0), "ids are reserved");
  }
  const other = await client.contexts("second", [], LIST);
  assertEquals([...other.keys()], ["base:allocation"]);
  const unnamed = await client.contexts("", [], LIST);
  assertEquals([...unnamed.keys()], all);
});

Deno.test("SET_META_CONTEXT selects by name, once, with ids of their own", async () => {
  await using serving = await serveTwo();
  using client = await serving.greeted();
  await client.speak("structured");
  const seen = new Set<number>();
  const cases: [string[], string[]][] = [
    [["base:allocation"], ["base:allocation"]],
    [Array(9).fill("x-test:two"), ["x-test:two"]],
    [["x-test:two", "base:allocation", "x-no:x"], [
      "base:allocation",
      "x-test:two",
    ]],
    // A namespace alone selects nothing.
    [["base:", "x-test:"], []],
    [[], []],
  ];
  for (const [queries, names] of cases) {
    const found = await client.contexts("first", queries);
    assertEquals([...found.keys()], names);
    for (const id of found.values()) {
      assert(!seen.has(id), `${id} stood for another selection`);
      seen.add(id);
    }
  }
});

Deno.test("context queries that make no sense are refused and in sync", async () => {
  await using serving = await serveTwo();
  using client = await serving.greeted();
  await client.speak("structured");
  const good = encodeContextQuery("first", ["base:allocation"]);
  const count = good.length - 4 - 15 - 4;
  const more = good.slice();
  more[count + 3] = 2;
  const fewer = good.slice();
  fewer[count + 3] = 0;
  const huge = good.slice();
  huge.fill(0xff, count, count + 4);
  const long = good.slice();
  long[count + 7] = 16;
  const bad: Uint8Array[] = [
    new Uint8Array(),
    new Uint8Array(3),
    good.subarray(0, 8),
    good.subarray(0, good.length - 1),
    new Uint8Array([...good, 0]),
    new Uint8Array([...good, ...encodeOption(3)]),
    more,
    fewer,
    huge,
    long,
    new Uint8Array([0xff, 0xff, 0xff, 0xff, ...good.subarray(4)]),
    encodeContextQuery("fi\0rst", []),
    encodeContextQuery("first", ["base:\0"]),
    encodeContextQuery("first", ["x".repeat(4097)]),
    new Uint8Array([0, 0, 0, 1, 0xff, 0, 0, 0, 0]),
  ];
  for (const data of bad) {
    for (const option of [LIST, SET]) {
      assertEquals(await finalType(client, option, data), INVALID);
    }
  }
  for (const option of [LIST, SET]) {
    const unknown = encodeContextQuery("nosuch", ["base:allocation"]);
    assertEquals(
      await finalType(client, option, unknown),
      NBD.REP_ERR_UNKNOWN,
    );
    const large = new Uint8Array(16385);
    assertEquals(await finalType(client, option, large), NBD.REP_ERR_TOO_BIG);
  }
  // The longest strings are taken.
  const name = `x-test:${"y".repeat(4089)}`;
  assertEquals((await client.contexts("first", [name])).size, 0);
  assertEquals((await client.go("first")).size, BigInt(MIB));
});

/** Whether BLOCK_STATUS has a context to tell about. */
async function hasContexts(client: NbdClient, name: string): Promise<boolean> {
  await client.go(name);
  const { errno } = await client.call({
    ...{ command: NBD.CMD_BLOCK_STATUS, length: 512 },
  });
  assert(errno === 0 || errno === NBD.EINVAL, `errno is ${errno}`);
  return errno === 0;
}

Deno.test("a selection is forgotten where the protocol says so", async () => {
  await using serving = await serveTwo();
  const name = "base:allocation";
  const good = encodeContextQuery("first", [name]);
  // What comes after the selection, and whether it is still there then.
  const cases: [string, (client: NbdClient) => Promise<unknown>, boolean][] = [
    ["nothing", () => Promise.resolve(), true],
    ["INFO of both", async (client) => {
      await client.info("first");
      await client.info("second");
    }, true],
    ["LIST", (client) => client.contexts("first", [], LIST), true],
    ["an unknown option", (client) => client.option(77), true],
    ["extended headers", (client) => client.speak("extended"), true],
    ["SET of nothing", (client) => client.contexts("first", []), false],
    ["SET of another", (client) => client.contexts("second", [name]), false],
    ["SET that fails", (client) => client.option(SET), false],
    [
      "SET that is too long",
      (client) => client.option(SET, new Uint8Array(50_000)),
      false,
    ],
    ["SET once more", (client) => client.option(SET, good), true],
  ];
  for (const [what, then, stays] of cases) {
    using client = await serving.greeted();
    await client.speak("structured");
    await client.contexts("first", [name]);
    await then(client);
    assertEquals([what, await hasContexts(client, "first")], [what, stays]);
  }
});

Deno.test("a selection counts for the name that it was made with", async () => {
  await using serving = await serveTwo();
  const cases = [
    ["first", "first", true],
    ["", "", true],
    ["", "first", false],
    ["first", "", false],
    ["second", "first", false],
  ] as const;
  for (const [selected, used, counts] of cases) {
    using client = await serving.greeted();
    await client.speak("structured");
    await client.contexts(selected, ["base:allocation"]);
    assertEquals(await hasContexts(client, used), counts);
  }
});

Deno.test("a failed GO leaves the selection alone", async () => {
  await using serving = await serveTwo();
  using client = await serving.greeted();
  await client.speak("structured");
  await client.contexts("first", ["base:allocation"]);
  await assertRejects(() => client.go("nosuch"), Error, "failed");
  assertEquals(await hasContexts(client, "first"), true);
});

Deno.test("an export that is not what it promises stops the server", async () => {
  const long = "x".repeat(4097);
  const twice = [contextNamed("x-a:b"), contextNamed("x-a:b")];
  const wrong = [
    { name: "" },
    { name: long },
    { name: "a\0b" },
    { description: long },
    { contexts: [contextNamed("base:allocation")] },
    { contexts: [contextNamed("noname")] },
    { contexts: [contextNamed("x a:b")] },
    { contexts: [contextNamed("x-a:")] },
    { contexts: [contextNamed(`x-a:${long}`)] },
    { contexts: twice },
  ];
  for (const changes of wrong) {
    await using serving = await serve({ exports: [exportOf(DISK, changes)] });
    const finished = serving.server.finished.then(() => "", messageOf);
    using client = await NbdClient.connect(serving.address);
    await client.receiveEnd();
    assert((await finished).length > 0);
  }
});
