/**
 * Load on a remote disk that knows at any time what must be there: every block
 * carries its number and a version that only grows.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { BlockDevice } from "../../device/mod.ts";
import { eventually } from "../helpers/patience.ts";
import { Random } from "../simulation/random.ts";

/** Bytes of a block of the load. */
export const BLOCK = 4096;
/** Writers at once; each has blocks of its own. */
const WRITERS = 8;

/** The disk under load. */
export type LoadedDisk = Pick<BlockDevice, "flush" | "read" | "write">;

/** Writes, zeroes and flushes, and what must have come of it. */
export class VerifiedLoad {
  readonly #disk: LoadedDisk;
  readonly #random: Random;
  readonly #blocks: number;
  /** Version that was sent last. */
  readonly #sent: Uint32Array;
  /** Version that was acknowledged last. */
  readonly #acknowledged: Uint32Array;
  /** Version that a good flush has covered, or was written with FUA. */
  readonly #flushed: Uint32Array;
  #stopping = false;
  #count = 0;
  #flushes = 0;

  /**
   * Prepares a load.
   *
   * @param disk The disk.
   * @param blocks How many of its blocks to use.
   * @param seed Seed of the choices.
   */
  constructor(disk: LoadedDisk, blocks: number, seed: number) {
    this.#disk = disk;
    this.#blocks = blocks;
    this.#random = new Random(seed);
    this.#sent = new Uint32Array(blocks);
    this.#acknowledged = new Uint32Array(blocks);
    this.#flushed = new Uint32Array(blocks);
  }

  /** Writes that were acknowledged. */
  get count(): number {
    return this.#count;
  }

  /** Good flushes. */
  get flushes(): number {
    return this.#flushes;
  }

  /**
   * Runs until {@linkcode stop}.
   *
   * @returns Ends with the load; rejects with the first error.
   */
  async run(): Promise<void> {
    await Promise.all([
      ...Array.from({ length: WRITERS }, (_, i) => this.#write(i)),
      this.#flushNowAndThen(),
    ]);
  }

  /** Ends the load. */
  stop(): void {
    this.#stopping = true;
  }

  /**
   * Waits for further writes.
   *
   * @param writes How many.
   */
  async progress(writes: number): Promise<void> {
    const wanted = this.#count + writes;
    await eventually("the load goes on", () => this.#count >= wanted);
  }

  /**
   * Checks what a far server keeps without its memory: at least what was
   * flushed.
   *
   * @param image The content of the far disk.
   * @returns Blocks whose acknowledged version is missing there.
   */
  checkDurable(image: Uint8Array): number {
    let forgotten = 0;
    for (let block = 0; block < this.#blocks; block++) {
      const version = this.#versionIn(image, block);
      const flushed = this.#flushed[block] ?? 0;
      assert(
        version >= flushed,
        `block ${block} was flushed as ${flushed}, and is ${version}`,
      );
      if (version < (this.#acknowledged[block] ?? 0)) forgotten += 1;
    }
    return forgotten;
  }

  /**
   * Reads the disk; at least what was acknowledged must be there. A block that
   * is written meanwhile may be read as a mixture of its versions: no server
   * promises more, and file systems copy a page to a reader while they copy
   * another over it.
   */
  async checkDisk(): Promise<void> {
    const before = this.#acknowledged.slice();
    const content = new Uint8Array(this.#blocks * BLOCK);
    await this.#disk.read(content, 0);
    for (let block = 0; block < this.#blocks; block++) {
      const least = before[block] ?? 0;
      const versions = this.#sent[block] === least
        ? [this.#versionIn(content, block)]
        : this.#versionsIn(content, block);
      const version = Math.min(...versions);
      assert(
        version >= least,
        `block ${block} was acknowledged as ${least}, and is ${version}`,
      );
    }
  }

  /** The version of a block, which must be whole, and one that was sent. */
  #versionIn(image: Uint8Array, block: number): number {
    const versions = this.#versionsIn(image, block);
    const [version = 0] = versions;
    assert(versions.size === 1, `block ${block} is mixed: ${[...versions]}`);
    return version;
  }

  /** The versions that a block is made of, each of which was sent. */
  #versionsIn(image: Uint8Array, block: number): Set<number> {
    const words = new Uint32Array(
      image.slice(block * BLOCK, (block + 1) * BLOCK).buffer,
    );
    const versions = new Set<number>();
    for (let i = 0; i < words.length; i += 2) {
      const [version = 0, stamp = 0] = words.subarray(i, i + 2);
      const isOfBlock = stamp === (version === 0 ? 0 : block) &&
        version <= (this.#sent[block] ?? 0);
      assert(isOfBlock, `block ${block}: version ${version} of ${stamp}`);
      versions.add(version);
    }
    return versions;
  }

  async #write(writer: number): Promise<void> {
    const random = this.#random;
    while (!this.#stopping) {
      const mine = Math.floor(this.#blocks / WRITERS);
      const block = random.below(mine) * WRITERS + writer;
      const version = (this.#sent[block] ?? 0) + 1;
      this.#sent[block] = version;
      const words = new Uint32Array(BLOCK / 4);
      for (let i = 0; i < words.length; i += 2) {
        words[i] = version;
        words[i + 1] = block;
      }
      const fua = random.chance(5);
      const bytes = new Uint8Array(words.buffer);
      await this.#disk.write(bytes, block * BLOCK, { fua });
      if (fua) this.#flushed[block] = version;
      this.#acknowledged[block] = version;
      this.#count += 1;
    }
  }

  async #flushNowAndThen(): Promise<void> {
    while (!this.#stopping) {
      const next = this.#count + this.#random.below(400);
      await eventually("writes", () => this.#stopping || this.#count >= next);
      const covered = this.#acknowledged.slice();
      await this.#disk.flush();
      for (const [block, version] of covered.entries()) {
        this.#flushed[block] = Math.max(this.#flushed[block] ?? 0, version);
      }
      this.#flushes += 1;
    }
  }
}
