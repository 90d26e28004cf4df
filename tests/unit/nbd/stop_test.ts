/**
 * Goal: a server that stops answers every request that has come, wherever it
 * is: in the system, in a thread, on the way from a thread, in a buffer; half
 * of it, too; and does not wait for clients that have sent nothing. Method:
 * real sockets and clients; threads whose reports arrive late.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { testNatively } from "../../helpers/native.ts";
import {
  encodeRequest,
  NBD,
  type NbdClient,
  type RawReply,
} from "../../helpers/nbd_client.ts";
import { pattern, SMALL_CHUNK } from "../../helpers/scratch.ts";
import { tls, TlsClient } from "../../helpers/tls_client.ts";
import {
  type LaneServeOptions,
  type LaneServing,
  lease,
  serveOnLanes,
} from "./lane_serving.ts";
import { serve } from "./serving.ts";

const { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, ESHUTDOWN } = NBD;
const LATE = new URL("./late_lane_thread.ts", import.meta.url);
/** Long enough for several looks of a server that stops, milliseconds. */
const WHILE = 400;
/** More than a test waits for, milliseconds. */
const LONG = 480_000;

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** What stops, and one client of it. */
interface Stopping extends AsyncDisposable {
  readonly server: LaneServing["server"];
  readonly client: NbdClient;
}

async function onLanes(
  options: LaneServeOptions & { onLoop?: boolean } = {},
): Promise<Stopping> {
  const { onLoop = false } = options;
  const serving = await serveOnLanes({
    ...options,
    ...onLoop && { threads: 0, isEmpty: true },
  });
  const client = onLoop
    ? (await serving.openAny()).client
    : await serving.open();
  if (onLoop) await client.write(0, pattern(100_000, 1));
  else await lease(serving, client, [0]);
  return {
    server: serving.server,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      await serving[Symbol.asyncDispose]();
    },
  };
}

async function onPlain(encrypted: boolean): Promise<Stopping> {
  const serving = await serve(encrypted ? { tls: tls() } : {});
  const client = encrypted
    ? await TlsClient.encrypted(serving.address)
    : await serving.open();
  if (encrypted) await client.go("disk");
  return {
    server: serving.server,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      await serving[Symbol.asyncDispose]();
    },
  };
}

/** How a client may be served. */
const WAYS: Readonly<Record<string, () => Promise<Stopping>>> = {
  "a thread": () => onLanes(),
  "a thread, TCP": () => onLanes({ tcp: true }),
  "a thread whose reports are late": () => onLanes({ threadModule: LATE }),
  "the event loop": () => onLanes({ onLoop: true }),
  "the event loop, TCP": () => onLanes({ onLoop: true, tcp: true }),
  "the runtime": () => onPlain(false),
  "TLS": () => onPlain(true),
};

function assertRefusedOrDone(replies: Iterable<RawReply>): void {
  for (const { errno } of replies) {
    assert(errno === 0 || errno === ESHUTDOWN, `errno ${errno}`);
  }
}

