/**
 * The last round trips of a remote disk.
 *
 * @module
 */

/** Round trips that are remembered. */
const COUNT = 512;

/** Remembers the last round trips. */
export class RoundTrips {
  readonly #times = new Float64Array(COUNT);
  #count = 0;

  /**
   * Adds a round trip.
   *
   * @param ms Milliseconds.
   */
  add(ms: number): void {
    this.#times[this.#count % COUNT] = ms;
    this.#count += 1;
  }

  /**
   * A quantile of the last round trips.
   *
   * @param share Share of round trips that are no longer, 0 to 1.
   * @returns Milliseconds; 0 before the first round trip.
   */
  quantile(share: number): number {
    const count = Math.min(this.#count, COUNT);
    if (count === 0) return 0;
    const sorted = this.#times.slice(0, count).sort();
    return sorted[Math.min(count - 1, Math.floor(share * count))] ?? 0;
  }
}
