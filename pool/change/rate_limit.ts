/**
 * Background work at a bounded rate, and how fast it really is.
 *
 * @module
 */

/** What was done longer ago than this does not count, milliseconds. */
const WINDOW_MS = 10_000;
/** A pause shorter than this is not worth a timer, milliseconds. */
const SHORTEST_PAUSE_MS = 5;

/** A rate. */
export class RateLimit {
  /** The highest rate, bytes a second; 0 for none. */
  bytesPerSecond = 0;
  #isHurried = false;
  /** When the next bytes may be spent, milliseconds. */
  #nextAt = 0;
  #pause: { end: () => void; timer: ReturnType<typeof setTimeout> } | undefined;
  /** When how many bytes were spent, the latest last. */
  #spent: { at: number; bytes: number }[] = [];

  /**
   * Sets the highest rate.
   *
   * @param bytesPerSecond Bytes a second; 0 for none.
   */
  limit(bytesPerSecond: number): void {
    this.endPauses();
    this.bytesPerSecond = bytesPerSecond;
    this.#isHurried = false;
    this.#nextAt = 0;
    this.#spent = [];
  }

  /** Bytes a second, lately. */
  get measured(): number {
    const since = performance.now() - WINDOW_MS;
    const lately = this.#spent.filter(({ at }) => at >= since);
    const [first] = lately;
    if (first === undefined) return 0;
    const bytes = lately.reduce((sum, one) => sum + one.bytes, 0);
    return bytes * 1000 / Math.max(1, performance.now() - first.at);
  }

  /**
   * Takes note of bytes, and waits if they came too fast.
   *
   * @param bytes How many.
   * @returns Done when more may come.
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

  /** Makes pauses again, after {@linkcode endPauses}. */
  resumePauses(): void {
    this.#isHurried = false;
    this.#nextAt = 0;
  }

  /** Ends the pause that is on, and makes no more until they are resumed. */
  endPauses(): void {
    this.#isHurried = true;
    clearTimeout(this.#pause?.timer);
    this.#pause?.end();
  }
}
