/**
 * A set of chunk numbers of one component, with one bit for each.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/** A set of chunk numbers. */
export class ChunkSet {
  /** All numbers are below this. */
  end: number;

  #words: Uint32Array;
  #size: number;
  /** No word before this one has a bit set. */
  #lowest = 0;

  /**
   * Creates a set that contains all numbers from `from` up to `end`.
   *
   * @param end The upper bound, exclusive; at most 2^32-1.
   * @param from The lowest number in the set.
   */
  constructor(end: number, from: number) {
    this.end = end;
    this.#words = new Uint32Array(Math.ceil(end / 32)).fill(0xffff_ffff);
    this.#size = end - from;
    this.#words.fill(0, 0, Math.floor(from / 32));
    if (from < end) this.#trim(Math.floor(from / 32), -1 << from % 32);
    else this.#words.fill(0);
    const last = end % 32;
    if (last !== 0) this.#trim(this.#words.length - 1, ~(-1 << last));
  }

  /** How many chunks the set contains. */
  get size(): number {
    return this.#size;
  }

  /**
   * Whether the set contains a chunk.
   *
   * @param chunk Its number.
   * @returns Whether it is in the set.
   */
  has(chunk: number): boolean {
    return ((this.#words[chunk >>> 5] ?? 0) & 1 << (chunk & 31)) !== 0;
  }

  /**
   * Adds a chunk.
   *
   * @param chunk Its number; not in the set.
   */
  add(chunk: number): void {
    assert(chunk < this.end && !this.has(chunk), "a chunk is added once");
    const word = chunk >>> 5;
    this.#words[word] = (this.#words[word] ?? 0) | 1 << (chunk & 31);
    this.#size++;
    if (word < this.#lowest) this.#lowest = word;
  }

  /**
   * Adds all numbers from the upper bound up to another one.
   *
   * @param end The new upper bound, exclusive; at most 2^32-1.
   */
  grow(end: number): void {
    const words = new Uint32Array(Math.ceil(end / 32));
    words.set(this.#words);
    let chunk = this.end;
    [this.#words, this.end] = [words, end];
    while (chunk < end) {
      const isWhole = chunk % 32 === 0 && chunk + 32 <= end;
      if (isWhole) {
        words[chunk >>> 5] = 0xffff_ffff;
        this.#size += 32;
      } else {
        this.add(chunk);
      }
      chunk += isWhole ? 32 : 1;
    }
  }

  /**
   * Deletes a chunk.
   *
   * @param chunk Its number; in the set.
   */
  delete(chunk: number): void {
    assert(this.has(chunk), "a chunk to delete is in the set");
    const word = chunk >>> 5;
    this.#words[word] = (this.#words[word] ?? 0) & ~(1 << (chunk & 31));
    this.#size--;
  }

  /**
   * Finds the lowest chunk of the set.
   *
   * @returns Its number, or `end` if the set is empty.
   */
  first(): number {
    const words = this.#words;
    let word = this.#lowest;
    while (word < words.length && words[word] === 0) word++;
    this.#lowest = word;
    return word === words.length ? this.end : lowestOf(word, words[word] ?? 0);
  }

  /**
   * Finds the next chunk of the set.
   *
   * @param from Where to start, up to `end`.
   * @returns The lowest number from there on, or `end` if there is none.
   */
  next(from: number): number {
    const words = this.#words;
    let word = from >>> 5;
    let bits = (words[word] ?? 0) & -1 << (from & 31);
    while (bits === 0) {
      if (++word >= words.length) return this.end;
      bits = words[word] ?? 0;
    }
    return lowestOf(word, bits);
  }

  /**
   * Finds the next chunk that is not in the set.
   *
   * @param from Where to start, up to `end`.
   * @param limit Where to stop, up to `end`.
   * @returns The lowest such number from `from` on, or `limit`.
   */
  nextGap(from: number, limit: number): number {
    const words = this.#words;
    let word = from >>> 5;
    let gaps = ~(words[word] ?? 0) & -1 << (from & 31);
    while (gaps === 0) {
      if (++word * 32 >= limit) return limit;
      gaps = ~(words[word] ?? 0);
    }
    return Math.min(limit, lowestOf(word, gaps));
  }

  #trim(word: number, mask: number): void {
    this.#words[word] = (this.#words[word] ?? 0) & mask;
  }
}

/** The number that the lowest set bit of a word stands for. */
function lowestOf(word: number, bits: number): number {
  return word * 32 + 31 - Math.clz32(bits & -bits);
}
