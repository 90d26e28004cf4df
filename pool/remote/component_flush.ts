/**
 * Flushes of a remote component: each covers all changes that came before it,
 * also those that wait for room in the journal. One runs at a time; those that
 * arrive meanwhile share the next one.
 *
 * While changes wait, the far side is flushed again and again to make room.
 * Such a flush covers only what the journal has, so the observer, which knows
 * of changes and not of the journal, does not hear of it.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import type { FlushObserver } from "../../device/file/mod.ts";
import type { FarFlush } from "./far_flush.ts";
import type { RoomQueue } from "./room_queue.ts";

/** The flushes of a remote component. */
export class ComponentFlush {
  /** Receives the beginning and the end of each flush. */
  observer: FlushObserver | undefined;
  readonly #far: Pick<FarFlush, "flush">;
  readonly #room: Pick<RoomQueue, "last">;
  /** Also what an earlier opening left has to be made durable. */
  #isDirty = true;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /**
   * Prepares the flushes.
   *
   * @param far Flushes what the journal has.
   * @param room The changes that wait for room.
   */
  constructor(far: Pick<FarFlush, "flush">, room: Pick<RoomQueue, "last">) {
    this.#far = far;
    this.#room = room;
  }

  /** Notes a change. */
  wrote(): void {
    this.#isDirty = true;
  }

  /**
   * Makes all changes so far durable on the far side.
   *
   * @returns A promise if there is anything to wait for.
   * @throws {VirstorError} `io`, at every call after the first failure.
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
    this.observer?.flushBegins();
    this.#running = this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      // A change that fails has been seen by reads, and is not durable.
      const { last } = this.#room;
      if (last !== undefined) await last;
      await this.#far.flush();
    } catch (error) {
      this.#failure = { error };
      throw error;
    } finally {
      this.#running = undefined;
    }
    this.observer?.flushEnds();
  }
}
