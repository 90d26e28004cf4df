/**
 * Goal: replies are whole, once each and in order, whatever part of them a
 * connection takes at once; and a client that is always ready leaves others
 * their turn.
 * Method: a transmission over a connection that takes and gives as it likes,
 * which no real one does on demand; its seeds are fixed.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { BlockDevice } from "../../../device/block/block_device.ts";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { createCounters } from "../../../nbd/server/export/counters.ts";
import { propertiesOf } from "../../../nbd/server/export/export.ts";
import { RequestTimes } from "../../../nbd/server/export/request_times.ts";
import { ROUNDS_MAX } from "../../../nbd/wire/limits.ts";
import type { MemoryPart } from "../../../device/linux/mod.ts";
import type { Carrier } from "../../../nbd/server/stream/stream.ts";
import { Transmission } from "../../../nbd/server/transmission/transmission.ts";
import { encodeRequest, NBD } from "../../helpers/nbd_client.ts";
import { HeldDevice } from "./held_device.ts";
import { exportOf, pattern } from "./serving.ts";
import { isSame } from "./tracked_serving.ts";

const MIB = 1024 * 1024;
const SIZE = 8 * MIB;

/** A number from 0 up to a limit, the same each time for the same seed. */
function dice(seed: number): (limit: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Serves a device over a connection until that ends. */
async function serveOver(
  stream: Carrier,
  device: BlockDevice,
): Promise<void> {
  const nbdExport = exportOf(device);
  const properties = propertiesOf(nbdExport);
  const problems: unknown[] = [];
  const transmission = new Transmission(
    stream,
    { nbdExport, properties, early: new Uint8Array(0), encrypted: undefined },
    {
      isAlone: () => true,
      counters: createCounters(),
      times: new RequestTimes(),
      onError: (error) => problems.push(error),
      onPanic: (error) => problems.push(error),
    },
  );
  await transmission.run();
  assertEquals(problems, []);
}

function turn(): Promise<void> {
  return new Promise((done) => setTimeout(done));
}

/** What a carrier tells of itself that holds nothing of its own. */
class Unmoved {
  readonly manner = "";
  readonly activity = 0;
  readonly isDrained = true;

  divert(): void {}
  addCounts(): void {}

  close(): void {}
}

/** Gives requests and takes replies in pieces of any size, now or later. */
class Fitful extends Unmoved implements Carrier {
  readonly taken: Uint8Array[] = [];
  readonly #dice: (limit: number) => number;
  #requests: Uint8Array;
  #isWriting = false;
  readonly #isSingle: boolean;

  constructor(requests: Uint8Array, seed: number) {
    super();
    this.#isSingle = seed % 3 > 0;
    this.#requests = requests;
    this.#dice = dice(seed);
  }

  async read(target: Uint8Array): Promise<number | null> {
    if (this.#dice(5) === 0) await turn();
    return this.#give(target) || null;
  }

  async write(source: Uint8Array): Promise<number> {
    assert(!this.#isWriting, "two writes at once");
    this.#isWriting = true;
    const count = 1 + this.#dice(source.length);
    // Bytes that are not taken yet must not change.
    const bytes = source.slice(0, count);
    if (this.#dice(10) === 0) await turn();
    assert(isSame(source.subarray(0, count), bytes), "they have changed");
    this.taken.push(bytes);
    this.#isWriting = false;
    return count;
  }

  writeNow(memory: Uint8Array, start: number, end: number): number {
    assert(!this.#isWriting, "a write while another one is under way");
    const wishes = [0, end - start, this.#dice(end - start)];
    const count = wishes[this.#dice(3)] ?? 0;
    this.taken.push(memory.slice(start, start + count));
    return count;
  }

  /** As one piece of memory, any part of which is taken. */
  writePartsNow(parts: readonly MemoryPart[]): number {
    assert(parts.every(({ start, end }) => start < end), "an empty part");
    const pieces = parts.map(({ bytes, start, end }) =>
      bytes.slice(start, end)
    );
    const all = pieces.flatMap((piece) => [...piece]);
    return this.writeNow(new Uint8Array(all), 0, all.length);
  }

  /** Often one request alone. */
  #give(target: Uint8Array): number {
    const isOne = this.#isSingle || this.#dice(2) === 0;
    const most = isOne ? 28 : 1 + this.#dice(200);
    const count = Math.min(target.length, most, this.#requests.length);
    target.set(this.#requests.subarray(0, count));
    this.#requests = this.#requests.subarray(count);
    return count;
  }
}

/** A device whose reads are done at once, or later, as they like. */
function moody(
  disk: Uint8Array,
  seed: number,
  isPrompt: boolean,
): BlockDevice {
  const device = new MemoryDevice(disk.length);
  device.write(disk, 0);
  const roll = dice(seed);
  return new Proxy(device, {
    get(inner, name) {
      if (name === "read") {
        return (target: Uint8Array, offset: number) => {
          if (isPrompt || roll(8) > 0) return inner.read(target, offset);
          return turn().then(() => inner.read(target, offset));
        };
      }
      const value = Reflect.get(inner, name, inner);
      return typeof value === "function" ? value.bind(inner) : value;
    },
  });
}

Deno.test("replies are whole and come once, however they are taken", async () => {
  const disk = pattern(SIZE, 5);
  for (let seed = 1; seed <= 8; seed++) {
    const roll = dice(seed + 1000);
    const reads = Array.from({ length: 300 }, (_, i) => {
      const length = 1 + roll(i % 100 === 99 ? 3 * MIB : 5000);
      return { length, offset: roll(SIZE - length) };
    });
    const command = NBD.CMD_READ;
    const requests = reads.map((read, i) =>
      encodeRequest({ command, ...read, cookie: BigInt(i) }).slice()
    );
    const bytes = await new Blob(requests).bytes();
    const stream = new Fitful(bytes, seed);
    await serveOver(stream, moody(disk, seed, seed % 2 === 0));
    const replies = await new Blob(stream.taken.map((one) => one.slice()))
      .bytes();
    const view = new DataView(replies.buffer);
    const seen = new Set<number>();
    for (let at = 0; at < replies.length;) {
      const cookie = Number(view.getBigUint64(at + 8));
      const read = reads[cookie];
      assert(read !== undefined && !seen.has(cookie), `seed ${seed}`);
      seen.add(cookie);
      assertEquals(view.getUint32(at + 4), 0);
      const { offset, length } = read;
      const payload = replies.subarray(at + 16, at + 16 + length);
      const wanted = disk.subarray(offset, offset + length);
      assert(isSame(payload, wanted), `seed ${seed}, request ${cookie}`);
      at += 16 + length;
    }
    assertEquals(seen.size, reads.length, `seed ${seed}`);
  }
});

/** Always has a request, and always takes all. */
class Eager extends Unmoved implements Carrier {
  /** How often it took something since it was last asked for a turn. */
  taken = 0;
  /** The most of that. */
  takenMost = 0;
  #rest: number;
  readonly #request: Uint8Array;

  constructor(length: number, requests: number) {
    super();
    this.#rest = requests;
    const command = NBD.CMD_READ;
    this.#request = encodeRequest({ command, offset: 0, length, cookie: 1n });
  }

  async read(target: Uint8Array): Promise<number | null> {
    this.#turns();
    await turn();
    return this.#give(target) || null;
  }

  async write({ length }: Uint8Array): Promise<number> {
    this.#turns();
    await turn();
    return length;
  }

  writeNow(_: Uint8Array, start: number, end: number): number {
    this.takenMost = Math.max(this.takenMost, ++this.taken);
    return end - start;
  }

  #turns(): void {
    this.taken = 0;
  }

  #give(target: Uint8Array): number {
    if (this.#rest === 0) return 0;
    this.#rest--;
    target.set(this.#request);
    return this.#request.length;
  }
}

Deno.test("long READs that are taken at once leave others their turn", async () => {
  const stream = new Eager(32 * MIB, 8);
  await serveOver(stream, new MemoryDevice(32 * MIB));
  // A round sends what two buffers hold.
  assert(stream.takenMost <= 2 * ROUNDS_MAX, `${stream.takenMost} sends`);
});

/** Gives some requests one by one, and notes what it is asked for then. */
class Watched extends Unmoved implements Carrier {
  /** Bytes of each send. */
  readonly sent: number[] = [];
  /** Called when all is given and more is waited for. */
  onDrained: () => void = () => {};
  #end = Promise.withResolvers<null>();
  readonly #requests: Uint8Array[];

  constructor(requests: Uint8Array[]) {
    super();
    this.#requests = requests;
  }

  end(): void {
    this.#end.resolve(null);
  }

  async read(target: Uint8Array): Promise<number | null> {
    if (this.#requests.length === 0) this.onDrained();
    return this.#give(target) || await this.#end.promise;
  }

  async write({ length }: Uint8Array): Promise<number> {
    this.sent.push(length);
    await turn();
    return length;
  }

  writeNow(_: Uint8Array, start: number, end: number): number {
    this.sent.push(end - start);
    return end - start;
  }

  #give(target: Uint8Array): number {
    const request = this.#requests.shift() ?? new Uint8Array(0);
    target.set(request);
    return request.length;
  }
}

const FLUSH = encodeRequest({
  command: NBD.CMD_FLUSH,
  offset: 0,
  length: 0,
  cookie: 1n,
}).slice();

Deno.test("requests that finish together are answered together", async () => {
  const flushes = 16;
  const stream = new Watched([
    await new Blob(Array.from({ length: flushes }, () => FLUSH)).bytes(),
  ]);
  const device = new HeldDevice();
  device.holds = (kind) => kind === "flush";
  stream.onDrained = () => {
    for (const flush of [...device.held]) flush.finish();
    setTimeout(() => stream.end());
  };
  await serveOver(stream, device);
  assertEquals(stream.sent, [16 * flushes]);
});
