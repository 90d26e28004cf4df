/**
 * A far side that is away: requests stall or fail as configured, another
 * path takes over, nothing that is late does harm.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { VirstorError } from "../../errors.ts";
import {
  NbdDisk,
  type NbdDiskEvent,
  type NbdDiskOptions,
} from "../../nbd/client/mod.ts";
import { NBD } from "../helpers/nbd_messages.ts";
import { eventually, PATIENCE_MS } from "../helpers/patience.ts";
import { peerTest } from "../helpers/peers.ts";
import { makeScratch, pattern, readBytes } from "../helpers/scratch.ts";
import { FarServer } from "./peers.ts";
import {
  type ScriptedConnection,
  ScriptedServer,
  serveBytes,
  USUAL_FLAGS,
} from "./scripted_server.ts";

const SIZE = 65_536;
const USUAL = { size: SIZE, flags: USUAL_FLAGS };
const QUICK: NbdDiskOptions = { backOff: { firstMs: 1, mostMs: 10 } };

/** Serves some bytes, until the test stops it. */
class LeavingServer implements AsyncDisposable {
  readonly content: Uint8Array;
  readonly #path: string;
  #server: ScriptedServer | undefined;

  constructor(path: string, content: Uint8Array) {
    this.#path = path;
    this.content = content;
    this.start();
  }

  get uri(): string {
    return `nbd+unix:///disk?socket=${this.#path}`;
  }

