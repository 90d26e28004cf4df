/**
 * Requests on their way to a far server that takes a little at a time.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Command } from "../../../nbd/client/requests/command.ts";
import { RequestSender } from "../../../nbd/client/requests/request_sender.ts";
import { TagTable } from "../../../nbd/client/requests/tag_table.ts";
import { pattern } from "../../helpers/scratch.ts";

/** Bytes of the header of a request. */
const HEADER = 28;
const SIZE = 600_000;

/** A connection that takes a little at once, and the rest later. */
class SlowStream {
  readonly sent: Uint8Array[] = [];
  onLate = () => {};
  #room: number;

  constructor(room: number) {
    this.#room = room;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.sent.flatMap((part) => [...part]));
  }

  writeNow(memory: Uint8Array, start: number, end: number): number {
    const count = Math.min(this.#room, end - start);
    this.#room -= count;
    this.sent.push(memory.slice(start, start + count));
    return count;
  }

  async write(source: Uint8Array): Promise<number> {
    await Promise.resolve();
    this.onLate();
    await Promise.resolve();
    const count = Math.min(source.length, 50_000);
    this.sent.push(source.slice(0, count));
    return count;
  }

  read = () => Promise.resolve(null);
  closeWrite = () => Promise.resolve();
  close = () => {};
  abort = () => {};
}

async function sendTo(stream: SlowStream, payload: Uint8Array, isOver = false) {
  let isEnded = false;
  stream.onLate = () => {
    if (!isOver) return;
    // The owner of the payload uses it for something else.
    isEnded = true;
    payload.fill(0);
  };
  const sender = new RequestSender(stream, {
    isExtended: false,
    isEnded: () => isEnded,
    onRoom: () => {},
  });
  const tags = new TagTable();
  const slots = [payload, pattern(4096, 2)].map((payload) =>
    tags.add(new Command({ command: 1, payload }), 0)
  );
  await sender.send(slots);
}

for (const room of [0, HEADER, 100_000, 10_000_000]) {
  Deno.test(`RequestSender sends all, if ${room} bytes are taken at once`, async () => {
    const stream = new SlowStream(room);
    await sendTo(stream, pattern(SIZE, 1));
    const { bytes } = stream;
    assertEquals(bytes.length, HEADER + SIZE + HEADER + 4096);
    assertEquals(bytes.slice(HEADER, HEADER + SIZE), pattern(SIZE, 1));
    assertEquals(bytes.slice(-4096), pattern(4096, 2));
  });
}

for (const room of [HEADER, 100_000]) {
  Deno.test(`RequestSender sends no byte of a payload after the end, if ${room} bytes are taken at once`, async () => {
    const stream = new SlowStream(room);
    await sendTo(stream, pattern(SIZE, 1), true);
    const payload = stream.bytes.slice(HEADER);
    assert(payload.length > 0 && payload.length < SIZE);
    assertEquals(payload, pattern(SIZE, 1).slice(0, payload.length));
  });
}
