/**
 * Goal: what takes time when a path is lost has a bound: the silence is noticed
 * whatever is sent meanwhile, a path that hangs is not tried for long, and no
 * request waits for more connections than one.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { NbdDisk, type NbdDiskEvent } from "../../nbd/client/mod.ts";
import { NBD } from "../helpers/nbd_messages.ts";
import { eventually, PATIENCE_MS, pause } from "../helpers/patience.ts";
import { makeScratch, pattern, readBytes } from "../helpers/scratch.ts";
import {
  ScriptedServer,
  serveBytes,
  u32,
  u64,
  USUAL_FLAGS,
} from "./scripted_server.ts";

const SIZE = 65_536;
const USUAL = { size: SIZE, flags: USUAL_FLAGS };
const CAN_MULTI_CONN = 1 << 8;
const backOff = { firstMs: 1, mostMs: 10 };

Deno.test("that requests can be sent is no sign of life", async () => {
  await using scratch = await makeScratch();
  const content = pattern(SIZE, 1);
  await using server = new ScriptedServer(
    scratch.file("s"),
    USUAL,
    async (conn, index) => {
      await conn.handshake();
      // A path that is pulled: what is sent goes nowhere.
      if (index === 0) { while (await conn.receive(28)); }
      await serveBytes(conn, content);
    },
  );
  await using disk = await NbdDisk.connect(server.uri, {
    backOff,
    silenceMs: 40,
    depth: 4095,
    coalesceBytes: 0,
  });
  const reads: Promise<Uint8Array>[] = [];
  while (disk.status().lastError === "" && reads.length < 1000) {
    reads.push(readBytes(disk, 1024, 10));
    await pause(5);
  }
  assertMatch(disk.status().lastError, /silent for 40 ms/);
  for (const read of reads) assertEquals(await read, content.slice(1024, 1034));
});

Deno.test("a reply that comes in pieces is no silence", async () => {
  await using scratch = await makeScratch();
  const content = pattern(SIZE, 1);
  const events: NbdDiskEvent[] = [];
  const pieces = 16;
  await using server = new ScriptedServer(
    scratch.file("s"),
    USUAL,
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, content, async ({ command, length, cookie }) => {
        if (command !== NBD.CMD_READ || length !== SIZE) return false;
        await conn.send(u32(0x67446698), u32(0), u64(cookie));
        for (let i = 0; i < pieces; i++) {
          await pause(50);
          const step = SIZE / pieces;
          await conn.send(content.subarray(i * step, (i + 1) * step));
        }
        return true;
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri, {
    silenceMs: 400,
    onEvent: (event) => events.push(event),
  });
  assertEquals(await readBytes(disk, 0, SIZE), content);
  assertEquals(events.map(({ kind }) => kind), ["connected"]);
});

Deno.test("requests do not wait for further connections", async () => {
  await using scratch = await makeScratch();
  const content = pattern(SIZE, 1);
  await using server = new ScriptedServer(
    scratch.file("s"),
    { ...USUAL, flags: USUAL_FLAGS | CAN_MULTI_CONN },
    async (conn, index) => {
      // The connections beside the second first one hang.
      if (index > 4) await conn.receive(1);
      await conn.handshake();
      await serveBytes(conn, content, ({ offset }) => {
        if (index < 4 && offset === 1024) throw new Error("it is lost");
        return Promise.resolve(false);
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri, {
    backOff,
    connections: 4,
    connectTimeoutMs: 10 * PATIENCE_MS,
  });
  assertEquals(disk.status().connections, 4);
  let bytes: Uint8Array | undefined;
  readBytes(disk, 1024, 10).then((read) => bytes = read);
  await eventually("it is read", () => bytes !== undefined);
  assertEquals(bytes, content.slice(1024, 1034));
  assertEquals(disk.status().connections, 1);
});

Deno.test("one of several paths that hangs is not tried for long", async () => {
  await using scratch = await makeScratch();
  const content = pattern(SIZE, 1);
  await using first = new ScriptedServer(
    scratch.file("a"),
    USUAL,
    async (conn, index) => {
      if (index > 0) await conn.receive(1);
      await conn.handshake();
      await conn.request();
    },
  );
  await using second = new ScriptedServer(
    scratch.file("b"),
    USUAL,
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, content);
    },
  );
  const events: NbdDiskEvent[] = [];
  await using disk = await NbdDisk.connect([first.uri, second.uri], {
    backOff,
    connectTimeoutMs: 10 * PATIENCE_MS,
    onEvent: (event) => events.push(event),
  });
  let bytes: Uint8Array | undefined;
  readBytes(disk, 0, 10).then((read) => bytes = read);
  await eventually("it is read", () => bytes !== undefined);
  assertEquals(bytes, content.slice(0, 10));
  const retry = events.find(({ kind }) => kind === "retry");
  assertMatch(retry?.message ?? "", /no answer within 700 ms/);
});

Deno.test("what was written again on a lost path is not undone late", async () => {
  const content = new Uint8Array(SIZE);
  const late = Promise.withResolvers<void>();
  let [replayed, next] = [0, 0];
  await using server = new ScriptedServer("", USUAL, async (conn, index) => {
    await conn.handshake();
    if (index === 1) {
      await conn.request();
      replayed = performance.now();
      // It answers nothing, and does not end the connection either.
      return await late.promise;
    }
    if (index === 2) next = performance.now();
    await serveBytes(conn, content, ({ offset }) => {
      if (index === 0 && offset === 1024) throw new Error("it is lost");
      return Promise.resolve(false);
    });
  });
  await using disk = await NbdDisk.connect(server.uri, {
    backOff,
    silenceMs: 100,
    fenceMs: 100,
  });
  await disk.write(pattern(100, 1), 0);
  await readBytes(disk, 1024, 10);
  await disk.write(pattern(100, 2), 0);
  const written = performance.now();
  late.resolve();
  assertEquals(content.slice(0, 100), pattern(100, 2));
  assert(next > replayed, "there was another connection");
  // The network may deliver late for five seconds.
  assert(written - replayed > 5000, `after ${written - replayed} ms`);
});
