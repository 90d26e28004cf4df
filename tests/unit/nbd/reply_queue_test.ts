/**
 * How much of what is to be sent a connection collects, and what leaves with one
 * call.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { MemoryPart } from "../../../device/linux/mod.ts";
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

/** A client that takes parts, no more of them at once than it likes. */
class PartsTaker extends Taker {
  /** What it took each time. */
  readonly came: number[][] = [];
  readonly #most: () => number;

  constructor(most: () => number) {
    super();
    this.#most = most;
  }

  override write(source: Uint8Array): Promise<number> {
    return Promise.resolve(this.#take([{ bytes: source, start: 0 }]));
  }

  writePartsNow(parts: readonly MemoryPart[]): number {
    assert(parts.length > 1, "one part has a call of its own");
    return this.#take(parts);
  }

  #take(parts: readonly { bytes: Uint8Array; start: number; end?: number }[]) {
    const bytes = parts.flatMap(({ bytes, start, end }) => [
      ...bytes.subarray(start, end),
    ]);
    const came = bytes.slice(0, this.#most());
    this.came.push(came);
    return came.length;
  }
}

/** The order in which the places of a buffer get their data. */
const ANSWERED = [6, 2, 3, 0, 7, 1, 5];

/** Has reads answered in that order; place 4 never is. */
function answerHere(queue: ReplyQueue, length: number): void {
  const places = Array.from({ length: 8 }, (_, i) => {
    assert(queue.hasRoom(HEADER + length));
    const place = queue.hold(queue.target(length));
    place.data.fill(i + 1);
    return place;
  });
  for (const i of ANSWERED) {
    const place = places[i];
    assert(place !== undefined);
    queue.release(place, createRequest(), 0, true);
  }
}

Deno.test("replies that lie here and there leave with one call", () => {
  const [length, stream] = [5, new PartsTaker(() => Infinity)];
  let isSent = false;
  const done = () => isSent = true;
  const queue = new ReplyQueue(stream, new SimpleForm(), done);
  answerHere(queue, length);
  assert(queue.send(true) && isSent && queue.idle);
  assertEquals(stream.came.length, 1);
  const came = stream.came.flat();
  assertEquals(came.length, ANSWERED.length * (HEADER + length));
  const order = ANSWERED.map((_, i) =>
    (came[(i + 1) * (HEADER + length) - 1] ?? 0) - 1
  );
  assertEquals(order, ANSWERED);
});

Deno.test("what is left of replies that were taken in part follows", async () => {
  const [length, all] = [5, ANSWERED.length * (5 + HEADER)];
  const whole = new PartsTaker(() => Infinity);
  const queue = new ReplyQueue(whole, new SimpleForm(), () => {});
  answerHere(queue, length);
  assert(queue.send(true));
  for (let most = 1; most < all; most++) {
    const stream = new PartsTaker(() => most);
    const { promise, resolve } = Promise.withResolvers<void>();
    const part: ReplyQueue = new ReplyQueue(stream, new SimpleForm(), () => {
      if (part.idle) resolve();
    });
    answerHere(part, length);
    // Where replies end, it is tried again at once.
    if (!part.send(true)) await promise;
    assertEquals(stream.came.flat(), whole.came.flat());
  }
});

Deno.test("a reply that comes while the last send ends is sent, too", async () => {
  for (let steps = 0; steps < 20; steps++) {
    const stream = new Taker();
    const queue = new ReplyQueue(stream, new SimpleForm(), () => {});
    queue.succeed(createRequest());
    queue.send(false);
    for (let i = 0; i < steps; i++) await Promise.resolve();
    queue.succeed(createRequest());
    queue.send(false);
    await new Promise((resolve) => setTimeout(resolve));
    assert(queue.idle, `after ${steps} steps`);
    assertEquals(stream.taken, [HEADER, HEADER], `after ${steps} steps`);
  }
});
