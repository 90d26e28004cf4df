/**
 * When to try something again that pays at times: after each time in vain it is
 * not tried for a while, and then for a longer one.
 *
 * @module
 */

/** Decides about one thing. */
export class Backoff {
  readonly #pauseMin: number;
  readonly #pauseMax: number;
  /** Times that are still to be left out. */
  #pause = 0;
  /** Times to be left out after the next one in vain. */
  #nextPause: number;

  /**
   * Begins with a try.
   *
   * @param pauseMin Times that are left out after the first one in vain.
   * @param pauseMax Times that are left out at most.
   */
  constructor(pauseMin: number, pauseMax: number) {
    this.#pauseMin = this.#nextPause = pauseMin;
    this.#pauseMax = pauseMax;
  }

  /**
   * Decides about this time.
   *
   * @returns Whether to try; then {@linkcode ended} is to be called.
   */
  isTime(): boolean {
    if (this.#pause === 0) return true;
    this.#pause--;
    return false;
  }

  /**
   * Learns from a try.
   *
   * @param isVain Whether it did not pay.
   */
  ended(isVain: boolean): void {
    if (!isVain) {
      this.#nextPause = this.#pauseMin;
      return;
    }
    this.#pause = this.#nextPause;
    this.#nextPause = Math.min(2 * this.#nextPause, this.#pauseMax);
  }
}
