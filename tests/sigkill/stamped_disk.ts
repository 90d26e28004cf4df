/**
 * What a disk may hold after a crash: every block of 4 KiB carries its own
 * number and a generation, so that a lost write, a torn one and bytes of
 * another block are distinguished.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import { Buffer } from "node:buffer";

/** Bytes of a block. */
export const BLOCK = 4096;
/** The generation of a block that holds zeroes. */
export const ZEROES = 0;

interface BlockState {
  /** The generation that was acknowledged last; several after a discard. */
  settled: readonly number[];
  /** The one that is under way or was lost, if any. */
  maybe: number | undefined;
  /** What is under way is a discard: the block may stay as it is. */
  mayStay: boolean;
}

const NEVER_WRITTEN: readonly number[] = [ZEROES];
const ZERO_BLOCK = new Uint8Array(BLOCK);

/** The generations that each block may hold. */
export class StampedDisk {
  readonly #seed: number;
  readonly #blocks = new Map<number, BlockState>();
  /** Blocks that are being read. */
  readonly #held = new Set<number>();
  #generation = ZEROES;

  /**
   * Makes a disk of zeroes.
   *
   * @param seed Tells the blocks of this disk from those of another one.
   */
  constructor(seed: number) {
    this.#seed = seed >>> 0;
  }

  /**
   * Whether nothing is under way for any block of a run.
   *
   * @param first The first block.
   * @param count How many.
   * @returns False if something is.
   */
  isIdle(first: number, count: number): boolean {
    for (let block = first; block < first + count; block++) {
      if (this.#held.has(block)) return false;
      if (this.#blocks.get(block)?.maybe !== undefined) return false;
    }
    return true;
  }

  /**
   * Keeps writes away while a run is read.
   *
   * @param first The first block.
   * @param count How many.
   */
  hold(first: number, count: number): void {
    for (let i = 0; i < count; i++) this.#held.add(first + i);
  }

  /**
   * A run was read.
   *
   * @param first The first block.
   * @param count How many.
   */
  release(first: number, count: number): void {
    for (let i = 0; i < count; i++) this.#held.delete(first + i);
  }

  /**
   * Begins to write a run of blocks.
   *
   * @param first The first block.
   * @param count How many.
   * @returns The bytes, each block with its new generation.
   */
  beginWrite(first: number, count: number): Uint8Array {
    const bytes = new Uint8Array(count * BLOCK);
    this.#generation++;
    for (let i = 0; i < count; i++) {
      this.#begin(first + i, this.#generation);
      this.#stamp(
        bytes.subarray(i * BLOCK, (i + 1) * BLOCK),
        first + i,
        this.#generation,
      );
    }
    return bytes;
  }

  /**
   * Begins to zero a run of blocks.
   *
   * @param first The first block.
   * @param count How many.
   */
  beginZeroes(first: number, count: number): void {
    for (let i = 0; i < count; i++) this.#begin(first + i, ZEROES);
  }

  /**
   * Begins to discard a run of blocks: from then on each holds zeroes or what
   * it held before.
   *
   * @param first The first block.
   * @param count How many.
   */
  beginDiscard(first: number, count: number): void {
    for (let i = 0; i < count; i++) this.#begin(first + i, ZEROES, true);
  }

  /**
   * What was begun for a run was acknowledged.
   *
   * @param first The first block.
   * @param count How many.
   */
  acknowledge(first: number, count: number): void {
    for (let block = first; block < first + count; block++) {
      const state = this.#blocks.get(block);
      if (state?.maybe === undefined) continue;
      settle(state, state.maybe);
    }
  }

  /**
   * Takes what was read for the truth, if it may be that.
   *
   * @param first The first block.
   * @param bytes What it and the following ones hold.
   * @throws {AssertionError} If a block holds anything but its last
   *   acknowledged generation or, after a crash, the one that was lost.
   */
  verify(first: number, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length / BLOCK; i++) {
      this.#verifyBlock(
        first + i,
        bytes.subarray(i * BLOCK, (i + 1) * BLOCK),
      );
    }
  }

  #verifyBlock(block: number, bytes: Uint8Array): void {
    const state = this.#blocks.get(block);
    const settled = state?.settled ?? NEVER_WRITTEN;
    const found = this.#generationOf(bytes, block);
    if (found !== undefined && settled.includes(found)) {
      // What was under way may be lost, or not.
      if (state !== undefined) state.maybe = undefined;
      return;
    }
    if (found !== undefined && state?.maybe === found) {
      return settle(state, found);
    }
    throw new AssertionError(
      `Block ${block} holds ${found ?? this.#describe(bytes)}; ` +
        `generation ${settled.join(" or ")} was acknowledged last, ` +
        `${state?.maybe ?? "none"} was under way`,
    );
  }

  #begin(block: number, generation: number, mayStay = false): void {
    const state = this.#blocks.get(block);
    if (state === undefined) {
      const settled = NEVER_WRITTEN;
      this.#blocks.set(block, { settled, maybe: generation, mayStay });
    } else {
      state.maybe = generation;
      state.mayStay = mayStay;
    }
  }

  /** Four words over and over: seed, block, generation, place. */
  #stamp(target: Uint8Array, block: number, generation: number): void {
    const words = new Uint32Array(
      target.buffer,
      target.byteOffset,
      BLOCK / 4,
    );
    for (let i = 0; i < words.length; i += 4) {
      words[i] = this.#seed;
      words[i + 1] = block;
      words[i + 2] = generation;
      words[i + 3] = i;
    }
  }

  /** The generation of a whole block, or nothing if it is none. */
  #generationOf(bytes: Uint8Array, block: number): number | undefined {
    if (Buffer.compare(bytes, ZERO_BLOCK) === 0) return ZEROES;
    const generation = new DataView(bytes.buffer, bytes.byteOffset)
      .getUint32(8, true);
    const wanted = new Uint8Array(BLOCK);
    this.#stamp(wanted, block, generation);
    return Buffer.compare(bytes, wanted) === 0 ? generation : undefined;
  }

  #describe(bytes: Uint8Array): string {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const word = (at: number) => view.getUint32(at, true);
    const ends = [0, BLOCK - 16].map((at) =>
      `disk ${word(at)} block ${word(at + 4)} generation ${word(at + 8)}`
    );
    return `neither zeroes nor itself but ${ends.join(" … ")}`;
  }
}

/** What was under way is done. */
function settle(state: BlockState, generation: number): void {
  const before = state.mayStay ? state.settled : [];
  state.settled = [...new Set([...before, generation])];
  state.maybe = undefined;
}
