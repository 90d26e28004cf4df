/**
 * Goal: 64 connections at once, of all dialects, do not disturb each other.
 * Method: a real server process; each connection has a region of its own and a
 * model of it, and does random reads, writes, zeroes, trims, flushes and status
 * queries, several at once where their ranges do not overlap; every byte that
 * is read is compared. Then everything once more, after a restart.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type Dialect,
  NBD,
  NbdClient,
  type RawReply,
  type RawRequest,
} from "../helpers/nbd_client.ts";
import { peerTest } from "../helpers/peers.ts";
import { firstDifference } from "../helpers/bytes.ts";
import { FORMATS } from "../helpers/scratch.ts";
import {
  CHUNK,
  KIB,
  peerSucceeds,
  ServedPool,
  stampedBytes,
} from "./served_pool.ts";

const CONNECTIONS = 64;
/** Four chunks and a bit, so that neighbours share chunks. */
const REGION = 4 * CHUNK + 24 * KIB;
/** Requests that are under way together have a lane each. */
const LANES = 4;
const LANE = REGION / LANES;
const ROUNDS = 16;
const DIALECTS: readonly Dialect[] = ["simple", "structured", "extended"];

/** Repeats itself for the same seed (xorshift). */
function randomOf(seed: number): (below: number) => number {
  let state = seed * 2654435761 % 2 ** 32 | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** One connection, and what its region holds. */
class Worker {
  readonly index: number;
  readonly model: Uint8Array = new Uint8Array(REGION);
  readonly #start: number;
  readonly #random: (below: number) => number;
  #stamp: number;

  constructor(index: number) {
    this.index = index;
    this.#start = index * REGION;
    this.#random = randomOf(index + 1);
    this.#stamp = index << 16;
  }

  get dialect(): Dialect {
    return DIALECTS[this.index % DIALECTS.length] ?? "simple";
  }

  async connect(pool: ServedPool): Promise<NbdClient> {
    const client = await NbdClient.connect({ path: pool.socket });
    await client.greet();
    await client.speak(this.dialect);
    if (this.dialect !== "simple") {
      await client.contexts("pool", ["base:allocation"]);
    }
    await client.go("pool");
    return client;
  }

  /** A request somewhere in a lane; the model is as if it had been done. */
  #request(lane: number): RawRequest {
    const random = this.#random;
    const at = lane * LANE + random(LANE / 512 - 1) * 512;
    const most = (lane + 1) * LANE - at;
    const length = 512 * (1 + random(Math.min(most, 96 * KIB) / 512));
    const flags = random(8) === 0 ? NBD.CMD_FLAG_FUA : 0;
    const range = { offset: this.#start + at, length, flags };
    const kind = random(12);
    if (kind < 4) {
      const payload = stampedBytes(length, ++this.#stamp);
      this.model.set(payload, at);
      return { ...range, command: NBD.CMD_WRITE, payload };
    }
    if (kind < 6) {
      this.model.fill(0, at, at + length);
      const noHole = random(2) * NBD.CMD_FLAG_NO_HOLE;
      const command = NBD.CMD_WRITE_ZEROES;
      return { ...range, command, flags: flags | noHole };
    }
    if (kind === 6) {
      this.model.fill(0, at, at + length);
      return { ...range, command: NBD.CMD_TRIM };
    }
    if (kind === 7) return { command: NBD.CMD_FLUSH };
    if (kind === 8 && this.dialect !== "simple") {
      return { ...range, command: NBD.CMD_BLOCK_STATUS };
    }
    return { ...range, command: NBD.CMD_READ };
  }

  #check(request: RawRequest, reply: RawReply): void {
    const at = Number(request.offset ?? 0) - this.#start;
    assertEquals([request.command, reply.errno], [request.command, 0]);
    if (request.command === NBD.CMD_READ) {
      const wanted = this.model.subarray(at, at + Number(request.length));
      const wrong = firstDifference(wanted, reply.payload);
      assertEquals(wrong, -1, `byte ${wrong} of ${at} in ${this.index}`);
    } else if (request.command === NBD.CMD_BLOCK_STATUS) {
      // What is said to be zero is; the client has checked the lengths.
      let from = at;
      for (const [length, flags] of [...reply.status.values()].flat()) {
        const bytes = this.model.subarray(from, from + length);
        const isZero = bytes.every((byte) => byte === 0);
        assert((flags & NBD.STATE_ZERO) === 0 || isZero, `${from} is not zero`);
        from += length;
      }
    }
  }

  /** Several rounds of requests that are all under way together. */
  async work(client: NbdClient): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      const requests = Array.from(
        { length: LANES },
        (_, lane) => this.#request(lane),
      );
      const cookies = await client.sendAll(requests);
      const replies = await client.receiveAll(requests.length);
      for (const [i, request] of requests.entries()) {
        const reply = replies.get(cookies[i] ?? -1n);
        assert(reply !== undefined, "a reply has another cookie");
        this.#check(request, reply);
      }
    }
    await client.flush();
  }

  async verify(client: NbdClient): Promise<void> {
    const request = {
      command: NBD.CMD_READ,
      offset: this.#start,
      length: REGION,
    };
    this.#check(request, await client.call(request));
  }
}

for (const format of FORMATS) {
  Deno.test(`64 connections at once in all dialects keep to themselves (${format})`, async () => {
    await using pool = await ServedPool.start({
      format,
      componentSize: "24M",
    });
    const workers = Array.from(
      { length: CONNECTIONS },
      (_, i) => new Worker(i),
    );
    const clients = await Promise.all(
      workers.map((worker) => worker.connect(pool)),
    );
    assertEquals(
      (await pool.status()).server?.clients.length,
      CONNECTIONS,
    );
    await Promise.all(
      workers.map((worker, i) => worker.work(clients[i] as NbdClient)),
    );
    // Each reads what another connection wrote, of another dialect.
    await Promise.all(
      workers.map((worker, i) =>
        worker.verify(clients[(i + 1) % CONNECTIONS] as NbdClient)
      ),
    );
    await Promise.all(clients.map((client) => client.disconnect()));
    await pool.stopAndCheck();
    await pool.restart();
    for (const worker of workers) {
      using client = await worker.connect(pool);
      await worker.verify(client);
      await client.disconnect();
    }
    await pool.stopAndCheck();
  });
}

peerTest(
  "nbdcopy writes and reads with 16 connections at once",
  ["nbdcopy"],
  async () => {
    await using pool = await ServedPool.start({ componentSize: "40M" });
    const image = pool.work.path("image");
    const bytes = stampedBytes(64 * 1024 * KIB, 5);
    // Some holes between the data.
    for (let at = 0; at < bytes.length; at += 10 * CHUNK) {
      bytes.fill(0, at, at + 3 * CHUNK + 4096);
    }
    await Deno.writeFile(image, bytes);
    const sixteen = ["--connections=16", "--threads=16", "--requests=64"];
    await peerSucceeds("nbdcopy", [...sixteen, "--flush", image, pool.uri]);
    const { server } = await pool.status();
    assert((server?.counters.connections ?? 0) >= 16, "one connection each");
    const out = pool.work.path("out");
    await peerSucceeds("nbdcopy", [...sixteen, pool.uri, out]);
    const got = await Deno.readFile(out);
    const wrong = firstDifference(bytes, got);
    assertEquals([got.length, wrong], [bytes.length, -1]);
    await pool.stopAndCheck();
  },
);
