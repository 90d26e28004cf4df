/**
 * Why the queue of requests holds: counts by reason. Requests leave while no
 * reason holds them.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/**
 * The reasons:
 *
 * - `connecting`: there is no connection, or a new one is being checked
 * - `suspended`: the caller has suspended the disk
 */
export type FreezeReason = "connecting" | "suspended";

/** Counts the reasons to hold the queue. */
export class Freezes {
  readonly #counts = new Map<FreezeReason, number>();

  /** Whether any reason holds. */
  get isFrozen(): boolean {
    return this.#counts.size > 0;
  }

  /** The reasons that hold, and how many times. */
  get reasons(): Readonly<Partial<Record<FreezeReason, number>>> {
    return Object.fromEntries(this.#counts);
  }

  /**
   * Tells whether one reason holds.
   *
   * @param reason The reason.
   * @returns True if so.
   */
  has(reason: FreezeReason): boolean {
    return this.#counts.has(reason);
  }

  /**
   * Holds the queue once more for a reason.
   *
   * @param reason The reason.
   */
  freeze(reason: FreezeReason): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  /**
   * Holds the queue once less for a reason.
   *
   * @param reason The reason.
   */
  thaw(reason: FreezeReason): void {
    const count = this.#counts.get(reason) ?? 0;
    assert(count > 0, "a queue is thawed as many times as it was frozen");
    if (count === 1) this.#counts.delete(reason);
    else this.#counts.set(reason, count - 1);
  }
}
