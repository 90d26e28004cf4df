/**
 * Goal: whatever is asked, in any dialect and in any order, is answered once
 * and right, also when the device finishes late or fails. Method: seeded random
 * requests, a model of the bytes, and the client's checks of every reply.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import type {
  BlockDevice,
  Completion,
  Extent,
} from "../../../device/block/block_device.ts";
import { VirstorError } from "../../../errors.ts";
import {
  type Dialect,
  NBD,
  type NbdClient,
  type RawReply,
  type RawRequest,
} from "../../helpers/nbd_client.ts";
import { Random } from "../../simulation/random.ts";
import { pattern, serve, type Serving } from "./serving.ts";
import { SparseDevice } from "./sparse_device.ts";

const MIB = 1024 * 1024;
const SIZE = 24 * MIB;
const SEEDS = 8;
const { CMD_READ, CMD_WRITE, CMD_FLUSH, CMD_BLOCK_STATUS } = NBD;

/** A device with holes that is sometimes late, and fails when it should. */
class MoodyDevice implements BlockDevice {
  readonly size: number = SIZE;
  readonly blockSize: number = 1;
  readonly #disk = new SparseDevice(SIZE);
  readonly capabilities = this.#disk.capabilities;
  readonly #random: Random;
  /** Some reads fail. */
  failing = false;

  constructor(random: Random) {
    this.#random = random;
  }

  read(target: Uint8Array, offset: number): Completion {
    const fails = this.failing && this.#random.chance(5);
    return this.#soonerOrLater(() => {
      if (fails) throw new VirstorError("io", "Cannot read: a bad day");
      this.#disk.read(target, offset);
    });
  }

  write(source: Uint8Array, offset: number): Completion {
    const copy = source.slice();
    return this.#soonerOrLater(() => this.#disk.write(copy, offset));
  }

  flush(): Completion {
    return this.#soonerOrLater(() => {});
  }

  discard(): Completion {
    return this.#soonerOrLater(() => {});
  }

  writeZeroes(): Completion {
    return this.#soonerOrLater(() => {});
  }

  extents(offset: number, length: number, limit?: number): Extent[] {
    return this.#disk.extents(offset, length, limit);
  }

  leadingHole(offset: number): number {
    return this.#disk.leadingHole(offset);
  }

  close(): Completion {
    return undefined;
  }

  #soonerOrLater(action: () => unknown): Completion {
    if (this.#random.chance(70)) {
      action();
      return undefined;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    setTimeout(() => {
      try {
        action();
        resolve();
      } catch (error) {
        reject(error);
      }
    }, this.#random.below(4));
    return promise;
  }
}

/** Writes that do not overlap, noted in the model. */
function randomWrites(random: Random, model: Uint8Array): RawRequest[] {
  const writes: RawRequest[] = [];
  for (let offset = 0; writes.length < 40;) {
    offset += random.below(random.pick([10, 70_000, 3 * MIB]));
    const length = 1 + random.below(random.pick([10, 5000, 300_000]));
    if (offset + length > SIZE) break;
    const payload = pattern(length, random.below(256));
    writes.push({ command: CMD_WRITE, offset, payload });
    model.set(payload, offset);
    offset += length;
  }
  return writes;
}

/**
 * Reads, statuses, flushes, and now and then nonsense. Where reads fail, those
 * that would be answered in parts are left out: failing ends the connection.
 */
function randomRequests(
  random: Random,
  dialect: Dialect,
  failing: boolean,
): RawRequest[] {
  return Array.from({ length: 60 }, () => {
    const offset = random.below(SIZE);
    const df = dialect !== "simple" && random.chance(20);
    const longest = failing && (df || dialect === "simple") ? 2 : 6;
    const most = random.pick([100, 5000, 200_000, longest * MIB]);
    const length = Math.min(SIZE - offset, random.below(most));
    const what = random.below(10);
    if (what < 7) {
      const flags = df ? NBD.CMD_FLAG_DF : 0;
      return { command: CMD_READ, offset, length, flags };
    }
    if (what === 7) return { command: CMD_FLUSH };
    if (what === 8) {
      const flags = random.pick([0, NBD.CMD_FLAG_REQ_ONE]);
      return { command: CMD_BLOCK_STATUS, offset, length, flags };
    }
    return {
      command: random.pick([0, 3, 4, 5, 6, 7, 9]),
      offset: random.below(2 ** 40),
      length: random.below(2 ** 32),
      // Not those that are followed by a payload.
      flags: random.below(2 ** 16) & ~NBD.CMD_FLAG_PAYLOAD_LEN,
    };
  });
}

async function callAll(
  client: NbdClient,
  requests: RawRequest[],
): Promise<[RawRequest, RawReply | undefined][]> {
  const sending = client.sendAll(requests);
  const replies = await client.receiveAll(requests.length);
  const cookies = await sending;
  return requests.map((request, i) => [request, replies.get(cookies[i] ?? 0n)]);
}

function assertRead(
  request: RawRequest,
  reply: RawReply | undefined,
  model: Uint8Array,
): void {
  if (request.command !== CMD_READ || reply?.errno !== 0) return;
  const offset = Number(request.offset);
  const wanted = model.subarray(offset, offset + Number(request.length));
  assertEquals(Buffer.compare(wanted, reply.payload), 0, `at ${offset}`);
}

async function connect(
  serving: Serving,
  dialect: Dialect,
): Promise<NbdClient> {
  if (dialect === "simple") return await serving.open();
  const { client } = await serving.select(dialect, ["base:allocation"]);
  return client;
}

for (const dialect of ["simple", "structured", "extended"] as const) {
  for (let seed = 1; seed <= SEEDS; seed++) {
    Deno.test(`random requests are answered right, ${dialect}, seed ${seed}`, async () => {
      const random = new Random(seed);
      const device = new MoodyDevice(random);
      await using serving = await serve({ device });
      using client = await connect(serving, dialect);
      const model = new Uint8Array(SIZE);
      for (let round = 0; round < 5; round++) {
        device.failing = false;
        const writes = randomWrites(random, model);
        for (const [, reply] of await callAll(client, writes)) {
          assertEquals(reply?.errno, 0);
        }
        device.failing = random.chance(50);
        const requests = randomRequests(random, dialect, device.failing);
        for (const [request, reply] of await callAll(client, requests)) {
          assertRead(request, reply, model);
        }
      }
      await client.disconnect();
    });
  }
}
