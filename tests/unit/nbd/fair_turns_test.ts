/**
 * Goal: whatever one client asks for, however much of it at once, others are
 * served in between. Method: a device on which every call takes a millisecond
 * of the event loop, on any machine; a client sends hundreds of requests with
 * one write and reads no answer; the calls are counted that are made while
 * another client waits for its answer.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Completion, Extent } from "../../../device/block/block_device.ts";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import {
  encodeContextQuery,
  encodeOption,
  encodeStatusFilter,
  NBD,
  type NbdClient,
  type RawRequest,
} from "../../helpers/nbd_client.ts";
import { serve, until } from "./serving.ts";

const SIZE = 1024 * 1024;
/** Requests that are sent at once. */
const PIPELINE = 400;
/** How long a call holds the event loop, milliseconds. */
const CALL_MS = 1;
/** What no thread ever notifies: a wait for it holds the event loop. */
const NEVER = new Int32Array(new SharedArrayBuffer(4));
/** How many good clients come and go meanwhile. */
const VISITS = 5;
/**
 * Calls in a slice: it is over when 2 ms have passed, whatever else happens.
 */
const CALLS_A_SLICE = 3;
/** Slices that a good client has to wait for: it needs about ten answers. */
const SLICES_A_VISIT = 20;

/** Every call takes its time. */
class DearDevice extends MemoryDevice {
  calls = 0;

  override read(target: Uint8Array, offset: number): Completion {
    this.#call();
    return super.read(target, offset);
  }

  override write(source: Uint8Array, offset: number): Completion {
    this.#call();
    return super.write(source, offset);
  }

  override flush(): Completion {
    this.#call();
    return undefined;
  }

  override discard(offset: number, length: number): Completion {
    this.#call();
    return super.discard(offset, length);
  }

  override writeZeroes(offset: number, length: number): Completion {
    this.#call();
    return super.writeZeroes(offset, length);
  }

  override extents(offset: number, length: number): Extent[] {
    this.#call();
    return super.extents(offset, length);
  }

  #call(): void {
    this.calls++;
    Atomics.wait(NEVER, 0, 0, CALL_MS);
  }
}

/** The kinds of requests, by name. */
const KINDS: Readonly<Record<string, (id: number) => RawRequest>> = {
  READ: () => ({ command: NBD.CMD_READ, length: 1 }),
  "long READ": () => ({ command: NBD.CMD_READ, length: SIZE }),
  WRITE: () => ({ command: NBD.CMD_WRITE, payload: new Uint8Array(1) }),
  "long WRITE": () => ({
    command: NBD.CMD_WRITE,
    payload: new Uint8Array(SIZE / 8),
  }),
  "WRITE with FUA": () => ({
    command: NBD.CMD_WRITE,
    flags: NBD.CMD_FLAG_FUA,
    payload: new Uint8Array(1),
  }),
  FLUSH: () => ({ command: NBD.CMD_FLUSH }),
  TRIM: () => ({ command: NBD.CMD_TRIM, length: SIZE }),
  WRITE_ZEROES: () => ({ command: NBD.CMD_WRITE_ZEROES, length: SIZE }),
  "WRITE_ZEROES with NO_HOLE": () => ({
    command: NBD.CMD_WRITE_ZEROES,
    flags: NBD.CMD_FLAG_NO_HOLE,
    length: SIZE,
  }),
  "WRITE_ZEROES with FAST_ZERO": () => ({
    command: NBD.CMD_WRITE_ZEROES,
    flags: NBD.CMD_FLAG_FAST_ZERO,
    length: SIZE,
  }),
  BLOCK_STATUS: () => ({ command: NBD.CMD_BLOCK_STATUS, length: SIZE }),
  "BLOCK_STATUS with a payload": (id) => ({
    command: NBD.CMD_BLOCK_STATUS,
    payload: encodeStatusFilter(SIZE, [id]),
  }),
};

for (const [name, requestOf] of Object.entries(KINDS)) {
  for (const attackers of [1, 8]) {
    Deno.test(`${attackers} clients with many ${name} leave others their turns`, async () => {
      const device = new DearDevice(SIZE);
      await using serving = await serve({ device });
      const clients: NbdClient[] = [];
      for (let i = 0; i < attackers; i++) {
        const { client, ids } = await serving.select("extended", [
          "base:allocation",
        ]);
        clients.push(client);
        const [id = 0] = [...ids.values()];
        // It may take more than the sockets hold.
        client.sendAll(Array.from({ length: PIPELINE }, () => requestOf(id)))
          .catch(() => {});
      }
      try {
        await until("the attack has begun", () => device.calls > 0);
        for (let i = 0; i < VISITS; i++) {
          const before = device.calls;
          // Those whose answers are long stop while these are unread.
          const isOver = !name.startsWith("long") &&
            before >= attackers * PIPELINE;
          assert(!isOver, "others come before all is done");
          using good = await serving.open();
          assertEquals((await good.read(0, 1)).length, 1);
          const between = device.calls - before;
          assert(
            between <= CALLS_A_SLICE * SLICES_A_VISIT,
            `${between} calls while the good client came`,
          );
        }
      } finally {
        for (const client of clients) client.close();
      }
    });
  }
}

Deno.test("a client with many options leaves others their turns", async () => {
  await using serving = await serve({ limits: { options: 1e9 } });
  using hostile = await serving.greeted();
  await hostile.speak("structured");
  const query = encodeOption(
    NBD.OPT_SET_META_CONTEXT,
    encodeContextQuery("disk", Array.from({ length: 2700 }, () => "x:")),
  );
  let [sent, answered] = [0, 0];
  const sending = (async () => {
    for (; sent < 2000; sent++) await hostile.sendRaw(query);
  })().catch(() => {});
  const receiving = (async () => {
    for (;;) {
      await hostile.receiveOptionReply();
      answered++;
    }
  })().catch(() => {});
  await until("the attack has begun", () => answered > 2);
  for (let i = 0; i < VISITS; i++) {
    using good = await serving.open();
    assertEquals((await good.read(0, 1)).length, 1);
  }
  assert(answered < 2000, "good clients came and went meanwhile");
  hostile.close();
  await Promise.all([sending, receiving]);
});

Deno.test("a server that stops amid an attack answers all that was asked", async () => {
  const device = new DearDevice(SIZE);
  await using serving = await serve({ device });
  using client = await serving.open("extended");
  const count = 50;
  await client.sendAll(
    Array.from({ length: count }, () => ({ command: NBD.CMD_FLUSH })),
  );
  await until("the first ones are done", () => device.calls > 2);
  const closed = serving.server.close();
  const replies = await client.receiveAll(count);
  const refused = [...replies.values()].filter(({ errno }) =>
    errno === NBD.ESHUTDOWN
  );
  assertEquals(replies.size, count);
  assertEquals(device.calls + refused.length, count);
  await closed;
});
