/**
 * Changes that wait for room in a journal, in the order of their arrival.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { messageOf, VirstorError } from "../../errors.ts";
import type { Journal } from "./journal.ts";

/**
 * Appends a part of a change.
 *
 * @param done Bytes of the change that are appended.
 * @returns Bytes that were appended now; 0 if there is no room.
 */
type Append = (done: number) => number;

/** A change that waits. */
interface Waiter {
  readonly length: number;
  readonly append: Append;
  done: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The changes that wait for room. */
export class RoomQueue {
  readonly #journal: Pick<Journal, "capacity" | "sync" | "used">;
  readonly #flush: () => Completion;
  #waiters: Waiter[] = [];
  #making: Promise<void> | undefined;
  #waits = 0;

  /**
   * Creates an empty queue.
   *
   * @param journal The journal.
   * @param flush Makes the far side have everything, durably.
   */
  constructor(
    journal: Pick<Journal, "capacity" | "sync" | "used">,
    flush: () => Completion,
  ) {
    this.#journal = journal;
    this.#flush = flush;
  }

  /** Number of changes that wait. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /** Number of changes that ever had to wait. */
  get waits(): number {
    return this.#waits;
  }

  /** A promise while changes wait; it never rejects. */
  get congestion(): Promise<void> | undefined {
    return this.#waiters.length === 0 ? undefined : this.#making;
  }

  /**
   * Appends a change, behind those that wait.
   *
   * @param length Bytes of the change.
   * @param append Appends the next part.
   * @param onWait Called if the change has to wait.
   * @returns A promise if the change waits.
   */
  run(length: number, append: Append, onWait?: () => void): Completion {
    let done = 0;
    if (this.#waiters.length === 0) {
      done = advance(append, 0, length);
      if (this.#isHalfFull) this.#makeRoom();
      if (done === length) return undefined;
    }
    this.#waits += 1;
    onWait?.();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ length, append, done, resolve, reject });
    this.#makeRoom();
    return promise;
  }

  /**
   * Fails the changes that wait.
   *
   * @param error Why there will be no room.
   */
  fail(error: VirstorError): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
  }

  get #isHalfFull(): boolean {
    return this.#journal.used > this.#journal.capacity / 2;
  }

  #makeRoom(): void {
    this.#making ??= this.#flushForRoom();
  }

  async #flushForRoom(): Promise<void> {
    try {
      do {
        await this.#flush();
        // The flush has moved the tail; the space is free when that is durable.
        await this.#journal.sync();
        this.#grant();
      } while (this.#waiters.length > 0 || this.#isHalfFull);
    } catch (error) {
      this.fail(
        error instanceof VirstorError
          ? error
          : new VirstorError("io", messageOf(error), { cause: error }),
      );
    }
    this.#making = undefined;
  }

  #grant(): void {
    for (let waiter; (waiter = this.#waiters[0]) !== undefined;) {
      try {
        waiter.done = advance(waiter.append, waiter.done, waiter.length);
        if (waiter.done < waiter.length) return;
        waiter.resolve();
      } catch (error) {
        waiter.reject(error);
      }
      this.#waiters.shift();
    }
  }
}

/** Appends until a change is complete, or there is no room. */
function advance(append: Append, from: number, length: number): number {
  let done = from;
  while (done < length) {
    const count = append(done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