  start(): void {
    this.#server = new ScriptedServer(this.#path, USUAL, async (conn) => {
      await conn.handshake();
      await serveBytes(conn, this.content);
    });
  }

  /** Ends all connections, and accepts no other. */
  async leave(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#server = undefined;
    await Deno.remove(this.#path).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }
}

Deno.test("requests stall while the far side is away, and go on", async () => {
  await using scratch = await makeScratch();
  await using far = new LeavingServer(scratch.file("s"), pattern(SIZE, 1));
  await using disk = await NbdDisk.connect(far.uri, QUICK);
  await far.leave();
  const reading = readBytes(disk, 100, 50);
  const writing = disk.write(pattern(100, 2), 1000);
  await eventually(
    "it tries",
    () => /connect to/.test(disk.status().lastError),
  );
  assertEquals(disk.status().state, "connecting");
  assertEquals(disk.status().freezes, { connecting: 1 });
  assertEquals(disk.status().queued, 2);
  far.start();
  assertEquals(await reading, pattern(SIZE, 1).slice(100, 150));
  await writing;
  assertEquals(far.content.slice(1000, 1100), pattern(100, 2));
  assertEquals(disk.status().state, "connected");
});

Deno.test("stalled requests fail after the timeout, until there is a connection", async () => {
  await using scratch = await makeScratch();
  await using far = new LeavingServer(scratch.file("s"), pattern(SIZE, 1));
  await using disk = await NbdDisk.connect(far.uri, {
    ...QUICK,
    stallTimeoutMs: 30,
  });
  // Acknowledged, and so written again later.
  await disk.write(pattern(100, 2), 1000);
  far.content.fill(0, 1000, 1100);
  await far.leave();
  const { code, message } = await assertRejects(
    async () => await disk.read(new Uint8Array(1), 0),
    VirstorError,
  );
  assertEquals(code, "io");
  assertMatch(message, /^Cannot reach ".*" within the stall timeout: Cannot /);
  await assertRejects(async () => await disk.write(new Uint8Array(1), 0));
  await assertRejects(async () => await disk.flush());
  far.start();
  await eventually("it is back", () => disk.status().state === "connected");
  await disk.flush();
  assertEquals(far.content.slice(1000, 1100), pattern(100, 2));
});

Deno.test("requests fail at once if so configured", async () => {
  await using scratch = await makeScratch();
  await using far = new LeavingServer(scratch.file("s"), pattern(SIZE, 1));
  await using disk = await NbdDisk.connect(far.uri, {
    ...QUICK,
    whileAway: "fail",
  });
  await far.leave();
  await eventually("it notices", () => disk.status().state === "connecting");
  const read = async () => await disk.read(new Uint8Array(1), 0);
  await assertRejects(read, VirstorError, "Cannot reach");
  far.start();
  await eventually("it is back", () => disk.status().state === "connected");
  await read();
});

Deno.test("a stalled write can be cancelled", async () => {
  await using scratch = await makeScratch();
  await using far = new LeavingServer(scratch.file("s"), pattern(SIZE, 1));
  await using disk = await NbdDisk.connect(far.uri, QUICK);
  await far.leave();
  await eventually("it notices", () => disk.status().state === "connecting");
  const giveUp = new AbortController();
  const writing = disk.write(pattern(100, 2), 0, { signal: giveUp.signal });
  const later = disk.write(pattern(100, 3), 50);
  await eventually("it waits", () => disk.status().queued === 1);
  giveUp.abort();
  const { code } = await assertRejects(async () => await writing, VirstorError);
  assertEquals(code, "cancelled");
  far.start();
  // The later one overlaps, and had waited for the first.
  await later;
  assertEquals(far.content.slice(0, 50), pattern(SIZE, 1).slice(0, 50));
  assertEquals(far.content.slice(50, 150), pattern(100, 3));
});

Deno.test("a server that is not there yet is waited for, if so configured", async () => {
  await using scratch = await makeScratch();
  const uri = `nbd+unix:///disk?socket=${scratch.file("s")}`;
  await assertRejects(
    () => NbdDisk.connect(uri),
    VirstorError,
    "no such socket",
  );
  const { promise: tried, resolve } = Promise.withResolvers<void>();
  const connecting = NbdDisk.connect(uri, {
    ...QUICK,
    openTimeoutMs: PATIENCE_MS,
    onEvent: ({ kind }) => kind === "retry" && resolve(),
  });
  await tried;
  await using far = new LeavingServer(scratch.file("s"), pattern(SIZE, 1));
  await using disk = await connecting;
  assertEquals(disk.size, far.content.length);
});

peerTest(
  "another path takes over from one that is silent",
  ["nbdkit"],
  async () => {
    await using scratch = await makeScratch();
    const image = scratch.file("image");
    await Deno.writeFile(image, pattern(SIZE, 1));
    await using a = await FarServer.nbdkit(scratch.file("a"), ["file", image]);
    await using b = await FarServer.nbdkit(scratch.file("b"), ["file", image]);
    await using disk = await NbdDisk.connect([a.uri, b.uri], {
      openTimeoutMs: PATIENCE_MS,
      // A server that lives may be late, on a busy machine.
      silenceMs: 2000,
    });
    await disk.write(pattern(100, 2), 0);
    assertEquals(disk.status().path, a.uri);
    await a.freeze();
    await disk.write(pattern(100, 3), 1000);
    assertEquals(disk.status().path, b.uri);
    assertMatch(disk.status().lastError, /silent/);
    await disk.flush();
    const content = await Deno.readFile(image);
    assertEquals(content.slice(0, 100), pattern(100, 2));
    assertEquals(content.slice(1000, 1100), pattern(100, 3));
  },
);

Deno.test("a slow request is not silence, if others are answered", async () => {
  await using scratch = await makeScratch();
  const content = pattern(SIZE, 1);
  const events: NbdDiskEvent[] = [];
  const { promise: slow, resolve: goOn } = Promise.withResolvers<void>();
  let probes = 0;
  await using server = new ScriptedServer(
    scratch.file("s"),
    USUAL,
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, content, ({ command, cookie }) => {
        if (command === NBD.CMD_READ) {
          probes += 1;
          if (probes === 3) goOn();
        }
        if (command !== NBD.CMD_FLUSH) return Promise.resolve(false);
        slow.then(() => conn.simple(cookie));
        return Promise.resolve(true);
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri, {
    silenceMs: 40,
    onEvent: (event) => events.push(event),
  });
  await disk.write(pattern(100, 1), 0);
  await disk.flush();
  assert(probes >= 3);
  assertEquals(events.map(({ kind }) => kind), ["connected"]);
});

Deno.test("a lost connection cannot write late, when later writes are done", async () => {
  await using scratch = await makeScratch();
  const content = new Uint8Array(SIZE);
  let lateDone = false;
  const executeLate = async (conn: ScriptedConnection) => {
    const { payload, offset } = await conn.request();
    // No answer, to the probe either, until the client gives up.
    while ((await conn.receive(1).catch(() => undefined)) !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    content.set(payload, offset);
    lateDone = true;
  };
  await using server = new ScriptedServer(
    scratch.file("s"),
    USUAL,
    async (conn, index) => {
      await conn.handshake();
      if (index === 0) return await executeLate(conn);
      await serveBytes(conn, content);
    },
  );
  await using disk = await NbdDisk.connect(server.uri, {
    ...QUICK,
    silenceMs: 50,
    fenceMs: PATIENCE_MS,
  });
  const first = disk.write(pattern(100, 1), 0);
  const second = disk.write(pattern(100, 2), 0);
  await first;
  assert(lateDone, "the old connection had ended before");
  await second;
  assertEquals(content.slice(0, 100), pattern(100, 2));
});

Deno.test("ESHUTDOWN sends a request to the next connection", async () => {
  await using scratch = await makeScratch();
  const content = pattern(SIZE, 1);
  await using server = new ScriptedServer(
    scratch.file("s"),
    USUAL,
    async (conn, index) => {
      await conn.handshake();
      await serveBytes(conn, content, async ({ cookie }) => {
        if (index === 0) await conn.simple(cookie, NBD.ESHUTDOWN);
        return index === 0;
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri, QUICK);
  assertEquals(await readBytes(disk, 0, 100), content.slice(0, 100));
  assertMatch(disk.status().lastError, /ESHUTDOWN/);
  assertEquals(disk.status().reconnects, 1);
});

Deno.test("a suspended disk sends nothing, and a busy one is not suspended", async () => {
  await using scratch = await makeScratch();
  const content = pattern(SIZE, 1);
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  let reads = 0;
  await using server = new ScriptedServer(
    scratch.file("s"),
    USUAL,
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, content, async ({ command }) => {
        if (command === NBD.CMD_FLUSH) await answered;
        else reads += 1;
        return false;
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri);
  await disk.suspend();
  const reading = readBytes(disk, 0, 10);
  assertEquals(disk.status().state, "suspended");
  assertEquals(disk.status().freezes, { suspended: 1 });
  assertEquals([disk.status().queued, reads], [1, 0]);
  disk.resume();
  assertEquals(await reading, content.slice(0, 10));

  const flushing = disk.flush();
  await eventually("it is in flight", () => disk.status().inFlight === 1);
  const { code } = await assertRejects(() => disk.suspend(5), VirstorError);
  assertEquals(code, "busy");
  assertEquals(disk.status().state, "connected");
  answer();
  await flushing;
  await disk.suspend();
  disk.resume();
});

Deno.test("what is kept is bounded: a flush makes room", async () => {
  await using scratch = await makeScratch();
  const content = new Uint8Array(SIZE);
  let [flushes, most, short] = [0, 0, 0];
  await using server = new ScriptedServer(
    scratch.file("s"),
    USUAL,
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, content, ({ command }) => {
        if (command === NBD.CMD_FLUSH) flushes += 1;
        const { unflushedBytes, freezes: { shortage = 0 } } = disk.status();
        most = Math.max(most, unflushedBytes);
        short = Math.max(short, shortage);
        return Promise.resolve(false);
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri, {
    unflushedBytes: 10_000,
  });
  await Promise.all(
    Array.from(
      { length: 32 },
      (_, i) => disk.write(pattern(2000, i), i * 2000),
    ),
  );
  assert(flushes > 3, `${flushes}`);
  assert(most <= 10_000, `${most}`);
  assert(short > 0, "writes that wait for room count as a shortage");
  for (let i = 0; i < 32; i++) {
    assertEquals(content.slice(i * 2000, (i + 1) * 2000), pattern(2000, i));
  }
  // More than fits at all.
  await disk.write(pattern(40_000, 77), 0);
  assertEquals(content.slice(0, 40_000), pattern(40_000, 77));
});

Deno.test("writes that wait for room fail with the flush that should make it", async () => {
  await using scratch = await makeScratch();
  const content = new Uint8Array(SIZE);
  let fails = true;
  await using server = new ScriptedServer(
    scratch.file("s"),
    USUAL,
    async (conn) => {
      await conn.handshake();
      await serveBytes(conn, content, async ({ command, cookie }) => {
        if (command !== NBD.CMD_FLUSH || !fails) return false;
        await conn.simple(cookie, NBD.ENOSPC);
        return true;
      });
    },
  );
  await using disk = await NbdDisk.connect(server.uri, {
    ...QUICK,
    unflushedBytes: 5000,
  });
  const writes = Array.from(
    { length: 8 },
    (_, i) => disk.write(pattern(2000, i), i * 2000) as Promise<void>,
  );
  const results = await Promise.allSettled(writes);
  const failed = results.filter(({ status }) => status === "rejected");
  assert(failed.length > 0);
  fails = false;
  await disk.write(pattern(2000, 9), 0);
  await disk.flush();
  assertEquals(content.slice(0, 2000), pattern(2000, 9));
});

Deno.test("no password of a URI is ever shown", async () => {
  await using scratch = await makeScratch();
  const events: NbdDiskEvent[] = [];
  const options = {
    ...QUICK,
    onEvent: (event: NbdDiskEvent) => events.push(event),
  };
  const uri = "nbd://user:s3cret@localhost:1/disk";
  const error = await assertRejects(
    () => NbdDisk.connect(uri, options),
    VirstorError,
  );
  const bad = "nbd://user:s3cret@localhost:99999/disk";
  const refused = await assertRejects(() => NbdDisk.connect(bad), VirstorError);
  const told = Deno.inspect([error, refused, events], { depth: 10 });
  assertMatch(told, /user:\*\*\*@localhost/);
  assert(!told.includes("s3cret"));
  assert(scratch.path !== "");
});
