/**
 * How much of what is to be sent a connection collects.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { SimpleForm } from "../../../nbd/wire/reply_form.ts";
import { ReplyQueue } from "../../../nbd/server/transmission/reply_queue.ts";
import { createRequest } from "../../../nbd/wire/request.ts";
import type { Carrier } from "../../../nbd/server/stream/stream.ts";
import { KIB, MIB } from "../../helpers/scratch.ts";

const HEADER = 16;

/** A client that takes what it is sent, and how much it took each time. */
class Taker implements Carrier {
  readonly manner = "";
  readonly activity = 0;
  readonly isDrained = true;
  readonly taken: number[] = [];

  read(): Promise<null> {
    return Promise.resolve(null);
  }

  write(source: Uint8Array): Promise<number> {
    this.taken.push(source.length);
    return Promise.resolve(source.length);
  }

  writeNow(): number {
    return 0;
  }

  divert(): void {}
  addCounts(): void {}

  close(): void {}
}

/** Answers READs for as long as there is room. */
function fill(queue: ReplyQueue, length: number): number {
  let count = 0;
  for (; queue.hasRoom(HEADER + length); count++) {
    queue.target(length).fill(count + 1);
    queue.commit(createRequest(), 0, length, true);
  }
  return count;
}

/** Sends what there is, and waits for the end of it. */
async function sent(
  make: (done: () => void) => ReplyQueue,
  act: (queue: ReplyQueue) => void,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const queue: ReplyQueue = make(() => {
    if (queue.idle) resolve();
  });
  act(queue);
  queue.send(false);
  await promise;
}

Deno.test("replies are sent in batches of 512 KiB, from two buffers in turn", async () => {
  const stream = new Taker();
  let count = 0;
  const make = (done: () => void) =>
    new ReplyQueue(stream, new SimpleForm(), done);
  await sent(make, (queue) => count = fill(queue, 256 * KIB));
  assertEquals(count, 4);
  const batch = 2 * (HEADER + 256 * KIB);
  assertEquals(stream.taken, [batch, batch]);
});

Deno.test("a reply that is longer than a batch is sent at once", async () => {
  const stream = new Taker();
  let count = 0;
  const make = (done: () => void) =>
    new ReplyQueue(stream, new SimpleForm(), done);
  await sent(make, (queue) => count = fill(queue, 2 * MIB));
  assertEquals(count, 2);
  assertEquals(stream.taken, [HEADER + 2 * MIB, HEADER + 2 * MIB]);
});

Deno.test("while data is waited for, all of a buffer is used", async () => {
  const stream = new Taker();
  let count = 0;
  const make = (done: () => void) =>
    new ReplyQueue(stream, new SimpleForm(), done);
  await sent(make, (queue) => {
    queue.hasRoom(HEADER + 256 * KIB);
    const place = queue.hold(queue.target(256 * KIB));
    count = fill(queue, 256 * KIB);
    queue.cancel(place);
  });
  assertEquals(count, 15);
});
