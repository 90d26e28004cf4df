/**
 * Goal: what happens to a pool under the threads of its clients loses no
 * byte: chunks that are given back, moved, waited for; flushes, and pools
 * that take no writes. Method: real pools, real sockets; each client is one
 * that the server says has a thread.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { SyncLine } from "../../../device/leases/mod.ts";
import { FileDevice } from "../../../device/mod.ts";
import { VirstorError } from "../../../errors.ts";
import { openPool } from "../../../pool/mod.ts";
import { testNatively } from "../../helpers/native.ts";
import { type Dialect, NBD, type NbdClient } from "../../helpers/nbd_client.ts";
import { firstDifference } from "../../helpers/bytes.ts";
import {
  componentSize,
  KIB,
  pattern,
  readBytes,
  SMALL_CHUNK,
} from "../../helpers/scratch.ts";
import { assertSound, randomOf } from "../../helpers/small_pools.ts";
import { type LaneServing, lease, serveOnLanes } from "./lane_serving.ts";
import { exportOf, until } from "./serving.ts";

const { CMD_READ, CMD_WRITE, CMD_FLUSH, CMD_TRIM, CMD_WRITE_ZEROES } = NBD;
const { CMD_FLAG_FUA, CMD_FLAG_NO_HOLE, EIO, EPERM, ESHUTDOWN } = NBD;
const DIALECTS: readonly Dialect[] = ["simple", "structured", "extended"];

function assertSame(actual: Uint8Array, wanted: Uint8Array): void {
  assertEquals(actual.length, wanted.length);
  const wrong = firstDifference(actual, wanted);
  assertEquals(wrong, -1, `byte ${wrong} is wrong`);
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** A component that counts how often it is made durable, or fails to be. */
class WatchedDevice extends FileDevice {
  flushes = 0;
  isBroken = false;
  #line: SyncLine | undefined;

  override flush(): ReturnType<FileDevice["flush"]> {
    if (this.isBroken) throw new VirstorError("io", "Cannot flush: a test");
    const pending = super.flush();
    if (pending !== undefined) this.flushes++;
    return pending;
  }

  override shareSync(line: SyncLine): boolean {
    this.#line = line;
    return super.shareSync(line);
  }

  /** Lets each flush fail from now on. */
  break(): void {
    this.isBroken = true;
    this.#line?.fail();
  }
}

/** Serves a pool of one component that is watched. */
async function serveWatched(): Promise<[LaneServing, WatchedDevice]> {
  const devices: WatchedDevice[] = [];
  const serving = await serveOnLanes({
    count: 1,
    pool: {
      openDevice(path, options) {
        const device = new WatchedDevice(path, options);
        devices.push(device);
        return device;
      },
    },
  });
  const device = devices.at(-1);
  assert(device !== undefined);
  return [serving, device];
}

for (const dialect of DIALECTS) {
  testNatively(`a FLUSH covers what a thread wrote (${dialect})`, async () => {
    const [serving, device] = await serveWatched();
    await using _serving = serving;
    using client = await serving.open(dialect);
    using other = await serving.open(dialect);
    await lease(serving, client, [0]);
    await client.flush();
    const flushers = [client, other, serving.first];
    const done = () => device.flushes + serving.leased().flushes;
    for (const flusher of flushers) {
      const { flushes } = device;
      await flusher?.flush();
      assertEquals(device.flushes, flushes, "there was nothing to flush");
      const before = done();
      const { writes } = serving.leased();
      await client.write(0, pattern(100, 1));
      assertEquals(serving.leased().writes, writes + 1);
      await flusher?.flush();
      assertEquals(done(), before + 1);
    }
    assertEquals(serving.server.counters.flushes, 1 + 2 * flushers.length);
    // A write with FUA makes durable what was written before as well.
    const before = done();
    await client.write(4096, pattern(100, 1));
    await other.write(8192, pattern(10, 1), CMD_FLAG_FUA);
    assert(done() > before);
    const after = device.flushes;
    await client.flush();
    assertEquals(device.flushes, after);
  });
}

