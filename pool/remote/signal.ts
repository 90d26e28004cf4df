/**
 * A change that several waits look out for.
 *
 * @module
 */

/** Wakes everything that waits. */
export class Signal {
  #waiting: PromiseWithResolvers<void> | undefined;

  /** Wakes everything that waits now. */
  raise(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve();
  }

  /**
   * Waits.
   *
   * @returns Fulfilled at the next {@linkcode raise}.
   */
  next(): Promise<void> {
    this.#waiting ??= Promise.withResolvers();
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
