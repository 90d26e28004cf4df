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
import { FlushTurns } from "./flush_turns.ts";
import type { RoomQueue } from "./room_queue.ts";

/** The flushes of a remote component. */
export class ComponentFlush {
  /** Receives the beginning and the end of each flush. */
  observer: FlushObserver | undefined;
  readonly #far: Pick<FarFlush, "flush">;
  readonly #room: Pick<RoomQueue, "last">;
  readonly #turns = new FlushTurns(() => this.#run());

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
    this.#turns.wrote();
  }

  /**
   * Makes all changes so far durable on the far side.
   *
   * @returns A promise if there is anything to wait for.
   * @throws {VirstorError} `io`, at every call after the first failure.
   */
  flush(): Completion {
    return this.#turns.flush();
  }

  /** Waits for the flushes that have begun. Never fails. */
  async settled(): Promise<void> {
    await this.#turns.settled();
  }

  async #run(): Promise<void> {
    this.observer?.flushBegins();
    // A change that fails has been seen by reads, and is not durable.
    const { last } = this.#room;
    if (last !== undefined) await last;
    await this.#far.flush();
    this.observer?.flushEnds();
  }
}
