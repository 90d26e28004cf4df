/**
 * 64-bit arguments of native calls, without allocations.
 *
 * The runtime's fast calls take BigInts. They also accept numbers, but through
 * a slow path that allocates, and the engine then compiles and discards the
 * caller's fast code again and again. `BigInt(value)` allocates, too. A BigInt
 * that is read from a typed array and passed to a call at once does not.
 *
 * @module
 */

const HALF = 2 ** 32;

/** 64-bit words for the arguments of one call at a time. */
export class NativeWords {
  /** The words as they lie in memory. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  // Low half first: all systems that the runtime supports are little-endian.
  readonly #halves: Uint32Array;
  readonly #unsigned: BigUint64Array;
  readonly #signed: BigInt64Array;

  /**
   * Creates words of 0.
   *
   * @param count Number of words.
   */
  constructor(count: number) {
    const memory = new ArrayBuffer(8 * count);
    this.bytes = new Uint8Array(memory);
    this.#halves = new Uint32Array(memory);
    this.#unsigned = new BigUint64Array(memory);
    this.#signed = new BigInt64Array(memory);
  }

  /**
   * Sets a word, for an unsigned argument.
   *
   * @param index Index of the word, from 0.
   * @param value A whole number from 0 to 2^53 - 1.
   * @returns The word; pass it to a native call at once.
   */
  unsigned(index: number, value: number): bigint {
    this.#set(index, value);
    return this.#unsigned[index] ?? 0n;
  }

  /**
   * Sets a word, for a signed argument.
   *
   * @param index Index of the word, from 0.
   * @param value A whole number from 0 to 2^53 - 1.
   * @returns The word; pass it to a native call at once.
   */
  signed(index: number, value: number): bigint {
    this.#set(index, value);
    return this.#signed[index] ?? 0n;
  }

  #set(index: number, value: number): void {
    const halves = this.#halves;
    halves[2 * index] = value;
    halves[2 * index + 1] = value / HALF;
  }
}
