/**
 * Work of clients whose every answer is checked.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type Dialect,
  NBD,
  type NbdClient,
  type RawReply,
  type RawRequest,
} from "../../helpers/nbd_client.ts";
import { firstDifference } from "../../helpers/bytes.ts";
import { pattern, readBytes, SMALL_CHUNK } from "../../helpers/scratch.ts";
import type { LaneServing } from "./lane_serving.ts";

const { CMD_READ, CMD_WRITE } = NBD;
/** All dialects. */
export const DIALECTS: readonly Dialect[] = [
  "simple",
  "structured",
  "extended",
];
/** What is read and not written to, behind all that is. */
export const READ_AT: number = 40 * SMALL_CHUNK;
/** What is there. */
export const CONTENT: Uint8Array = pattern(8 * SMALL_CHUNK, 5);
/** Where writes go: none is under way twice in the same place. */
const PLACES = 300;
const PLACE_SIZE = 3000;

/** Waits for so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** Fails unless all bytes are the same. */
export function assertSame(
  actual: Uint8Array | undefined,
  wanted: Uint8Array,
): void {
  assertEquals(actual?.length, wanted.length);
  const wrong = firstDifference(wanted, actual ?? wanted);
  assertEquals(wrong, -1, `byte ${wrong} is wrong`);
}

/** Why clients have left, in order. */
export function reasons({ log }: LaneServing): string[] {
  return log.filter(({ kind }) => kind === "disconnected")
    .map(({ message }) => message);
}

/** A client at work: what it asks for, and whether that is what it gets. */
export class Work {
  /** Requests that are not answered. */
  readonly open = new Map<bigint, RawRequest>();
  /** Requests and bytes so far: reads, writes. */
  readonly sent = { reads: 0, bytesRead: 0, writes: 0, bytesWritten: 0 };
  readonly #client: NbdClient;
  readonly #start: number;
  readonly #written = new Uint8Array(PLACES * PLACE_SIZE);
  /** Places that a request without a reply writes to. */
  readonly #busy = new Set<number>();
  #count = 0;

  /** Writes to one part of the disk of eight chunks. */
  constructor(client: NbdClient, part = 0) {
    this.#client = client;
    this.#start = part * 8 * SMALL_CHUNK;
  }

  /** Sends reads, and writes to other places, all at once. */
  async send(count: number): Promise<void> {
    const requests = Array.from({ length: count }, () => this.#next());
    const cookies = await this.#client.sendAll(requests);
    for (const [i, request] of requests.entries()) {
      this.open.set(cookies[i] ?? 0n, request);
    }
  }

  #next(): RawRequest {
    const { sent } = this;
    const seed = ++this.#count;
    const length = 1 + (seed * 977) % PLACE_SIZE;
    if (seed % 3 !== 0) {
      sent.reads++;
      sent.bytesRead += length;
      const at = (seed * 7919) % (CONTENT.length - PLACE_SIZE);
      return { command: CMD_READ, offset: READ_AT + at, length };
    }
    sent.writes++;
    sent.bytesWritten += length;
    // A reply may be overtaken by those to hundreds of later requests.
    let place = seed / 3 % PLACES;
    while (this.#busy.has(place)) place = (place + 1) % PLACES;
    this.#busy.add(place);
    const at = place * PLACE_SIZE;
    const payload = pattern(length, seed);
    this.#written.set(payload, at);
    return { command: CMD_WRITE, offset: this.#start + at, payload };
  }

  /** Checks replies to so many requests. */
  async receive(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const { cookie, errno, payload } = await this.#client.receive();
      const request = this.open.get(cookie);
      assert(request !== undefined, `${cookie} is answered twice`);
      this.open.delete(cookie);
      assertEquals(errno, 0);
      if (request.command !== CMD_READ) {
        const start = Number(request.offset) - this.#start;
        this.#busy.delete(start / PLACE_SIZE);
        continue;
      }
      const at = Number(request.offset) - READ_AT;
      const end = at + Number(request.length);
      assertSame(payload, CONTENT.subarray(at, end));
    }
  }

  /** Keeps many requests in flight until the test stops it. */
  async keepOn(isDone: () => boolean): Promise<void> {
    await this.send(60);
    while (!isDone()) {
      await this.send(40);
      await this.receive(40);
    }
    await this.receive(60);
    assertEquals(this.open.size, 0);
  }

  /** Compares the disk with what was written. */
  async verify({ pool }: LaneServing): Promise<void> {
    const { length } = this.#written;
    assertSame(
      await readBytes(pool.volume(), this.#start, length),
      this.#written,
    );
  }
}

/** What the server has counted, as {@linkcode Work.sent}. */
export function counted({ server }: LaneServing): Work["sent"] {
  const { reads, bytesRead, writes, bytesWritten } = server.counters;
  return { reads, bytesRead, writes, bytesWritten };
}

/** Receives what answers requests in which nothing is wrong. */
export async function receiveGood(
  client: NbdClient,
  count: number,
): Promise<Map<bigint, RawReply>> {
  const replies = await client.receiveAll(count);
  for (const { errno } of replies.values()) assertEquals(errno, 0);
  return replies;
}
