/**
 * Serialises writes that overlap. Then a write that is sent again after a lost
 * connection cannot pass a later one, and reading around an unaligned write
 * cannot lose another one.
 *
 * @module
 */

/** A range that a write holds, or waits for. */
export interface RangeLock {
  readonly start: number;
  readonly end: number;
  /** Locks that were taken before and overlap. */
  blockers: number;
  /** Locks that wait for this one. */
  readonly dependents: RangeLock[];
  /** Called when no lock blocks any more. */
  grant: () => void;
}

/** Locks on ranges of a disk, granted in the order of the calls. */
export class RangeLocks {
  readonly #locks = new Set<RangeLock>();

  /**
   * Takes a lock, or queues for it.
   *
   * @param start First byte.
   * @param end Byte after the last.
   * @returns The lock; {@linkcode wait} tells when it is held.
   */
  take(start: number, end: number): RangeLock {
    const lock: RangeLock = {
      start,
      end,
      blockers: 0,
      dependents: [],
      grant: () => {},
    };
    for (const other of this.#locks) {
      if (other.start >= end || start >= other.end) continue;
      lock.blockers += 1;
      other.dependents.push(lock);
    }
    this.#locks.add(lock);
    return lock;
  }

  /**
   * Waits for a lock.
   *
   * @param lock The lock.
   * @returns `undefined` if it is held, else a promise of that.
   */
  wait(lock: RangeLock): Promise<void> | undefined {
    if (lock.blockers === 0) return undefined;
    return new Promise((resolve) => lock.grant = resolve);
  }

  /**
   * Releases a lock.
   *
   * @param lock The lock, which is held.
   */
  release(lock: RangeLock): void {
    this.#locks.delete(lock);
    for (const dependent of lock.dependents) {
      dependent.blockers -= 1;
      if (dependent.blockers === 0) dependent.grant();
    }
  }
}
