/**
 * Holds ranges of a disk longer than the requests that locked them: as long as a
 * lost connection may still deliver such a request. Delivered again it does no
 * harm by itself, but it would undo a later write to the range; so that waits.
 *
 * @module
 */

import type { RangeLock, RangeLocks } from "./range_locks.ts";

/** Releases locks, some of them later. */
export class LateLocks {
  readonly #locks: RangeLocks;
  readonly #timers = new Map<ReturnType<typeof setTimeout>, RangeLock>();
  #isEnded = false;

  /**
   * Holds nothing yet.
   *
   * @param locks The locks.
   */
  constructor(locks: RangeLocks) {
    this.#locks = locks;
  }

  /**
   * Releases a lock.
   *
   * @param lock The lock, which is held.
   * @param until When, by `performance.now()`; at once if that is over.
   */
  release(lock: RangeLock, until: number): void {
    const ms = until === 0 ? 0 : until - performance.now();
    if (ms <= 0 || this.#isEnded) {
      this.#locks.release(lock);
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#locks.release(lock);
    }, ms);
    this.#timers.set(timer, lock);
  }

  /** Releases all locks: what waits for them fails now. */
  end(): void {
    this.#isEnded = true;
    for (const [timer, lock] of this.#timers) {
      clearTimeout(timer);
      this.#locks.release(lock);
    }
    this.#timers.clear();
  }
}
