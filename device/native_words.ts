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
  /** What {@linkcode set} has put there, to be handed to a call at once. */
  readonly words: BigUint64Array;
  /** The same, for arguments that are signed. */
  readonly signed: BigInt64Array;
  // The low half comes first on all systems that the runtime is made for.
  readonly #halves: Uint32Array;

  /**
   * Begins with zeroes.
   *
   * @param count How many words.
   */
  constructor(count: number) {
    this.words = new BigUint64Array(count);
    this.signed = new BigInt64Array(this.words.buffer);
    this.#halves = new Uint32Array(this.words.buffer);
  }

  /**
   * Sets a word.
   *
   * @param index Which, from 0.
   * @param value A whole number from 0 to 2^53 - 1.
   */
  set(index: number, value: number): void {
    const halves = this.#halves;
    halves[2 * index] = value;
    halves[2 * index + 1] = value / HALF;
  }
}