for (const [way, start] of Object.entries(WAYS)) {
  const test = (name: string, body: (stopping: Stopping) => Promise<void>) =>
    testNatively(`${name} (${way})`, async () => {
      await using stopping = await start();
      await body(stopping);
    });

  // A client that encrypts reads ahead here, so nothing stays on the way.
  const testStuck = way === "TLS" ? () => {} : test;
  testStuck("a stop answers what is not received yet", async (stopping) => {
    const { server, client } = stopping;
    const payload = pattern(60_000, 1);
    const requests = [
      ...Array(80).fill({ command: CMD_READ, length: 100_000 }),
      ...Array(40).fill({ command: CMD_WRITE, payload }),
      { command: CMD_FLUSH },
    ];
    // Unread replies come first, so most of it stays on the way.
    const sending = client.sendAll(requests);
    for (let reads = -1; reads !== server.counters.reads;) {
      reads = server.counters.reads;
      await pause(200);
    }
    assertEquals(server.counters.flushes, 0);
    const closing = server.close({ graceMs: LONG });
    await pause(WHILE);
    const replies = [...(await client.receiveAll(requests.length)).values()];
    await sending;
    assertRefusedOrDone(replies);
    assertEquals(replies.at(-1)?.errno, ESHUTDOWN);
    assertEquals(await client.receiveEnd(), 0);
    await closing;
  });

  test("a stop answers what comes in pieces", async (stopping) => {
    const { server, client } = stopping;
    const payload = pattern(3000, 1);
    const bytes = encodeRequest({ command: CMD_WRITE, payload, cookie: 5n });
    await client.sendRaw(bytes.subarray(0, 11));
    const closing = server.close({ graceMs: LONG });
    for (const [from, to] of [[11, 28], [28, 1000], [1000, 3028]]) {
      await pause(WHILE);
      await client.sendRaw(bytes.subarray(from, to));
    }
    const reply = new DataView((await client.receiveRaw(16)).buffer);
    assertEquals([reply.getUint32(4), reply.getBigUint64(8)], [ESHUTDOWN, 5n]);
    assertEquals(await client.receiveEnd(), 0);
    await closing;
  });

  test("a stop waits for no rest of a request past its grace", async (stopping) => {
    const { server, client } = stopping;
    const payload = pattern(200_000, 1);
    const bytes = encodeRequest({ command: CMD_WRITE, payload });
    await client.sendRaw(bytes.subarray(0, 150_000));
    await server.close({ graceMs: 200 });
    assertEquals(await client.receiveEnd(), 0);
  });

  test("a stop waits for no idle client", async ({ server, client }) => {
    const begin = performance.now();
    await server.close({ graceMs: LONG });
    assert(performance.now() - begin < LONG / 4);
    assertEquals(await client.receiveEnd(), 0);
  });

  test("a stop ends with the goodbye of a client", async (stopping) => {
    const { server, client } = stopping;
    const read = { command: CMD_READ, length: 100_000 };
    const cookies = await client.sendAll(Array(30).fill(read));
    const closing = server.close({ graceMs: LONG });
    await client.sendAll([{ command: CMD_DISC }]);
    const replies = await client.receiveAll(cookies.length);
    assertRefusedOrDone(replies.values());
    assertEquals(await client.receiveEnd(), 0);
    await closing;
  });

  test("a client that never ends asking is refused, and closed in the end", async (stopping) => {
    const { server, client } = stopping;
    let [asked, refused] = [0, 0];
    const asking = (async () => {
      const read = { command: CMD_READ, length: 512 };
      try {
        for (;; asked++) {
          const { errno } = await client.call(read);
          if (errno === ESHUTDOWN) refused++;
          else assertEquals([errno, refused], [0, 0]);
        }
      } catch (error) {
        // Its connection is closed between two requests, or within one.
        if (!/Connection ended|reset|pipe/i.test(String(error))) throw error;
      }
    })();
    while (asked < 10) await pause(5);
    const begin = performance.now();
    await server.close({ graceMs: 500 });
    assert(performance.now() - begin < LONG / 4);
    await asking;
    assert(refused > 0);
  });
}

testNatively("a stop waits for a long WRITE that a thread takes", async () => {
  await using stopping = await onLanes();
  const { server, client } = stopping;
  // The thread takes it chunk by chunk; the second one is mapped on the way.
  const first = 28 + SMALL_CHUNK + 1000;
  const payload = pattern(2 * SMALL_CHUNK, 1);
  const bytes = encodeRequest({ command: CMD_WRITE, payload, cookie: 7n });
  const before = server.counters.bytesWritten;
  await client.sendRaw(bytes.subarray(0, first));
  while (server.counters.bytesWritten === before) await pause(5);
  const closing = server.close({ graceMs: LONG });
  await pause(WHILE);
  await client.sendRaw(bytes.subarray(first));
  const reply = new DataView((await client.receiveRaw(16)).buffer);
  assertEquals([reply.getUint32(4), reply.getBigUint64(8)], [0, 7n]);
  assertEquals(await client.receiveEnd(), 0);
  await closing;
});
