/**
 * Goal: a client that is busy-polled on the event loop is answered right, is
 * polled only where no other client waits, and no read is under way meanwhile.
 * Method: a transmission over a connection that gives each request as soon as
 * the one before is answered, and a device that answers soon, but not at once.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { createCounters } from "../../../nbd/server/export/counters.ts";
import { propertiesOf } from "../../../nbd/server/export/export.ts";
import { RequestTimes } from "../../../nbd/server/export/request_times.ts";
import { LOOP_POLLS_MAX, POLL_AFTER } from "../../../nbd/wire/limits.ts";
import type { Carrier } from "../../../nbd/server/stream/stream.ts";
import { Transmission } from "../../../nbd/server/transmission/transmission.ts";
import { encodeRequest, NBD } from "../../helpers/nbd_client.ts";
import { exportOf } from "./serving.ts";

const SIZE = 1024 * 1024;
const HEADER = 16;
const LENGTH = 64;
/** Requests of a client; more than it takes until it is polled. */
const REQUESTS = 4 * POLL_AFTER;

/** A client that sends one request at a time, and is quick or not. */
class Quick implements Carrier {
  readonly manner = "";
  readonly activity = 0;
  readonly isDrained = true;
  /** Polls that have found a request. */
  polled = 0;
  /** The most of them since the connection was last read from. */
  polledMost = 0;
  /** Replies that have come, by their cookies. */
  readonly came: number[] = [];
  /** Reads, of {@linkcode REQUESTS} requests. */
  reads = 0;
  /** Whether the client has its next request ready when it is polled. */
  isReady: (sent: number) => boolean = () => true;
  /** Called when the last request is sent, before its reply. */
  onLast: () => void = () => {};
  #sincePolled = 0;
  #sent = 0;
  #isReading = false;
  #wake: () => void = () => {};

  get #isAnswered(): boolean {
    return this.came.length === this.#sent;
  }

  async read(target: Uint8Array): Promise<number | null> {
    assert(!this.#isReading, "two reads at once");
    this.#isReading = true;
    this.reads++;
    this.#sincePolled = 0;
    await new Promise((resolve) => setTimeout(resolve));
    while (!this.#isAnswered) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    this.#isReading = false;
    return this.#give(target) || null;
  }

  readSoon(memory: Uint8Array, start: number): number {
    assert(!this.#isReading, "a poll while a read is under way");
    if (!this.#isAnswered || !this.isReady(this.#sent)) return 0;
    const count = this.#give(memory.subarray(start));
    if (count > 0) {
      this.polled++;
      this.polledMost = Math.max(this.polledMost, ++this.#sincePolled);
    }
    return count;
  }

  write(source: Uint8Array): Promise<number> {
    return Promise.resolve(this.writeNow(source, 0, source.length));
  }

  writeNow(memory: Uint8Array, start: number, end: number): number {
    const view = new DataView(memory.buffer, memory.byteOffset);
    for (let at = start; at < end; at += HEADER + LENGTH) {
      const cookie = Number(view.getBigUint64(at + 8));
      assertEquals(memory[at + HEADER], cookie & 255, "its own data");
      this.came.push(cookie);
    }
    this.#wake();
    return end - start;
  }

  divert(): void {}
  addCounts(): void {}
  close(): void {}

  #give(target: Uint8Array): number {
    if (this.#sent === REQUESTS) return 0;
    const cookie = this.#sent++;
    const request = encodeRequest({
      ...{ command: NBD.CMD_READ, offset: cookie * LENGTH, length: LENGTH },
      cookie: BigInt(cookie),
    });
    target.set(request);
    if (this.#sent === REQUESTS) this.onLast();
    return request.length;
  }
}

/** How a device answers. */
type Answer = (read: () => void) => void | Promise<void>;

/** Soon: before the event loop comes round. */
async function soon(read: () => void): Promise<void> {
  for (let i = 0; i < 10; i++) await undefined;
  read();
}

/** Serves a client until it ends. */
async function serve(
  client: Carrier,
  answer: Answer = soon,
  isAlone = () => true,
): Promise<void> {
  const disk = new MemoryDevice(SIZE);
  for (let i = 0; i < REQUESTS; i++) {
    disk.write(new Uint8Array(LENGTH).fill(i), i * LENGTH);
  }
  const device = new Proxy(disk, {
    get(inner, name) {
      if (name === "read") {
        return (target: Uint8Array, offset: number) =>
          answer(() => inner.read(target, offset));
      }
      const value = Reflect.get(inner, name, inner);
      return typeof value === "function" ? value.bind(inner) : value;
    },
  });
  const nbdExport = exportOf(device);
  const properties = propertiesOf(nbdExport);
  const problems: unknown[] = [];
  const transmission = new Transmission(
    client,
    { nbdExport, properties, early: new Uint8Array(0), encrypted: undefined },
    {
      isAlone,
      counters: createCounters(),
      times: new RequestTimes(),
      onError: (error) => problems.push(error),
      onPanic: (error) => problems.push(error),
    },
  );
  await transmission.run();
  assertEquals(problems, []);
}

const ALL = Array.from({ length: REQUESTS }, (_, i) => i);

Deno.test("a quick client is polled, and others have their turn", async () => {
  const client = new Quick();
  await serve(client);
  assertEquals(client.came, ALL);
  assert(client.polled > REQUESTS / 2, `${client.polled} polls`);
  assertEquals(client.polledMost, LOOP_POLLS_MAX);
});

Deno.test("a client that is slow at times is answered, too", async () => {
  const client = new Quick();
  client.isReady = (sent) => sent % 7 > 0;
  await serve(client);
  assertEquals(client.came, ALL);
  assert(client.polled > 0 && client.polled < REQUESTS / 2);
});

for (
  const [why, answer, isAlone] of [
    ["the device answers at once", (read) => read(), () => true],
    ["the server has another client", soon, () => false],
  ] satisfies [string, Answer, () => boolean][]
) {
  Deno.test(`no client is polled while ${why}`, async () => {
    const client = new Quick();
    await serve(client, answer, isAlone);
    assertEquals(client.came, ALL);
    assertEquals(client.polled, 0);
  });
}

Deno.test("a device that hangs does not keep the next request from being read", async () => {
  const client = new Quick();
  const hung = Promise.withResolvers<void>();
  let count = 0;
  let readsThen = 0;
  const begun = Promise.withResolvers<void>();
  const served = serve(client, (read) => {
    if (++count < REQUESTS - 5) return soon(read);
    readsThen = client.reads;
    begun.resolve();
    return hung.promise.then(read);
  });
  await begun.promise;
  assert(client.polled > 0);
  // The event loop comes round.
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert(client.reads > readsThen, "it waits for what comes");
  hung.resolve();
  await served;
  assertEquals(client.came, ALL);
});
