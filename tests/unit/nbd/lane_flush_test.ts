/**
 * Goal: the flush of a client that waits for nothing else is carried out by its
 * lane, and promises what any other does: all writes that were completed before
 * are durable, and a failure is for good. A disk that hangs holds up that
 * client only. Method: real pools, real sockets; lanes whose reports are late,
 * and files that are deleted under the pool.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FileDevice } from "../../../device/mod.ts";
import { testNatively } from "../../helpers/native.ts";
import { NBD, type NbdClient } from "../../helpers/nbd_client.ts";
import { pattern, SMALL_CHUNK } from "../../helpers/scratch.ts";
import {
  type LaneServeOptions,
  type LaneServing,
  lease,
  serveOnLanes,
} from "./lane_serving.ts";
import { until } from "./serving.ts";

const { CMD_FLUSH, CMD_READ, CMD_WRITE, EIO, ESHUTDOWN } = NBD;
const LATE = new URL("./late_lane_thread.ts", import.meta.url);
const FAILING = new URL("./failing_lane_thread.ts", import.meta.url);

/** A component that tells of the flushes of the event loop. */
class WatchedDevice extends FileDevice {
  /** How many there were. */
  asked = 0;

  override flush(): ReturnType<FileDevice["flush"]> {
    this.asked++;
    return super.flush();
  }
}

/** Serves a pool whose components are watched. */
async function serveWatched(
  options: LaneServeOptions = {},
): Promise<[LaneServing, WatchedDevice[]]> {
  const devices: WatchedDevice[] = [];
  const serving = await serveOnLanes({
    ...options,
    pool: {
      openDevice(path, options) {
        const device = new WatchedDevice(path, options);
        devices.push(device);
        return device;
      },
    },
  });
  return [serving, devices.slice(-(options.count ?? 2))];
}

/** Writes and flushes until a thread has carried a flush out. */
async function flushOnLane(
  client: NbdClient,
  serving: LaneServing,
): Promise<void> {
  const { flushes } = serving.leased();
  // A disk that is slow for once is left alone for a while.
  for (let i = 0; serving.leased().flushes === flushes; i++) {
    assert(i < 5000, "no lane flushes");
    await client.write(0, pattern(100, i));
    await client.flush();
  }
}

for (const count of [1, 2, 3]) {
  testNatively(`a lane flushes ${count} components`, async () => {
    const [serving, devices] = await serveWatched({ count });
    await using _serving = serving;
    using client = await serving.open();
    const offsets = Array.from(
      { length: 3 * count },
      (_, i) => i * SMALL_CHUNK,
    );
    await lease(serving, client, offsets);
    await flushOnLane(client, serving);
    const asked = () => devices.reduce((sum, { asked }) => sum + asked, 0);
    const before = asked();
    const { flushes } = serving.server.counters;
    const of = serving.pool.status().counters.flushes;
    for (const offset of offsets) await client.write(offset, pattern(100, 1));
    await client.flush();
    await until(
      "it is counted",
      () => serving.server.counters.flushes === flushes + 1,
    );
    assertEquals(serving.pool.status().counters.flushes, of + 1);
    // Unless it was the turn of the event loop after a slow flush.
    assert(asked() === before || asked() === before + count);
  });
}

testNatively("a flush covers first writes of all connections", async () => {
  const [serving, [device]] = await serveWatched({ count: 1 });
  await using _serving = serving;
  using client = await serving.open();
  using other = await serving.open();
  assert(device !== undefined);
  for (let i = 0; i < 8; i++) {
    await other.write(i * SMALL_CHUNK, pattern(100, i));
    await serving.first?.write(i * SMALL_CHUNK + 5000, pattern(100, i));
    const before = device.asked;
    await client.flush();
    // The event loop has written down where the chunks are.
    assert(device.asked > before, "the event loop had something to flush");
  }
});

testNatively(
  "a lane's flush of a file that was deleted fails for good",
  async () => {
    const [serving] = await serveWatched({ count: 1 });
    await using _serving = serving;
    using client = await serving.open();
    using other = await serving.open();
    await lease(serving, client, [0, SMALL_CHUNK]);
    await flushOnLane(client, serving);
    await client.write(0, pattern(100, 7));
    const [path = ""] = serving.paths;
    await Deno.rename(path, `${path}.away`);
    await Deno.remove(`${path}.away`);
    for (const one of [client, other, serving.first, client]) {
      assertEquals((await one?.call({ command: CMD_FLUSH }))?.errno, EIO);
      const write = { command: CMD_WRITE, payload: pattern(10, 1) };
      assertEquals((await one?.call(write))?.errno, EIO);
    }
    assertEquals(serving.pool.status().state, "failed");
    assertEquals(await client.read(0, 100), pattern(100, 7));
    // It cannot be closed cleanly.
    await serving.server.close({ graceMs: 0 });
    await serving.pool.close().catch(() => {});
  },
);

