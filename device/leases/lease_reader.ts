/**
 * A thread's side of leases: see `leases.ts`.
 *
 * @module
 */

import {
  DESCRIPTOR,
  ENTRY_WORDS,
  hazardOf,
  type LeaseMemory,
  LINE_WORDS,
  OPEN,
  READS,
  slotOf,
  SOURCES,
  tagOf,
  TELLS_CACHED,
  VERSION,
  WORK_STEP,
  WRITABLE,
  WRITES,
  WRITTEN,
} from "./lease_layout.ts";

/** What a thread knows of a lease that it uses. */
export interface Lease {
  /** Where to read and write. */
  descriptor: number;
  /** Whether the system tells what is in the page cache. */
  tellsCached: boolean;
  /** The first byte there. */
  at: number;
}

/** A thread's side. */
export class LeaseReader {
  /** The lease that is used; overwritten by the next one. */
  readonly lease: Lease = { descriptor: -1, tellsCached: false, at: 0 };
  readonly #chunkSize: number;
  readonly #entries: Int32Array;
  readonly #control: Int32Array;
  readonly #hazard: number;
  readonly #work: Float64Array;
  #source = 0;
  /** The entry that was found last, and its version then. */
  #found = 0;
  #version = 0;

  /**
   * Takes part in a table.
   *
   * @param memory The table.
   * @param thread The number of this thread.
   */
  constructor(memory: LeaseMemory, thread: number) {
    this.#chunkSize = memory.chunkSize;
    this.#entries = new Int32Array(memory.entries);
    this.#control = new Int32Array(memory.control);
    this.#hazard = hazardOf(thread);
    const bytes = Float64Array.BYTES_PER_ELEMENT * WORK_STEP;
    this.#work = new Float64Array(memory.work, thread * bytes, WORK_STEP);
  }

  /** Whether writes may be tried. */
  get isWritable(): boolean {
    return Atomics.load(this.#control, WRITABLE) === 1;
  }

  /**
   * How many bytes from one on lie in the same chunk.
   *
   * @param offset The byte.
   * @returns Bytes, above 0.
   */
  restOfChunk(offset: number): number {
    return this.#chunkSize - offset % this.#chunkSize;
  }

  /**
   * Finds the lease of a range, to read under it.
   *
   * @param offset The first byte.
   * @param length How many, above 0.
   * @returns Whether it is leased; {@linkcode lease} tells where it is. What is
   *   read there counts only if {@linkcode holds} says so afterwards.
   */
  find(offset: number, length: number): boolean {
    const chunk = Math.floor(offset / this.#chunkSize);
    const within = offset - chunk * this.#chunkSize;
    if (within + length > this.#chunkSize) return false;
    this.#found = slotOf(chunk) * ENTRY_WORDS;
    this.#version = Atomics.load(this.#entries, this.#found + VERSION);
    return this.#take(chunk, within);
  }

  /**
   * Tells, after a read, whether it counts.
   *
   * @returns Whether the lease that {@linkcode find} found was in force all the
   *   time since.
   */
  holds(): boolean {
    // What was read stays before a store, and a load stays behind it.
    Atomics.store(this.#control, this.#hazard, 0);
    return Atomics.load(this.#entries, this.#found + VERSION) ===
        this.#version && Atomics.load(this.#control, OPEN) === 1;
  }

  /**
   * Begins to use the lease of a range, to write under it:
   * {@linkcode release} follows, soon, if this is true. The owner may wait for
   * that.
   *
   * @param offset The first byte.
   * @param length How many, above 0.
   * @returns Whether it is leased; {@linkcode lease} tells where it is.
   */
  use(offset: number, length: number): boolean {
    const chunk = Math.floor(offset / this.#chunkSize);
    const within = offset - chunk * this.#chunkSize;
    if (within + length > this.#chunkSize) return false;
    // In this order: see above.
    Atomics.store(this.#control, this.#hazard, slotOf(chunk) + 1);
    if (this.#take(chunk, within)) return true;
    this.release();
    return false;
  }

  /** Whether a chunk is leased; then {@linkcode lease} tells where it is. */
  #take(chunk: number, within: number): boolean {
    const entries = this.#entries;
    const control = this.#control;
    const at = slotOf(chunk) * ENTRY_WORDS;
    const source = Atomics.load(entries, at);
    if (
      source === 0 || entries[at + 1] !== tagOf(chunk) ||
      Atomics.load(control, OPEN) === 0
    ) return false;
    const about = SOURCES + source * LINE_WORDS;
    const { lease } = this;
    const place = (entries[at + 2] ?? 0) >>> 0;
    lease.descriptor = control[about + DESCRIPTOR] ?? -1;
    lease.tellsCached = control[about + TELLS_CACHED] === 1;
    lease.at = place * this.#chunkSize + within;
    this.#source = about;
    return true;
  }

  /**
   * Something was read under a lease that {@linkcode holds}.
   *
   * @param length Bytes.
   */
  noteRead(length: number): void {
    const work = this.#work;
    work[READS] = (work[READS] ?? 0) + 1;
    work[READS + 1] = (work[READS + 1] ?? 0) + length;
  }

  /**
   * Something was, or may have been, written under the lease that is used: to
   * be said after that, and before anybody is told of it.
   *
   * @param length Bytes that were; 0 if it failed.
   */
  noteWritten(length: number): void {
    const at = this.#source + WRITTEN;
    // The owner, which takes it later, sees what was written before.
    if (Atomics.load(this.#control, at) === 0) {
      Atomics.store(this.#control, at, 1);
    }
    if (length === 0) return;
    const work = this.#work;
    work[WRITES] = (work[WRITES] ?? 0) + 1;
    work[WRITES + 1] = (work[WRITES + 1] ?? 0) + length;
  }

  /** Ends the use of the lease. */
  release(): void {
    Atomics.store(this.#control, this.#hazard, 0);
  }
}
