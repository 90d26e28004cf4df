/**
 * Servers that break the protocol: the connection ends, the reason is reported,
 * and the request goes to the next connection.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { NbdDisk, type NbdDiskEvent } from "../../nbd/client/mod.ts";
import { VirstorError } from "../../errors.ts";
import { NBD } from "../helpers/nbd_messages.ts";
import { PATIENCE_MS } from "../helpers/patience.ts";
import { makeScratch, pattern } from "../helpers/scratch.ts";
import {
  ALLOCATION_ID,
  ascii,
  type ReceivedRequest,
  type ScriptedConnection,
  ScriptedServer,
  serveBytes,
  u16,
  u32,
  u64,
  USUAL_FLAGS,
} from "./scripted_server.ts";

const SIZE = 8192;
const LENGTH = 512;

type Reply = (
  conn: ScriptedConnection,
  request: ReceivedRequest,
) => Promise<void>;

/** What a server replies to READ of {@linkcode LENGTH} bytes at 0. */
const SIMPLE: Readonly<Record<string, [RegExp, Reply]>> = {
  "another magic": [
    /reply has the magic 0x67446699/,
    (conn, { cookie }) =>
      conn.send(u32(0x67446699), u32(0), u64(cookie), new Uint8Array(LENGTH)),
  ],
  "the cookie of no request": [
    /cookie that is not in flight/,
    (conn, { cookie }) => conn.simple(cookie + 1n, 0, new Uint8Array(LENGTH)),
  ],
  "a reply twice": [
    /cookie that is not in flight/,
    async (conn, { cookie }) => {
      await conn.simple(cookie, 0, pattern(LENGTH, 1));
      await conn.simple(cookie, 0, pattern(LENGTH, 1));
    },
  ],
  "a chunk without structured replies": [
    /reply has the magic 0x668e33ef/,
    (conn, { cookie }) => conn.chunk(cookie, NBD.REPLY_TYPE_NONE),
  ],
  "half of a reply": [
    /closed the connection/,
    (conn, { cookie }) => conn.simple(cookie, 0, new Uint8Array(LENGTH / 2)),
  ],
};

