/**
 * 64-bit arguments of native calls, for which nothing is allocated.
 *
 * The runtime's fast way to call takes BigInts. A number is taken as well, but
 * on a slow way that allocates, and the engine keeps compiling the caller for
 * the fast way and taking it back, for as long as it runs. `BigInt(value)`
 * allocates. What is read from an array of 64-bit words is handed on as it is.
 *
 * @module
 */

const HALF = 2 ** 32;

/** Words that are arguments of one call at a time. */
export class NativeWords {
  /** All of them, as they are in memory. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  // The low half comes first on all systems that the runtime is made for.
  readonly #halves: Uint32Array;
  readonly #unsigned: BigUint64Array;
  readonly #signed: BigInt64Array;

  /**
   * Begins with zeroes.
   *
   * @param count How many words.
   */
  constructor(count: number) {
    const memory = new ArrayBuffer(8 * count);
    this.bytes = new Uint8Array(memory);
    this.#halves = new Uint32Array(memory);
    this.#unsigned = new BigUint64Array(memory);
    this.#signed = new BigInt64Array(memory);
  }

  /**
   * Sets a word.
   *
   * @param index Which, from 0.
   * @param value A whole number from 0 to 2^53 - 1.
   * @returns It, to be handed to a call at once.
   */
  unsigned(index: number, value: number): bigint {
    this.#set(index, value);
    return this.#unsigned[index] ?? 0n;
  }

  /**
   * The same, for an argument that is signed.
   *
   * @param index Which, from 0.
   * @param value A whole number from 0 to 2^53 - 1.
   * @returns It, to be handed to a call at once.
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
