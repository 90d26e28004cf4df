/**
 * Random numbers from a seed, the same on every machine.
 *
 * @module
 */

/** A generator; mulberry32, a public-domain classic of one line. */
export class Random {
  #state: number;

  /**
   * Creates a generator.
   *
   * @param seed A u32; the same seed gives the same numbers.
   */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /**
   * A whole number.
   *
   * @param end Above 0.
   * @returns 0 to `end - 1`.
   */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % end;
  }

  /**
   * True now and then.
   *
   * @param percent How often, of 100.
   * @returns Whether it is one of these times.
   */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  /**
   * One of several things.
   *
   * @param things At least one.
   * @returns One of them.
   */
  pick<T>(things: readonly T[]): T {
    const thing = things[this.below(things.length)];
    if (thing === undefined) throw new Error("There is nothing to pick");
    return thing;
  }
}