/** The same in chunks. */
const STRUCTURED: Readonly<Record<string, [RegExp, Reply]>> = {
  "READ without chunks": [
    /READ is answered without chunks/,
    (conn, { cookie }) => conn.simple(cookie, 0, new Uint8Array(LENGTH)),
  ],
  "an error of READ without chunks": [
    /READ is answered without chunks/,
    (conn, { cookie }) => conn.simple(cookie, NBD.EIO),
  ],
  "data before the range": [
    /reaches beyond its request/,
    (conn, { cookie }) => data(conn, cookie, -1, LENGTH),
  ],
  "data past the range": [
    /reaches beyond its request/,
    (conn, { cookie }) => data(conn, cookie, 1, LENGTH),
  ],
  "data of no bytes": [
    /a chunk has no data/,
    (conn, { cookie }) => data(conn, cookie, 0, 0),
  ],
  "the same data twice": [
    /two chunks of a reply overlap/,
    async (conn, { cookie }) => {
      await data(conn, cookie, 0, 300, 0);
      await data(conn, cookie, 299, LENGTH - 299);
    },
  ],
  "a hole over data": [
    /two chunks of a reply overlap/,
    async (conn, { cookie }) => {
      await data(conn, cookie, 100, 10, 0);
      await hole(conn, cookie, 0, LENGTH);
    },
  ],
  "data that leaves a gap": [
    /leaves bytes out/,
    async (conn, { cookie }) => {
      await data(conn, cookie, 0, 100, 0);
      await hole(conn, cookie, 101, LENGTH - 101);
    },
  ],
  "success without data": [
    /leaves bytes out/,
    (conn, { cookie }) => conn.chunk(cookie, NBD.REPLY_TYPE_NONE),
  ],
  "a hole of a wrong length": [
    /a hole has a wrong length/,
    (conn, { cookie }) =>
      conn.chunk(cookie, NBD.REPLY_TYPE_OFFSET_HOLE, new Uint8Array(11)),
  ],
  "a hole of no bytes": [
    /reaches beyond its request/,
    (conn, { cookie }) => hole(conn, cookie, 0, 0),
  ],
  "an end with content": [
    /NONE chunk has content/,
    (conn, { cookie }) => conn.chunk(cookie, NBD.REPLY_TYPE_NONE, [1]),
  ],
  "an end that is not the last": [
    /NONE chunk has content, or is not the last/,
    (conn, { cookie }) => conn.chunk(cookie, NBD.REPLY_TYPE_NONE, [], 0),
  ],
  "unknown flags": [
    /a chunk has the flags 0x3/,
    (conn, { cookie }) => conn.chunk(cookie, NBD.REPLY_TYPE_NONE, [], 3),
  ],
  "an unknown type": [
    /unknown type 9/,
    (conn, { cookie }) => conn.chunk(cookie, 9, [1, 2, 3]),
  ],
  "an error of 4 GiB": [
    /an error chunk has 4294967295 bytes/,
    (conn, { cookie }) =>
      conn.send(
        ...[u32(0x668e33ef), u16(1), u16(NBD.REPLY_TYPE_ERROR)],
        ...[u64(cookie), u32(0xffffffff)],
      ),
  ],
  "an error without a value": [
    /an error chunk is malformed/,
    (conn, { cookie }) =>
      conn.chunk(cookie, NBD.REPLY_TYPE_ERROR, [...u32(0), ...u16(0)]),
  ],
  "an error with a text that is too long": [
    /an error chunk is malformed/,
    (conn, { cookie }) =>
      conn.chunk(cookie, NBD.REPLY_TYPE_ERROR, [...u32(5), ...u16(9), 65]),
  ],
  "the status of blocks for READ": [
    /status chunk is malformed or was not asked for/,
    (conn, { cookie }) => status(conn, cookie, ALLOCATION_ID, [[LENGTH, 0]]),
  ],
};

/** What a server replies to BLOCK_STATUS. */
const STATUS: Readonly<Record<string, [RegExp, Reply]>> = {
  "success without runs": [
    /BLOCK_STATUS has no runs/,
    (conn, { cookie }) => conn.chunk(cookie, NBD.REPLY_TYPE_NONE),
  ],
  "a simple reply": [
    /BLOCK_STATUS is answered without chunks/,
    (conn, { cookie }) => conn.simple(cookie),
  ],
  "another context": [
    /wrong context or count/,
    (conn, { cookie }) => status(conn, cookie, 78, [[SIZE, 0]]),
  ],
  "no runs": [
    /malformed or was not asked for/,
    (conn, { cookie }) => status(conn, cookie, ALLOCATION_ID, []),
  ],
  "a run of no bytes": [
    /out of range/,
    (conn, { cookie }) =>
      status(conn, cookie, ALLOCATION_ID, [[0, 0], [SIZE, 0]]),
  ],
  "a run past the range": [
    /out of range/,
    (conn, { cookie }) =>
      status(conn, cookie, ALLOCATION_ID, [[SIZE, 0], [1, 0]]),
  ],
  "the context twice": [
    /malformed or was not asked for/,
    async (conn, { cookie }) => {
      await status(conn, cookie, ALLOCATION_ID, [[SIZE, 0]], 0);
      await status(conn, cookie, ALLOCATION_ID, [[SIZE, 0]]);
    },
  ],
  "data": [
    /data that were not asked for/,
    (conn, { cookie }) => data(conn, cookie, 0, 10),
  ],
};

