/**
 * What a remote disk refuses: a far side that cannot flush, and one that is
 * another disk after a lost connection.
 *
 * @module
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import {
  NbdDisk,
  type NbdDiskOptions,
  type NbdIdentityRead,
} from "../../nbd/client/mod.ts";
import { NBD } from "../helpers/nbd_messages.ts";
import { eventually } from "../helpers/patience.ts";
import { makeScratch, pattern } from "../helpers/scratch.ts";
import {
  type ScriptedExport,
  ScriptedServer,
  serveBytes,
  USUAL_FLAGS,
} from "./scripted_server.ts";

const SIZE = 8192;
const [READ_ONLY, FLUSH, FUA, TRIM] = [2, 4, 8, 0x20];
const USUAL: ScriptedExport = { size: SIZE, flags: USUAL_FLAGS };
const QUICK: NbdDiskOptions = { backOff: { firstMs: 1, mostMs: 10 } };

const CHANGES: Readonly<Record<string, [ScriptedExport, RegExp]>> = {
  "a larger size": [
    { ...USUAL, size: 2 * SIZE },
    /its size was 8192 bytes, and is 16384 bytes/,
  ],
  "a smaller size": [{ ...USUAL, size: 4096 }, /and is 4096 bytes/],
  "read-only": [
    { ...USUAL, flags: USUAL_FLAGS | READ_ONLY },
    /it has become read-only/,
  ],
  "no FLUSH": [
    { ...USUAL, flags: USUAL_FLAGS & ~FLUSH },
    /it no longer supports FLUSH/,
  ],
  "no TRIM": [
    { ...USUAL, flags: USUAL_FLAGS & ~TRIM },
    /it no longer supports TRIM/,
  ],
  "larger blocks": [
    { ...USUAL, blockSizes: [512, 512, 2 ** 25] },
    /its smallest block was 1 byte, and is 512 bytes/,
  ],
  "shorter requests": [
    { ...USUAL, blockSizes: [1, 512, 2 ** 20] },
    /its longest request was 33554432 bytes, and is 1048576 bytes/,
  ],
};

/** Loses a connection behind a write; the next one has another export. */
async function reconnectTo(
  next: ScriptedExport,
  content: Uint8Array,
  options: NbdDiskOptions = {},
): Promise<{ readonly message: string; readonly written: boolean }> {
  await using scratch = await makeScratch();
  let written = false;
  await using server = new ScriptedServer(
    scratch.file("socket"),
    (index) => index === 0 ? USUAL : next,
    async (conn, index) => {
      await conn.handshake();
      const bytes = index === 0 ? pattern(SIZE, 1) : content;
      await serveBytes(conn, bytes, async ({ command, cookie }) => {
        if (command === NBD.CMD_WRITE && index > 0) written = true;
        if (command === NBD.CMD_WRITE && index === 0) {
          await conn.simple(cookie);
          conn.close();
        }
        return false;
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri, {
    ...QUICK,
    ...options,
  });
  await disk.write(pattern(100, 2), 1000);
  const error = await assertRejects(
    async () => await disk.read(new Uint8Array(100), 0),
    VirstorError,
  );
  assertEquals(error.code, "failed");
  assertEquals(disk.status().state, "failed");
  // Also later, and also what is new.
  const write = async () => await disk.write(new Uint8Array(1), 0);
  assertEquals(await assertRejects(write, VirstorError), error);
  return { message: error.message, written };
}

Deno.test("a remote disk stops if its far side has changed", async (t) => {
  for (const [name, [next, message]] of Object.entries(CHANGES)) {
    await t.step(name, async () => {
      const result = await reconnectTo(next, pattern(SIZE, 1));
      assertMatch(result.message, message);
      assertMatch(result.message, /^Cannot continue with "nbd\+unix:/);
      assertEquals(result.written, false);
    });
  }
});

/** The first 8 bytes are the identity here. */
async function identify(read: NbdIdentityRead): Promise<string> {
  return (await read(0, 8)).toHex();
}

Deno.test("a remote disk stops if its identity has changed", async () => {
  const result = await reconnectTo(USUAL, pattern(SIZE, 3), { identify });
  const hex = (seed: number) => pattern(8, seed).toHex();
  assertMatch(
    result.message,
    new RegExp(`it was "${hex(1)}", and is "${hex(3)}"; nothing more is`),
  );
  assertEquals(result.written, false);
});

Deno.test("a remote disk needs FLUSH by default", async () => {
  await using scratch = await makeScratch();
  const content = new Uint8Array(SIZE);
  let flushes = 0;
  await using server = new ScriptedServer(
    scratch.file("socket"),
    { ...USUAL, flags: USUAL_FLAGS & ~FLUSH },
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, content, ({ command }) => {
        if (command === NBD.CMD_FLUSH) flushes += 1;
        return Promise.resolve(false);
      });
    },
  );
  const error = await assertRejects(
    () => NbdDisk.connect(server.uri),
    VirstorError,
    "does not support FLUSH",
  );
  assertEquals(error.code, "unsupported");
  // Reading needs no flush.
  await using reader = await NbdDisk.connect(server.uri, { readOnly: true });
  await reader.read(new Uint8Array(10), 0);
  await using disk = await NbdDisk.connect(server.uri, { unsafeNoFlush: true });
  await disk.write(pattern(10, 1), 0);
  await disk.flush();
  assertEquals(disk.status().unflushedBytes, 0);
  assertEquals(flushes, 0);
});

Deno.test("a read-only export opens read-only", async () => {
  await using scratch = await makeScratch();
  await using server = new ScriptedServer(
    scratch.file("socket"),
    { ...USUAL, flags: 1 | READ_ONLY },
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, pattern(SIZE, 1));
    },
  );
  await using disk = await NbdDisk.connect(server.uri);
  assertEquals(disk.capabilities.readOnly, true);
  const acts = [
    async () => await disk.write(new Uint8Array(1), 0),
    async () => await disk.writeZeroes(0, 1),
    async () => await disk.discard(0, 1),
  ];
  for (const act of acts) {
    const { code } = await assertRejects(act, VirstorError);
    assertEquals(code, "read-only");
  }
  await disk.flush();
});

