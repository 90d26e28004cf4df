/**
 * Why requests do not leave: counts by reason. A shortage holds writes only, and
 * before the queue; every other reason holds the queue.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/**
 * The reasons:
 *
 * - `connecting`: there is no connection that may be used
 * - `changing`: a new connection is compared with the one before, and what its
 *   server may have lost is written again
 * - `suspended`: the caller has suspended the disk
 * - `shortage`: writes wait for a flush to make room for them; the count is that
 *   of the writes
 */
export type FreezeReason =
  | "changing"
  | "connecting"
  | "shortage"
  | "suspended";

/** A reason to hold the queue. */
export type QueueFreeze = Exclude<FreezeReason, "shortage">;

/** Counts the reasons to hold the queue. */
export class Freezes {
  readonly #counts = new Map<QueueFreeze, number>();

  /** Whether any reason holds. */
  get isFrozen(): boolean {
    return this.#counts.size > 0;
  }

  /**
   * The reasons that hold, and how many times.
   *
   * @param shortage How many writes wait for room.
   * @returns The reasons.
   */
  reasons(shortage: number): Readonly<Partial<Record<FreezeReason, number>>> {
    const counts = Object.fromEntries(this.#counts);
    return shortage === 0 ? counts : { ...counts, shortage };
  }

  /**
   * Tells whether one reason holds.
   *
   * @param reason The reason.
   * @returns True if so.
   */
  has(reason: QueueFreeze): boolean {
    return this.#counts.has(reason);
  }

  /**
   * Holds the queue once more for a reason.
   *
   * @param reason The reason.
   */
  freeze(reason: QueueFreeze): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  /**
   * Holds the queue once less for a reason.
   *
   * @param reason The reason.
   */
  thaw(reason: QueueFreeze): void {
    const count = this.#counts.get(reason) ?? 0;
    assert(count > 0, "a queue is thawed as many times as it was frozen");
    if (count === 1) this.#counts.delete(reason);
    else this.#counts.set(reason, count - 1);
  }
}
