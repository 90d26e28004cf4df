/**
 * Lines of a log that would come again and again: a line a second at most, which
 * says how many were left out.
 *
 * @module
 */

/** Decides which of many lines are told. */
export class Pace {
  readonly #pauseMs: number;
  #untold = 0;
  #quietUntil = 0;

  /**
   * Begins with nothing told.
   *
   * @param pauseMs How long to be silent after something was told,
   *   milliseconds; a second by default.
   */
  constructor(pauseMs = 1000) {
    this.#pauseMs = pauseMs;
  }

  /**
   * Takes a line.
   *
   * @param message The line.
   * @returns The line to be told, with the number of those that were left out
   *   before; `undefined` if this one is left out.
   */
  tell(message: string): string | undefined {
    const now = performance.now();
    if (now < this.#quietUntil) {
      this.#untold++;
      return undefined;
    }
    const untold = this.#untold;
    this.#untold = 0;
    this.#quietUntil = now + this.#pauseMs;
    return untold > 0 ? `${message} (and ${untold} more)` : message;
  }
}
