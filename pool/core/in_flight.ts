/**
 * Requests in flight: closing a pool waits for them.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";

/** Counts the requests that complete later. */
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
   * Counts a request while it is in flight. A request that has completed at
   * once costs nothing.
   *
   * @param completion The request.
   * @returns Settles as the request does.
   */
  track(completion: Completion): Completion {
    if (completion === undefined) return undefined;
    this.#count++;
    return completion.then(this.#succeeded, this.#failed);
  }

  /**
   * Waits until no request is in flight.
   *
   * *Requires*: no request starts meanwhile.
   *
   * @returns Settles when all requests have ended.
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
