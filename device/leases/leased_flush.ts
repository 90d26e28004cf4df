/**
 * A flush that a thread runs by itself: it covers what was written under the
 * leases of its table. If the owner has something to make durable, too, the
 * flush is the owner's.
 *
 * @module
 */

import {
  type LeaseMemory,
  LINE_WORDS,
  OPEN,
  SOURCES,
  WRITABLE,
  WRITTEN,
} from "./lease_layout.ts";
import { type SyncLine, SyncLines } from "./sync_line.ts";

/** A file that a flush has to make durable. */
export type TakenFile = Pick<SyncLine, "descriptor" | "size">;

/** The flushes of one thread. */
export class LeasedFlush {
  readonly #control: Int32Array;
  readonly #lines: SyncLines;
  readonly #thread: number;
  /** Sources whose locks the thread holds, in ascending order. */
  readonly #taken: number[] = [];

  /**
   * Attaches a thread.
   *
   * @param memory The memory of its lease table.
   * @param thread Number of the thread, from `Leases.join`.
   */
  constructor(memory: LeaseMemory, thread: number) {
    this.#control = new Int32Array(memory.control);
    this.#lines = new SyncLines(memory.syncs);
    this.#thread = memory.firstThread + thread;
  }

  /**
   * Begins a flush.
   *
   * *Ensures*: unless it is the owner's, the files hold every write of the
   * volume that was done before the call and is not durable.
   *
   * @param mayWait Whether to wait while another thread syncs one of the files.
   * @returns The files to make durable, and then {@linkcode end} must be
   *   called; `owner` if the owner has to flush; `busy` if another thread syncs
   *   a file, and the caller would not wait.
   */
  begin(mayWait = true): readonly TakenFile[] | "owner" | "busy" {
    const lines = this.#lines;
    if (!this.#isOpen || !lines.isComplete || lines.isSettling) return "owner";
    const { count } = lines;
    for (let source = 1; source < count; source++) {
      const result = this.#take(source, mayWait);
      if (result === "next") continue;
      this.#giveBack();
      return result;
    }
    return this.#taken.map((source) => lines.line(source));
  }

  /**
   * Ends a flush.
   *
   * @param done How many of the files, from the first one on, are durable and
   *   whole; the next one is not, and fails for good.
   * @param ms How long the disks took, milliseconds; not noted unless given.
   * @returns Whether the flush is done; if not, the owner has to flush, and
   *   knows why.
   */
  end(done: number, ms?: number): boolean {
    const failed = this.#taken[done];
    for (const source of this.#taken.splice(0, done)) {
      const line = this.#lines.line(source);
      if (ms !== undefined) line.noteDuration(ms);
      line.unlock();
    }
    if (failed !== undefined) this.#lines.line(failed).fail();
    this.#giveBack();
    // A pool that was closed meanwhile says by itself what is durable.
    return failed === undefined && this.#isOpen;
  }

  get #isOpen(): boolean {
    return Atomics.load(this.#control, OPEN) === 1 &&
      Atomics.load(this.#control, WRITABLE) === 1;
  }

  /** Locks the file of a source if there is something to make durable. */
  #take(source: number, mayWait: boolean): "next" | "owner" | "busy" {
    const line = this.#lines.line(source);
    const written = SOURCES + source * LINE_WORDS + WRITTEN;
    const control = this.#control;
    // In this order: see `sync_line.ts`.
    const isClean = Atomics.load(control, written) === 0;
    if (line.hasFailed || line.isDirty) return "owner";
    if (isClean && line.isFree) return "next";
    if (!line.tryLock(this.#thread)) {
      if (!mayWait) return "busy";
      line.lock(this.#thread);
    }
    if (line.hasFailed || line.isDirty) {
      line.unlock();
      return "owner";
    }
    if (!line.isReady || Atomics.exchange(control, written, 0) === 0) {
      // Another thread has made it durable, or the file holds no chunk.
      line.unlock();
      return "next";
    }
    this.#taken.push(source);
    return "next";
  }

  /** Unlocks files that are not durable. */
  #giveBack(): void {
    for (const source of this.#taken.splice(0)) {
      const written = SOURCES + source * LINE_WORDS + WRITTEN;
      Atomics.store(this.#control, written, 1);
      this.#lines.line(source).unlock();
    }
  }
}
