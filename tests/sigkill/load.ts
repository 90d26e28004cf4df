/**
 * A load of random requests, several in flight, that lasts until the server
 * is gone.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { NBD } from "../helpers/nbd_client.ts";
import { type BusyClient, LOST, type Reply } from "../helpers/busy_client.ts";
import { BLOCK, type StampedDisk } from "./stamped_disk.ts";

/** Requests in flight. */
const DEPTH = 16;

/** Numbers that look random and are the same for the same seed. */
export class Random {
  #state: number;

  /**
   * Starts a sequence.
   *
   * @param seed Which one.
   */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /**
   * The next number.
   *
   * @param end One more than the largest.
   * @returns 0 to `end` - 1.
   */
  below(end: number): number {
    // Mulberry32.
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ t >>> 15, t | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) % end;
  }

  /**
   * Whether something happens.
   *
   * @param percent How often.
   */
  happens(percent: number): boolean {
    return this.below(100) < percent;
  }
}

/** What a load works on. */
export interface LoadTarget {
  /** What the disk may hold. */
  readonly disk: StampedDisk;
  /** The virtual chunks that are in use; grows. */
  readonly chunks: Set<number>;
  /** How many virtual chunks there are. */
  readonly virtualChunks: number;
  /** Blocks of a chunk. */
  readonly chunkBlocks: number;
}

/** A run of blocks. */
interface Blocks {
  readonly first: number;
  readonly count: number;
}

/** A load on one server. */
export class Load {
  /** Requests that were acknowledged. */
  acknowledged = 0;
  readonly #client: BusyClient;
  readonly #target: LoadTarget;
  readonly #random: Random;
  /** How many more chunks may be taken into use. */
  #allowance: number;

  /**
   * Prepares a load.
   *
   * @param client The connection.
   * @param target What it works on.
   * @param random Where chance comes from.
   * @param allowance How many more chunks may be taken into use.
   */
  constructor(
    client: BusyClient,
    target: LoadTarget,
    random: Random,
    allowance: number,
  ) {
    this.#client = client;
    this.#target = target;
    this.#random = random;
    this.#allowance = allowance;
  }

  /** Sends requests until the connection is lost. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: DEPTH }, () => this.#worker()));
  }

  async #worker(): Promise<void> {
    for (;;) {
      const errno = await this.#one();
      if (errno === LOST) return;
      assertEquals(errno, 0);
      this.acknowledged++;
    }
  }

  /** One request; resolves with its error value. */
  #one(): Promise<number> {
    const random = this.#random;
    if (random.happens(8)) return this.#flush();
    if (random.happens(10)) return this.#read(this.#chooseBlocks());
    const isErasing = random.happens(25);
    if (!isErasing) return this.#write(this.#chooseBlocks());
    const chunks = random.happens(40) ? this.#chooseChunks() : undefined;
    const range = chunks ?? this.#chooseBlocks();
    return random.happens(50) ? this.#discard(range) : this.#zero(range);
  }

  async #flush(): Promise<number> {
    return (await this.#client.flush()).errno;
  }

  async #read({ first, count }: Blocks): Promise<number> {
    const { disk } = this.#target;
    disk.hold(first, count);
    const { errno, payload } = await this.#client.read(
      first * BLOCK,
      count * BLOCK,
    );
    disk.release(first, count);
    if (errno === 0) disk.verify(first, payload);
    return errno;
  }

  #write(range: Blocks): Promise<number> {
    const { first, count } = range;
    const flags = this.#random.happens(5) ? NBD.CMD_FLAG_FUA : 0;
    const bytes = this.#target.disk.beginWrite(first, count);
    return this.#done(range, this.#client.write(first * BLOCK, bytes, flags));
  }

  #zero(range: Blocks): Promise<number> {
    const { first, count } = range;
    const flags = this.#random.happens(50) ? NBD.CMD_FLAG_NO_HOLE : 0;
    this.#target.disk.beginZeroes(first, count);
    return this.#done(
      range,
      this.#client.writeZeroes(first * BLOCK, count * BLOCK, flags),
    );
  }

  #discard(range: Blocks): Promise<number> {
    const { first, count } = range;
    this.#target.disk.beginDiscard(first, count);
    return this.#done(range, this.#client.trim(first * BLOCK, count * BLOCK));
  }

  async #done(
    { first, count }: Blocks,
    reply: Promise<Reply>,
  ): Promise<number> {
    const { errno } = await reply;
    if (errno === 0) this.#target.disk.acknowledge(first, count);
    return errno;
  }

  /** Whole chunks that are in use, if nothing is under way for them. */
  #chooseChunks(): Blocks | undefined {
    const { chunks, chunkBlocks, disk } = this.#target;
    const used = [...chunks];
    for (let tries = 0; tries < 20 && used.length > 0; tries++) {
      const chunk = used[this.#random.below(used.length)] ?? 0;
      const most = 1 + this.#random.below(3);
      let length = 1;
      while (length < most && chunks.has(chunk + length)) length++;
      const range = { first: chunk * chunkBlocks, count: length * chunkBlocks };
      if (disk.isIdle(range.first, range.count)) return range;
    }
    return undefined;
  }

  /** Blocks for which nothing is under way, in chunks that may be used. */
  #chooseBlocks(): Blocks {
    const { chunks, virtualChunks, chunkBlocks, disk } = this.#target;
    for (let tries = 0; tries < 10_000; tries++) {
      // Another one each time: there may be no place for a long run.
      const count = this.#random.happens(10)
        ? 1 + this.#random.below(64)
        : 1 + this.#random.below(4);
      const used = [...chunks];
      const chunk = this.#allowance > 0 && this.#random.happens(20) ||
          used.length === 0
        ? this.#random.below(virtualChunks)
        : used[this.#random.below(used.length)] ?? 0;
      const first = chunk * chunkBlocks + this.#random.below(chunkBlocks);
      if (first + count > virtualChunks * chunkBlocks) continue;
      if (!disk.isIdle(first, count)) continue;
      const touched: number[] = [];
      const last = Math.floor((first + count - 1) / chunkBlocks);
      for (let c = chunk; c <= last; c++) if (!chunks.has(c)) touched.push(c);
      if (touched.length > this.#allowance) continue;
      this.#allowance -= touched.length;
      for (const c of touched) chunks.add(c);
      return { first, count };
    }
    assert(false, "there are blocks to choose from");
  }
}
