/**
 * Flushes that take turns: one runs at a time, and those that arrive meanwhile
 * share the next one.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";

/** The flushes of one device. */
export class FlushTurns {
  readonly #run: () => Promise<void>;
  /** Also what an earlier opening left has to be made durable. */
  #isDirty = true;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /**
   * Begins with a flush due.
   *
   * @param run Flushes what has been written when it is called.
   */
  constructor(run: () => Promise<void>) {
    this.#run = run;
  }

  /** Notes a change: the next flush has something to do. */
  wrote(): void {
    this.#isDirty = true;
  }

  /**
   * Makes all changes so far durable.
   *
   * @returns A promise if there is anything to wait for.
   * @throws The error of the first flush that failed, at every call after it.
   */
  flush(): Completion {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) {
      return this.#isDirty ? this.#start() : undefined;
    }
    if (!this.#isDirty) return this.#running;
    this.#next = this.#running.then(() => {
      this.#next = undefined;
      return this.#start();
    });
    return this.#next;
  }

  /** Waits for the flushes that have begun. Never fails. */
  async settled(): Promise<void> {
    await this.#next?.catch(() => {});
    await this.#running?.catch(() => {});
  }

  #start(): Promise<void> {
    this.#isDirty = false;
    this.#running = this.#runOnce();
    return this.#running;
  }

  async #runOnce(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      this.#failure = { error };
      throw error;
    } finally {
      this.#running = undefined;
    }
  }
}
