/**
 * Changes that wait for room in a journal, in the order of their arrival.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { asVirstorError, type VirstorError } from "../../errors.ts";
import type { WaitingChanges } from "../core/mod.ts";
import type { Journal } from "./journal.ts";

/**
 * Appends a part of a change.
 *
 * @param done Bytes of the change that are appended.
 * @returns Bytes that were appended now; 0 if there is no room.
 */
type Append = (done: number) => number;

/** Bytes and changes that may wait before there is congestion. */
const WAITING_BYTES_MAX = 64 << 20;
const WAITING_MAX = 8192;

/** A change that waits. */
interface Waiter {
  readonly length: number;
  /** Bytes of it in memory. */
  readonly held: number;
  readonly append: Append;
  done: number;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** The changes that wait for room. */
export class RoomQueue {
  readonly #journal: Pick<Journal, "capacity" | "sync" | "used">;
  readonly #flush: () => Completion;
  readonly #onFailure: (error: VirstorError) => void;
  #waiters: Waiter[] = [];
  #making: Promise<void> | undefined;
  #waits = 0;
  #held = 0;
  #congestion: PromiseWithResolvers<void> | undefined;

  /**
   * Creates an empty queue.
   *
   * @param journal The journal.
   * @param flush Makes the far side have everything that is in the journal,
   *   durably.
   * @param onFailure Called when a change that waited cannot be appended: reads
   *   have seen it already.
   */
  constructor(
    journal: Pick<Journal, "capacity" | "sync" | "used">,
    flush: () => Completion,
    onFailure: (error: VirstorError) => void,
  ) {
    this.#journal = journal;
    this.#flush = flush;
    this.#onFailure = onFailure;
  }

  /** What waits, and what ever had to. */
  get state(): WaitingChanges {
    return {
      count: this.#waiters.length,
      bytes: this.#held,
      total: this.#waits,
    };
  }

  /**
   * Set while so much waits that callers should send no more; never rejects.
   */
  get congestion(): Promise<void> | undefined {
    return this.#congestion?.promise;
  }

  /**
   * Settles with the newest change that waits, and so after all others; rejects
   * if it fails. Undefined if none waits.
   */
  get last(): Promise<void> | undefined {
    return this.#waiters.at(-1)?.promise;
  }

  /**
   * Appends a change, behind those that wait.
   *
   * @param length Bytes of the change.
   * @param append Appends the next part.
   * @param onWait Called if the change has to wait, with the bytes of it that
   *   are appended; returns how many bytes it holds in memory from now on.
   * @returns A promise if the change waits.
   */
  run(
    length: number,
    append: Append,
    onWait: (done: number) => number,
  ): Completion {
    let done = 0;
    if (this.#waiters.length === 0) {
      done = advance(append, 0, length);
      if (this.#isHalfFull) this.#makeRoom();
      if (done === length) return undefined;
    }
    this.#waits += 1;
    const held = onWait(done);
    const settled = Promise.withResolvers<void>();
    // Callers may look at it later, in `last`, or not at all.
    settled.promise.catch(() => {});
    const waiter = { ...settled, length, held, append, done };
    this.#waiters.push(waiter);
    this.#hold(held);
    this.#makeRoom();
    return waiter.promise;
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
    this.#hold(-this.#held);
  }

  #hold(bytes: number): void {
    this.#held += bytes;
    if (
      this.#held >= WAITING_BYTES_MAX || this.#waiters.length >= WAITING_MAX
    ) {
      this.#congestion ??= Promise.withResolvers();
    } else {
      this.#congestion?.resolve();
      this.#congestion = undefined;
    }
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
        await this.#journal.sync(true);
        this.#grant();
      } while (this.#waiters.length > 0 || this.#isHalfFull);
    } catch (error) {
      const failure = asVirstorError(error);
      this.#onFailure(failure);
      this.fail(failure);
    }
    this.#making = undefined;
  }

  /** Appends what there is room for. */
  #grant(): void {
    for (let waiter; (waiter = this.#waiters[0]) !== undefined;) {
      waiter.done = advance(waiter.append, waiter.done, waiter.length);
      if (waiter.done < waiter.length) return;
      this.#waiters.shift();
      this.#hold(-waiter.held);
      waiter.resolve();
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
