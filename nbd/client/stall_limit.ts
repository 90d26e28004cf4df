/**
 * How long requests may wait for a connection, before they fail.
 *
 * @module
 */

/** Ends the wait for a connection, after a time. */
export class StallLimit {
  readonly #onOver: () => void;
  #ms: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAway = false;

  /**
   * Creates a limit; there is a connection.
   *
   * @param ms Milliseconds: 0 at once, undefined never.
   * @param onOver Called when requests have to fail.
   */
  constructor(ms: number | undefined, onOver: () => void) {
    this.#ms = ms;
    this.#onOver = onOver;
  }

  /** Begins to wait: the connection is lost. */
  begin(): void {
    clearTimeout(this.#timer);
    this.#isAway = true;
    if (this.#ms === 0) this.#onOver();
    else if (this.#ms !== undefined) {
      this.#timer = setTimeout(this.#onOver, this.#ms);
    }
  }

  /** Ends the wait. */
  end(): void {
    clearTimeout(this.#timer);
    this.#isAway = false;
  }

  /**
   * Changes the limit. A wait begins anew.
   *
   * @param ms Milliseconds: 0 at once, undefined never.
   */
  change(ms: number | undefined): void {
    this.#ms = ms;
    if (this.#isAway) this.begin();
  }
}

/**
 * Waits for a time, or until a signal.
 *
 * @param ms Milliseconds.
 * @param signal Ends the wait.
 */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0 || signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
