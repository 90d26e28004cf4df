/**
 * A rate limit for background work, which also measures the actual rate.
 *
 * @module
 */

/** The measured rate covers this time, milliseconds. */
const WINDOW_MS = 10_000;
/** Shorter pauses are skipped, since a timer costs more, milliseconds. */
const SHORTEST_PAUSE_MS = 5;

/** Limits and measures the rate of background work. */
export class RateLimit {
  /** The maximum rate, bytes a second; 0 for no limit. */
  bytesPerSecond = 0;
  #isHurried = false;
  /** The time at which the limit allows the next bytes, milliseconds. */
  #nextAt = 0;
  #pause: { end: () => void; timer: ReturnType<typeof setTimeout> } | undefined;
  /** Recent bytes with their times in milliseconds, the latest last. */
  #spent: { at: number; bytes: number }[] = [];

  /**
   * Sets the maximum rate, and forgets the measurement.
   *
   * @param bytesPerSecond Bytes a second; 0 for no limit.
   */
  limit(bytesPerSecond: number): void {
    this.endPauses();
    this.bytesPerSecond = bytesPerSecond;
    this.#isHurried = false;
    this.#nextAt = 0;
    this.#spent = [];
  }

  /**
   * The measured rate of the last 10 seconds, bytes a second; never above the
   * limit, although the first bytes come at once.
   */
  get measured(): number {
    const since = performance.now() - WINDOW_MS;
    const lately = this.#spent.filter(({ at }) => at >= since);
    const [first] = lately;
    if (first === undefined) return 0;
    const bytes = lately.reduce((sum, one) => sum + one.bytes, 0);
    const measured = bytes * 1000 / Math.max(1, performance.now() - first.at);
    return this.bytesPerSecond === 0
      ? measured
      : Math.min(measured, this.bytesPerSecond);
  }

  /**
   * Counts bytes, and pauses if they came faster than the limit.
   *
   * @param bytes How many bytes were spent.
   * @returns Settles when more bytes may be spent.
   */
  async spend(bytes: number): Promise<void> {
    const now = performance.now();
    this.#spent.push({ at: now, bytes });
    const since = now - WINDOW_MS;
    while ((this.#spent[0]?.at ?? now) < since) this.#spent.shift();
    if (this.bytesPerSecond === 0 || this.#isHurried) return;
    this.#nextAt = Math.max(this.#nextAt, now) +
      bytes * 1000 / this.bytesPerSecond;
    const pause = this.#nextAt - now;
    if (pause < SHORTEST_PAUSE_MS) return;
    await new Promise<void>((end) => {
      this.#pause = { end, timer: setTimeout(end, pause) };
    });
    this.#pause = undefined;
  }

  /** Allows pauses again, after {@linkcode endPauses}. */
  resumePauses(): void {
    this.#isHurried = false;
    this.#nextAt = 0;
  }

  /** Ends a running pause; no others follow until {@linkcode resumePauses}. */
  endPauses(): void {
    this.#isHurried = true;
    clearTimeout(this.#pause?.timer);
    this.#pause?.end();
  }
}
