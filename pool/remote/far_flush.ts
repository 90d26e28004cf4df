/**
 * Flushes of the far side. One runs at a time; those that arrive meanwhile share
 * the next one.
 *
 * A flush makes the journal durable while it drains, and ends when both are
 * done and the far side has flushed. A failed flush is final.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { messageOf, VirstorError } from "../../errors.ts";
import type { Drain, FarDisk } from "./drain.ts";
import { FlushTurns } from "./flush_turns.ts";
import type { Journal } from "./journal.ts";

/** What a flush needs. */
export interface FarFlushOptions {
  /** The far side. */
  readonly far: Pick<FarDisk, "flush">;
  /** The journal. */
  readonly journal: Journal;
  /** Brings the records to the far side. */
  readonly drain: Drain;
  /** Called when a flush has failed. */
  readonly onFailure: (error: VirstorError) => void;
}

/** The flushes of the far side. */
export class FarFlush {
  readonly #options: FarFlushOptions;
  readonly #turns = new FlushTurns(() => this.#run());

  /**
   * Prepares the flushes.
   *
   * @param options What they need.
   */
  constructor(options: FarFlushOptions) {
    this.#options = options;
  }

  /** Notes a record. */
  wrote(): void {
    this.#turns.wrote();
  }

  /**
   * Makes what the journal has durable on the far side.
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
    const { journal, drain, onFailure } = this.#options;
    const { last } = journal;
    try {
      const synced = journal.sync();
      // It is awaited below; until then it may fail unseen.
      synced.catch(() => {});
      await drain.upTo(last.sequence);
      await this.#flushFar();
      await synced;
    } catch (error) {
      const failure = error instanceof VirstorError
        ? error
        : new VirstorError("io", messageOf(error), { cause: error });
      onFailure(failure);
      throw failure;
    }
    journal.release(last);
  }

  async #flushFar(): Promise<void> {
    const { far, drain } = this.#options;
    for (let tries = 0;; tries++) {
      try {
        await far.flush();
        return;
      } catch (error) {
        await drain.backOff(tries, error);
      }
    }
  }
}
