/**
 * A change that several waits look out for.
 *
 * @module
 */

/** Wakes everything that waits. */
export class Signal {
  #waiting = Promise.withResolvers<void>();

  /** Wakes everything that waits now. */
  raise(): void {
    const { resolve } = this.#waiting;
    this.#waiting = Promise.withResolvers();
    resolve();
  }

  /**
   * Waits.
   *
   * @returns Fulfilled at the next {@linkcode raise}.
   */
  next(): Promise<void> {
    return this.#waiting.promise;
  }

  /**
   * Waits, but not for long.
   *
   * @param ms Milliseconds.
   * @returns Fulfilled at the next {@linkcode raise}, or after that time.
   */
  async nextWithin(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    try {
      timer = setTimeout(resolve, ms);
      await Promise.race([this.next(), promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}
