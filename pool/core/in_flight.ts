/**
 * Requests that a pool has not finished: the end of the pool waits for them.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";

/** Counts requests that finish later. */
export class InFlight {
  #count = 0;
  #idle: PromiseWithResolvers<void> | undefined;
  readonly #succeeded = (): void => this.#ended();
  readonly #failed = (error: unknown): void => {
    this.#ended();
    throw error;
  };

  /** How many requests are in flight. */
  get count(): number {
    return this.#count;
  }

  /**
   * Counts a request until it ends. Costs nothing if it has ended already.
   *
   * @param completion The request.
   * @returns Ends as the request does.
   */
  track(completion: Completion): Completion {
    if (completion === undefined) return undefined;
    this.#count++;
    return completion.then(this.#succeeded, this.#failed);
  }

  /**
   * Waits until no request is in flight. Requires that no new one begins.
   *
   * @returns Done when all have ended.
   */
  async settled(): Promise<void> {
    if (this.#count === 0) return;
    this.#idle ??= Promise.withResolvers();
    await this.#idle.promise;
  }

  #ended(): void {
    if (--this.#count === 0) this.#idle?.resolve();
  }
}
