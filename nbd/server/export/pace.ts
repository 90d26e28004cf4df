/**
 * Limits the rate of log lines that repeat. The next line that is logged says
 * how many were suppressed.
 *
 * @module
 */

/** Suppresses log lines that follow another one too soon. */
export class Pace {
  readonly #pauseMs: number;
  #untold = 0;
  #quietUntil = 0;

  /**
   * Creates a limiter that passes the first line.
   *
   * @param pauseMs Milliseconds between two lines that pass; 1000 by default.
   */
  constructor(pauseMs = 1000) {
    this.#pauseMs = pauseMs;
  }

  /**
   * Passes or suppresses a line.
   *
   * @param message The line.
   * @returns The line to log, with the number of suppressed lines before it;
   *   `undefined` if this line is suppressed.
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