testNatively(
  "a pool that has failed refuses writes and still reads",
  async () => {
    const [serving, device] = await serveWatched();
    await using _serving = serving;
    using client = await serving.open();
    await lease(serving, client, [0]);
    await client.write(0, pattern(1000, 1));
    device.break();
    assertEquals((await client.call({ command: CMD_FLUSH })).errno, EIO);
    const { writes } = serving.leased();
    for (const length of [10, 100_000]) {
      const write = { command: CMD_WRITE, payload: new Uint8Array(length) };
      const reply = await client.call(write);
      assertEquals(reply.errno, EIO);
    }
    assertEquals(serving.leased().writes, writes);
    assertSame(await client.read(0, 1000), pattern(1000, 1));
    using other = await serving.open();
    assertSame(await other.read(0, 1000), pattern(1000, 1));
    const zeroes = { command: CMD_WRITE_ZEROES, length: 10 };
    assertEquals((await other.call(zeroes)).errno, EIO);
    await client.disconnect();
    device.isBroken = false;
  },
);

for (const dialect of DIALECTS) {
  for (const command of [CMD_TRIM, CMD_WRITE_ZEROES]) {
    const what = command === CMD_TRIM ? "TRIM" : "WRITE_ZEROES";
    testNatively(
      `after a ${what} no client reads old bytes (${dialect})`,
      async () => {
        await using serving = await serveOnLanes({ chunks: 4 });
        using writer = await serving.open(dialect);
        using reader = await serving.open(dialect);
        const zeroes = new Uint8Array(4096);
        for (let round = 0; round < 15; round++) {
          // The four chunks are used again and again, each time by another.
          const at = round * SMALL_CHUNK;
          await lease(serving, writer, [at]);
          await writer.write(at, pattern(SMALL_CHUNK, round));
          await lease(serving, reader, [at + SMALL_CHUNK - 1]);
          assertSame(await reader.read(at, 100), pattern(100, round));
          const erase = { command, offset: at, length: SMALL_CHUNK };
          assertEquals((await writer.call(erase)).errno, 0);
          assertSame(await reader.read(at, 4096), zeroes);
          assertSame(await writer.read(at, 4096), zeroes);
          const next = at + SMALL_CHUNK;
          await reader.write(next + 8192, pattern(10, round));
          assertSame(await reader.read(next, 4096), zeroes);
          assertSame(await writer.read(at, 4096), zeroes);
        }
      },
    );
  }
}

testNatively(
  "reads beside TRIMs are old bytes or zeroes, never others",
  async () => {
    await using serving = await serveOnLanes({ chunks: 6 });
    using writer = await serving.open();
    using reader = await serving.open();
    let isDone = false;
    let zeroed = 0;
    const reading = (async () => {
      for (let i = 0; !isDone; i++) {
        const chunk = i % 4;
        const bytes = await reader.read(chunk * SMALL_CHUNK + 4096, 8192);
        const [value = 0] = bytes;
        // A chunk holds its own number, or nothing.
        assert(
          value === 0 || value === chunk + 1,
          `chunk ${chunk} has ${value}`,
        );
        const other = bytes.findIndex((byte) =>
          byte !== 0 && byte !== chunk + 1
        );
        assertEquals(other, -1);
        if (value === 0) zeroed++;
      }
    })();
    for (let round = 0; round < 400; round++) {
      const chunk = (round * 7) % 4;
      const offset = chunk * SMALL_CHUNK;
      const payload = new Uint8Array(SMALL_CHUNK).fill(chunk + 1);
      await writer.write(offset, payload);
      const flags = round % 3 === 0 ? CMD_FLAG_NO_HOLE : 0;
      const [command, how] = round % 2 === 0
        ? [CMD_TRIM, 0]
        : [CMD_WRITE_ZEROES, flags];
      const reply = await writer.call({
        command,
        offset,
        length: SMALL_CHUNK,
        flags: how,
      });
      assertEquals(reply.errno, 0);
    }
    isDone = true;
    await reading;
    assert(zeroed > 0);
  },
);

/** Writes and reads chunks of its own until the test stops it. */
async function exercise(
  client: NbdClient,
  chunks: readonly number[],
  seed: number,
  isDone: () => boolean,
): Promise<Map<number, Uint8Array>> {
  const random = randomOf(seed);
  const below = (end: number) => Math.floor(random() * end);
  const content = new Map(chunks.map((v) => [v, new Uint8Array(SMALL_CHUNK)]));
  for (const v of chunks) {
    await client.write(v * SMALL_CHUNK, new Uint8Array(SMALL_CHUNK));
  }
  for (let i = 0; !isDone(); i++) {
    const v = chunks[below(chunks.length)] ?? 0;
    const bytes = content.get(v) ?? new Uint8Array();
    const length = 1 + below(below(4) === 0 ? SMALL_CHUNK : 4096);
    const within = below(SMALL_CHUNK - length + 1);
    const offset = v * SMALL_CHUNK + within;
    const what = below(20);
    if (what < 12) {
      const payload = pattern(length, i);
      await client.write(offset, payload);
      bytes.set(payload, within);
    } else if (what === 12) {
      const command = CMD_WRITE_ZEROES;
      assertEquals((await client.call({ command, offset, length })).errno, 0);
      bytes.fill(0, within, within + length);
    } else if (what === 13) {
      const erase = {
        command: CMD_TRIM,
        offset: v * SMALL_CHUNK,
        length: SMALL_CHUNK,
      };
      assertEquals((await client.call(erase)).errno, 0);
      bytes.fill(0);
    } else if (what === 14) {
      await client.flush();
    } else {
      const wanted = bytes.subarray(within, within + length);
      assertSame(await client.read(offset, length), wanted);
    }
  }
  return content;
}