Deno.test("FUA is a flush where the server does not have it", async () => {
  await using scratch = await makeScratch();
  const content = new Uint8Array(SIZE);
  const seen: number[] = [];
  await using server = new ScriptedServer(
    scratch.file("socket"),
    { ...USUAL, flags: USUAL_FLAGS & ~FUA },
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, content, ({ command, flags }) => {
        seen.push(command, flags);
        return Promise.resolve(false);
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri);
  await disk.write(pattern(10, 1), 0, { fua: true });
  assertEquals(seen, [NBD.CMD_WRITE, 0, NBD.CMD_FLUSH, 0]);
});

Deno.test("after a failed flush everything is written again", async () => {
  await using scratch = await makeScratch();
  const durable = new Uint8Array(SIZE);
  let fails = true;
  await using server = new ScriptedServer(
    scratch.file("socket"),
    USUAL,
    async (conn) => {
      await conn.handshake();
      // As after a failed fsync: what was dirty is dropped, and clean.
      let memory = durable.slice();
      await serveBytes(conn, memory, async ({ command, cookie }) => {
        if (command !== NBD.CMD_FLUSH) return false;
        if (!fails) durable.set(memory);
        else {
          fails = false;
          memory = durable.slice();
          await conn.simple(cookie, NBD.EIO);
          return true;
        }
        return false;
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri, QUICK);
  await disk.write(pattern(100, 1), 0);
  const error = await assertRejects(
    async () => await disk.flush(),
    VirstorError,
    "the server reports EIO",
  );
  assertEquals(error.code, "io");
  await disk.flush();
  assertEquals(durable.slice(0, 100), pattern(100, 1));
  await eventually("it is connected", () => disk.status().reconnects === 1);
});

Deno.test("a path to another disk is passed over, and not written to", async () => {
  await using scratch = await makeScratch();
  const [first, second] = [pattern(SIZE, 1), pattern(SIZE, 2)];
  await using a = new ScriptedServer(
    scratch.file("a"),
    USUAL,
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, first, async ({ command, cookie }) => {
        if (command !== NBD.CMD_WRITE) return false;
        await conn.simple(cookie);
        // The first path is gone, before the disk looks for it.
        await Deno.remove(scratch.file("a"));
        conn.close();
        return true;
      });
    },
  );
  await using b = new ScriptedServer(
    scratch.file("b"),
    USUAL,
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, second);
    },
  );
  let look = () => ({});
  let freezes = {};
  const passed = Promise.withResolvers<string>();
  await using disk = await NbdDisk.connect([a.uri, b.uri], {
    ...QUICK,
    onEvent: ({ kind, message }) => {
      if (kind === "failed") passed.reject(new Error(message));
      if (message.includes("nothing more is written there")) {
        passed.resolve(kind);
      }
    },
    identify: (read) => {
      freezes = look();
      return identify(read);
    },
  });
  look = () => disk.status().freezes;
  await disk.write(pattern(100, 5), 1000);
  assertEquals(await passed.promise, "passed");
  assertEquals(freezes, { connecting: 1, changing: 1 });
  // The right disk comes back, and gets what it had not kept.
  await using _again = new ScriptedServer(
    scratch.file("a"),
    USUAL,
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, first);
    },
  );
  const target = new Uint8Array(100);
  await disk.read(target, 1000);
  assertEquals(target, pattern(100, 5));
  assertEquals(first.slice(1000, 1100), target);
  assertEquals(second, pattern(SIZE, 2));
});