testNatively("flushes of all clients at once cover their writes", async () => {
  const [serving] = await serveWatched({ count: 2 });
  await using _serving = serving;
  using client = await serving.open();
  using other = await serving.open();
  await lease(serving, client, [0, SMALL_CHUNK]);
  const clients = [client, other, serving.first];
  const { flushes } = serving.server.counters;
  await Promise.all(clients.map(async (one, i) => {
    for (let j = 0; j < 100; j++) {
      await one?.write(i * 4096, pattern(100, i + j));
      await one?.flush();
    }
  }));
  await until(
    "all are counted",
    () => serving.server.counters.flushes === flushes + 300,
  );
});

testNatively(
  "a thread that fails in its flush fails the flush, and stops writes",
  async () => {
    const [serving] = await serveWatched({
      count: 1,
      threadModule: FAILING,
    });
    await using _serving = serving;
    const panics: unknown[] = [];
    const finished = serving.server.finished.catch((error) =>
      panics.push(error)
    );
    using client = await serving.open();
    await lease(serving, client, [0]);
    await client.flush().catch(() => {});
    await flushOnLane(client, serving).catch(() => {});
    await until("the thread has failed", () => panics.length > 0);
    // Whether the data are durable is not known.
    await assertRejects(async () => await serving.pool.volume().flush());
    assertEquals(serving.pool.status().state, "failed");
    await finished;
    await serving.pool.close().catch(() => {});
  },
);

testNatively("a server that stops answers a lane's flush", async () => {
  const [serving] = await serveWatched({ count: 1, threadModule: LATE });
  await using _serving = serving;
  using client = await serving.open();
  await client.write(0, pattern(10, 1));
  const flushing = client.call({ command: CMD_FLUSH });
  const closing = serving.server.close({ graceMs: 60_000 });
  const { errno } = await flushing;
  assert(errno === 0 || errno === ESHUTDOWN, `errno ${errno}`);
  assertEquals(await client.receiveEnd(), 0);
  await closing;
});

testNatively("one flush of a lane answers all that have come", async () => {
  const [serving] = await serveWatched({ count: 1 });
  await using _serving = serving;
  using client = await serving.open();
  await client.write(0, pattern(10, 1));
  await flushOnLane(client, serving);
  const { flushes } = serving.pool.status().counters;
  const served = serving.server.counters.flushes;
  for (let i = 0; i < 20; i++) {
    await client.write(0, pattern(100, i));
    const requests = Array.from({ length: 10 }, () => ({ command: CMD_FLUSH }));
    const cookies = await client.sendAll(requests);
    const replies = await client.receiveAll(cookies.length);
    assertEquals(replies.size, 10);
    for (const { errno } of replies.values()) assertEquals(errno, 0);
  }
  const { counters } = serving.pool.status();
  assert(counters.flushes - flushes < 200, "they share flushes");
  await until(
    "each request is counted",
    () => serving.server.counters.flushes >= served + 200,
  );
});

testNatively("flushes amid other requests are answered, too", async () => {
  const [serving] = await serveWatched();
  await using _serving = serving;
  using client = await serving.open("structured");
  await lease(serving, client, [0]);
  const requests = Array.from({ length: 60 }, (_, i) =>
    [
      { command: CMD_FLUSH },
      { command: CMD_READ, length: 3000 },
      { command: CMD_WRITE, offset: i * 5000, payload: pattern(5000, i) },
    ][i % 3] ?? { command: CMD_FLUSH });
  const cookies = await client.sendAll(requests);
  const replies = await client.receiveAll(cookies.length);
  for (const { errno } of replies.values()) assertEquals(errno, 0);
  for (let i = 2; i < 60; i += 3) {
    assertEquals(await client.read(i * 5000, 5000), pattern(5000, i));
  }
  await until("all are counted", () => serving.server.counters.flushes === 20);
});