testNatively("components come and go while threads write", async () => {
  await using serving = await serveOnLanes({ count: 2, chunks: 80 });
  const { pool, paths } = serving;
  const clients = [await serving.open(), await serving.open("extended")];
  const all = Array.from({ length: 24 }, (_, i) => i);
  let isDone = false;
  const working = Promise.all(
    clients.map((client, i) =>
      exercise(client, all.filter((v) => v % 2 === i), i, () => isDone)
    ),
  );
  const failed = working.then(() => {}, (error) => {
    isDone = true;
    throw error;
  });
  const members = [...paths];
  const moves = (async () => {
    for (let i = 0; i < 6 && !isDone; i++) {
      const added = serving.file(`more${i}`);
      const createSize = componentSize("native", 80);
      await pool.add([added], { createSize });
      members.push(added);
      const [leaving = ""] = members.splice(0, 1);
      const options = { bytesPerSecond: 20 * SMALL_CHUNK };
      // Some are moved slowly, so that many writes meet them on their way.
      await pool.remove([leaving], i % 2 === 0 ? options : {});
      await until("moved", () => {
        return isDone || pool.status().evacuation === null;
      });
    }
    isDone = true;
  })();
  await Promise.all([failed, moves]);
  for (const content of await working) {
    for (const [v, bytes] of content) {
      assertSame(
        await readBytes(pool.volume(), v * SMALL_CHUNK, SMALL_CHUNK),
        bytes,
      );
    }
  }
  assert(serving.leased().writes > 0);
  for (const client of clients) await client.disconnect();
  await serving.server.close();
  await pool.close();
  await assertSound("native", members);
  await using again = await openPool(members);
  for (const content of await working) {
    for (const [v, bytes] of content) {
      assertSame(
        await readBytes(again.volume(), v * SMALL_CHUNK, SMALL_CHUNK),
        bytes,
      );
    }
  }
});

for (const dialect of DIALECTS) {
  testNatively(
    `a full pool holds up only what must wait (${dialect})`,
    async () => {
      await using serving = await serveOnLanes({ count: 1, chunks: 4 });
      using client = await serving.open(dialect);
      const offsets = [0, 1, 2, 3].map((i) => i * SMALL_CHUNK);
      await lease(serving, client, offsets);
      const beyond = 4 * SMALL_CHUNK;
      // One that is whole, and one that is handed over in its middle.
      const small = { command: CMD_WRITE, offset: beyond + 10 * SMALL_CHUNK };
      const long = pattern(3 * SMALL_CHUNK, 5);
      const delayed = await client.sendAll([
        { ...small, payload: pattern(5000, 4) },
        { command: CMD_WRITE, offset: beyond - SMALL_CHUNK, payload: long },
      ]);
      for (let i = 0; i < 50; i++) {
        const offset = offsets[i % 3] ?? 0;
        await client.write(offset, pattern(3000, i));
        assertSame(await client.read(offset, 3000), pattern(3000, i));
      }
      await client.flush();
      assert(serving.pool.status().delayed.count >= 2);
      using other = await serving.open(dialect);
      await other.write(9000, pattern(100, 1));
      assertSame(await client.read(9000, 100), pattern(100, 1));
      const createSize = componentSize("native", 10);
      await serving.pool.add([serving.file("more")], { createSize });
      const replies = await client.receiveAll(2);
      assertEquals(delayed.map((cookie) => replies.get(cookie)?.errno), [0, 0]);
      assertSame(await other.read(small.offset, 5000), pattern(5000, 4));
      assertSame(await other.read(beyond - SMALL_CHUNK, long.length), long);
    },
  );
}