async function data(
  conn: ScriptedConnection,
  cookie: bigint,
  offset: number,
  length: number,
  flags = 1,
): Promise<void> {
  const bytes = [...u64(BigInt.asUintN(64, BigInt(offset)))];
  bytes.push(...new Uint8Array(length).fill(0xee));
  await conn.chunk(cookie, NBD.REPLY_TYPE_OFFSET_DATA, bytes, flags);
}

async function hole(
  conn: ScriptedConnection,
  cookie: bigint,
  offset: number,
  length: number,
): Promise<void> {
  const bytes = [...u64(offset), ...u32(length)];
  await conn.chunk(cookie, NBD.REPLY_TYPE_OFFSET_HOLE, bytes);
}

async function status(
  conn: ScriptedConnection,
  cookie: bigint,
  id: number,
  runs: readonly (readonly [number, number])[],
  flags = 1,
): Promise<void> {
  const bytes = [
    ...u32(id),
    ...runs.flatMap(([length, state]) => [...u32(length), ...u32(state)]),
  ];
  await conn.chunk(cookie, NBD.REPLY_TYPE_BLOCK_STATUS, bytes, flags);
}

/** Sends one bad reply, and serves the next connection without chunks. */
async function meet(
  structured: boolean,
  reply: Reply,
  use: (disk: NbdDisk) => Promise<void>,
): Promise<string> {
  await using scratch = await makeScratch();
  const about = { size: SIZE, flags: USUAL_FLAGS };
  const content = pattern(SIZE, 1);
  await using server = new ScriptedServer(
    scratch.file("socket"),
    (index) => ({ ...about, structured: structured && index === 0 }),
    async (conn, index) => {
      await conn.handshake();
      if (index > 0) return await serveBytes(conn, content);
      await reply(conn, await conn.request());
    },
  );
  const events: NbdDiskEvent[] = [];
  const disk = await NbdDisk.connect(server.uri, {
    backOff: { firstMs: 1, mostMs: 10 },
    silenceMs: PATIENCE_MS,
    onEvent: (event) => events.push(event),
  });
  try {
    await use(disk);
  } finally {
    await disk.close();
  }
  return events.find(({ kind }) => kind === "lost")?.message ?? "";
}

async function readAndCompare(disk: NbdDisk): Promise<void> {
  const target = new Uint8Array(LENGTH);
  await disk.read(target, 0);
  // A second one meets what came after the first.
  await disk.read(target, 0);
  assertEquals(target, pattern(SIZE, 1).slice(0, LENGTH));
}

Deno.test("a bad reply to READ ends the connection, not the request", async (t) => {
  for (
    const [structured, table] of [[false, SIMPLE], [true, STRUCTURED]] as const
  ) {
    for (const [name, [message, reply]] of Object.entries(table)) {
      await t.step(name, async () => {
        assertMatch(await meet(structured, reply, readAndCompare), message);
      });
    }
  }
});

Deno.test("a bad reply to BLOCK_STATUS ends the connection, not the request", async (t) => {
  for (const [name, [message, reply]] of Object.entries(STATUS)) {
    await t.step(name, async () => {
      const lost = await meet(true, reply, async (disk) => {
        // The next connection does not tell.
        const runs = await disk.blockStatus(0, SIZE);
        assertEquals(runs, [{ length: SIZE, kind: "data" }]);
        await readAndCompare(disk);
      });
      assertMatch(lost, message);
    });
  }
});

Deno.test("a server that breaks the protocol again and again is left alone", async () => {
  await using scratch = await makeScratch();
  await using server = new ScriptedServer(
    scratch.file("socket"),
    { size: SIZE, flags: USUAL_FLAGS },
    async (conn) => {
      await conn.handshake();
      await conn.request();
      await conn.send(new Uint8Array(100));
    },
  );
  const disk = await NbdDisk.connect(server.uri, {
    backOff: { firstMs: 1, mostMs: 1 },
  });
  const error = await assertRejects(
    async () => await disk.read(new Uint8Array(10), 0),
    VirstorError,
  );
  assertMatch(error.message, /broke the protocol: a reply has the magic 0x0/);
  assertEquals(disk.status().state, "failed");
  assertEquals(server.count, 5);
  await disk.close();
});

