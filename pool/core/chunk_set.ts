/**
 * A set of chunk numbers of one component, a bit each.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/** Chunks, by number. */
export class ChunkSet {
  /** Numbers are below this. */
  readonly end: number;

  readonly #words: Uint32Array;
  #size: number;
  /** No word before this one has a bit set. */
  #lowest = 0;

  /**
   * Creates a set.
   *
   * @param end Numbers are below this; up to 2^32-1.
   * @param from All numbers from here on are in it, the others are not.
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

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /**
   * Whether a chunk is in the set.
   *
   * @param chunk Its number.
   * @returns Whether it is.
   */
  has(chunk: number): boolean {
    return ((this.#words[chunk >>> 5] ?? 0) & 1 << (chunk & 31)) !== 0;
  }

  /**
   * Adds a chunk that is not in the set.
   *
   * @param chunk Its number.
   */
  add(chunk: number): void {
    assert(chunk < this.end && !this.has(chunk), "a chunk is added once");
    const word = chunk >>> 5;
    this.#words[word] = (this.#words[word] ?? 0) | 1 << (chunk & 31);
    this.#size++;
    if (word < this.#lowest) this.#lowest = word;
  }

  /**
   * Takes a chunk out of the set.
   *
   * @param chunk Its number; in the set.
   */
  delete(chunk: number): void {
    assert(this.has(chunk), "a chunk that is taken is there");
    const word = chunk >>> 5;
    this.#words[word] = (this.#words[word] ?? 0) & ~(1 << (chunk & 31));
    this.#size--;
  }

  /**
   * The lowest chunk of the set.
   *
   * @returns Its number, or `end` if there is none.
   */
  first(): number {
    const words = this.#words;
    let word = this.#lowest;
    while (word < words.length && words[word] === 0) word++;
    this.#lowest = word;
    return word === words.length ? this.end : lowestOf(word, words[word] ?? 0);
  }

  /**
   * The next chunk of the set.
   *
   * @param from Where to look from, up to `end`.
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
   * The next chunk that is not in the set.
   *
   * @param from Where to look from, up to `end`.
   * @param limit How far to look, up to `end`.
   * @returns The lowest such number from there on, or `limit`.
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

/** The number of the lowest bit that is set. */
function lowestOf(word: number, bits: number): number {
  return word * 32 + 31 - Math.clz32(bits & -bits);
}