testNatively(
  "a client that leaves takes its delayed writes along",
  async () => {
    await using serving = await serveOnLanes({ count: 1, chunks: 2 });
    using client = await serving.open();
    using other = await serving.open();
    await lease(serving, client, [0, SMALL_CHUNK]);
    const payload = pattern(5000, 1);
    for (let i = 2; i < 6; i++) {
      await client.send({
        command: CMD_WRITE,
        offset: i * SMALL_CHUNK,
        payload,
      });
    }
    await until("4 wait", () => serving.pool.status().delayed.count === 4);
    client.close();
    await until("none waits", () => serving.pool.status().delayed.count === 0);
    await until("it has left", () => serving.server.clients.length === 2);
    await other.write(0, payload);
    assertSame(await other.read(0, 5000), payload);
    const at = 2 * SMALL_CHUNK;
    assertSame(await other.read(at, 5000), new Uint8Array(5000));
  },
);

testNatively(
  "a client that sends more than is taken loses nothing",
  async () => {
    // What is delayed is little, so that the thread has to wait, too.
    await using serving = await serveOnLanes({
      count: 1,
      chunks: 2,
      pool: { maxDelayedBytes: 64 * KIB },
    });
    using client = await serving.open();
    await lease(serving, client, [0]);
    const requests = Array.from({ length: 60 }, (_, i) => ({
      command: CMD_WRITE,
      offset: (i + 2) * SMALL_CHUNK,
      payload: pattern(40_000, i),
    }));
    const replying = client.receiveAll(requests.length);
    const sending = client.sendAll(requests);
    await until("some wait", () => serving.pool.status().delayed.count > 0);
    await pause(50);
    const createSize = componentSize("native", 70);
    await serving.pool.add([serving.file("more")], { createSize });
    await sending;
    for (const { errno } of (await replying).values()) assertEquals(errno, 0);
    for (const { offset, payload } of requests) {
      assertSame(await client.read(offset, payload.length), payload);
    }
  },
);

testNatively("a pool is closed under threads that are at work", async () => {
  await using serving = await serveOnLanes();
  const clients = [await serving.open(), await serving.open("extended")];
  const answered = [0, 0];
  const working = clients.map(async (client, i) => {
    const offset = i * SMALL_CHUNK;
    for (let k = 0;; k++) {
      const payload = pattern(20_000, k);
      const { errno } = await client.call({
        command: CMD_WRITE,
        offset,
        payload,
      });
      if (errno === ESHUTDOWN) return k - 1;
      assertEquals(errno, 0);
      answered[i] = k;
    }
  });
  await until("they are at work", () => answered.every((k) => k > 100));
  assert(serving.leased().writes > 0);
  await serving.pool.close();
  const last = await Promise.all(working);
  for (const client of clients) {
    const read = { command: CMD_READ, length: 10 };
    assertEquals((await client.call(read)).errno, ESHUTDOWN);
    await client.disconnect();
  }
  await using again = await openPool(serving.paths);
  for (const [i, k] of last.entries()) {
    const bytes = await readBytes(again.volume(), i * SMALL_CHUNK, 20_000);
    assertSame(bytes, pattern(20_000, k));
  }
});

for (const which of ["export", "pool"]) {
  testNatively(`no writes where the ${which} is read-only`, async () => {
    await using serving = await serveOnLanes({ count: 1 });
    await serving.first?.write(0, pattern(200_000, 1));
    let { pool } = serving;
    if (which === "pool") {
      await pool.close();
      pool = await openPool(serving.paths, { readOnly: true });
    }
    await using _pool = pool;
    const readOnly = which === "export";
    await using second = await serveOnLanes({
      threads: 4,
      exports: [exportOf(pool.volume(), { readOnly })],
    });
    for (const dialect of DIALECTS) {
      using client = await second.open(dialect);
      for (const length of [10, 100_000]) {
        assertSame(await client.read(0, length), pattern(length, 1));
        for (const flags of [0, CMD_FLAG_FUA]) {
          const payload = new Uint8Array(length);
          const write = { command: CMD_WRITE, payload, flags };
          assertEquals((await client.call(write)).errno, EPERM);
        }
      }
      for (const command of [CMD_TRIM, CMD_WRITE_ZEROES]) {
        const erase = { command, length: SMALL_CHUNK };
        assertEquals((await client.call(erase)).errno, EPERM);
      }
      const read = { command: CMD_READ, length: 100_000 };
      assertSame((await client.call(read)).payload, pattern(100_000, 1));
      await client.disconnect();
      await until("it has left", () => second.server.clients.length === 1);
    }
    await second.server.close();
  });
}