/** Handshakes that fail: what a server sends, and what the client says. */
const HANDSHAKES: Readonly<
  Record<string, [RegExp, (conn: ScriptedConnection) => Promise<void>]>
> = {
  "no NBD": [
    /greeting has a wrong magic/,
    (conn) => conn.send(ascii("HTTP/1.1 400 Bad Request")),
  ],
  "no second magic": [
    /wrong second magic/,
    (conn) => conn.send(ascii("NBDMAGICIHAVENOT"), [0, 3]),
  ],
  "nothing": [/closed the connection/, () => Promise.resolve()],
  "a reply to another option": [/is answered as/, async (conn) => {
    await greet(conn);
    await conn.reply(99, NBD.REP_ACK);
  }],
  "a reply with a wrong magic": [
    /option reply has a wrong magic/,
    async (conn) => {
      await greet(conn);
      await conn.send(new Uint8Array(20));
    },
  ],
  "a reply of 2 GiB": [/has 2147483647 bytes of data/, async (conn) => {
    await greet(conn);
    await conn.send([0, 3, 0xe8, 0x89, 4, 0x55, 0x65, 0xa9]);
    await conn.send(u32(11), u32(3), u32(0x7fffffff));
  }],
  "a size of 2^63": [
    /above 2\^53/,
    (conn) => go(conn, [...u16(0), 0x80, ...new Uint8Array(7), 0, 5]),
  ],
  "no size": [/does not tell the size/, (conn) => go(conn, [...u16(1), 65])],
  "a size of 9 bytes": [
    /has 11 bytes, not 12/,
    (conn) => go(conn, [...u16(0), ...new Uint8Array(9)]),
  ],
  "blocks of 3 bytes": [
    /block sizes are 3, 512 and 4096/,
    (conn) => go(conn, [...u16(3), ...u32(3), ...u32(512), ...u32(4096)]),
  ],
  "blocks of 128 KiB": [
    /block sizes are 131072/,
    (conn) =>
      go(conn, [...u16(3), ...u32(131072), ...u32(131072), ...u32(1 << 20)]),
  ],
  "a name that is no text": [
    /a string is malformed/,
    (conn) => go(conn, [...u16(1), 0xff, 0xfe]),
  ],
};

async function greet(conn: ScriptedConnection): Promise<void> {
  await conn.send(ascii("NBDMAGICIHAVEOPT"), [0, 3]);
  await conn.receive(4);
  await conn.receive(16);
}

/** Refuses both dialects, and answers GO. */
async function go(
  conn: ScriptedConnection,
  info: ArrayLike<number>,
): Promise<void> {
  await greet(conn);
  await conn.reply(NBD.OPT_EXTENDED_HEADERS, NBD.REP_ERR_UNSUP);
  await conn.receive(16);
  await conn.reply(NBD.OPT_STRUCTURED_REPLY, NBD.REP_ERR_UNSUP);
  const header = new DataView((await conn.receive(16)).buffer);
  await conn.receive(header.getUint32(12));
  await conn.reply(NBD.OPT_GO, NBD.REP_INFO, info);
  await conn.reply(NBD.OPT_GO, NBD.REP_ACK);
}

Deno.test("a bad handshake is refused, with the reason", async (t) => {
  for (const [name, [message, script]] of Object.entries(HANDSHAKES)) {
    await t.step(name, async () => {
      await using scratch = await makeScratch();
      await using server = new ScriptedServer(
        scratch.file("socket"),
        { size: 0, flags: 0 },
        script,
      );
      const error = await assertRejects(
        () => NbdDisk.connect(server.uri),
        VirstorError,
      );
      assertMatch(error.message, message);
      assertMatch(error.message, /^Cannot connect to "nbd\+unix:/);
    });
  }
});
