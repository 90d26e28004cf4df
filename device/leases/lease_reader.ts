/**
 * The thread's side of a lease table; `leases.ts` explains the protocol.
 *
 * @module
 */

import {
  DESCRIPTOR,
  ENTRY_WORDS,
  FLUSHES,
  hazardOf,
  type LeaseMemory,
  LINE_WORDS,
  OPEN,
  READ_ONLY,
  READS,
  slotOf,
  SOURCE_BITS,
  SOURCES,
  tagOf,
  TELLS_CACHED,
  UNWRITTEN,
  VERSION,
  WORK_STEP,
  WRITABLE,
  WRITES,
  WRITTEN,
} from "./lease_layout.ts";

/** A lease as a thread uses it. */
export interface Lease {
  /** Descriptor to read from and write to. */
  descriptor: number;
  /** Whether `preadv2` with RWF_NOWAIT may work on the descriptor. */
  tellsCached: boolean;
  /** Offset in the descriptor of the first byte of the range. */
  at: number;
  /** Whether the lease is for reads only. */
  isReadOnly: boolean;
}

/** The lease table as one thread uses it. */
export class LeaseReader {
  /** The current lease; the next call of `find` or `use` overwrites it. */
  readonly lease: Lease = {
    descriptor: -1,
    tellsCached: false,
    at: 0,
    isReadOnly: false,
  };
  readonly #chunkSize: number;
  readonly #entries: Int32Array;
  readonly #control: Int32Array;
  readonly #hazard: number;
  readonly #work: Float64Array;
  /** First word of the current source's line in the control block. */
  #source = 0;
  /** First word of the entry that `find` found. */
  #found = 0;
  /** Version of that entry when `find` looked at it. */
  #version = 0;
  /** Whether the current lease was marked as unwritten. */
  #isUnwritten = false;

  /**
   * Attaches this thread to a table.
   *
   * @param memory The memory of the table.
   * @param thread Number of this thread, from `Leases.join`.
   */
  constructor(memory: LeaseMemory, thread: number) {
    this.#chunkSize = memory.chunkSize;
    this.#entries = new Int32Array(memory.entries);
    this.#control = new Int32Array(memory.control);
    this.#hazard = hazardOf(thread);
    const bytes = Float64Array.BYTES_PER_ELEMENT * WORK_STEP;
    this.#work = new Float64Array(memory.work, thread * bytes, WORK_STEP);
  }

  /** Whether threads may write under leases. */
  get isWritable(): boolean {
    return Atomics.load(this.#control, WRITABLE) === 1;
  }

  /**
   * Counts the bytes from an offset to the end of its chunk.
   *
   * @param offset Byte of the device.
   * @returns Bytes, above 0.
   */
  restOfChunk(offset: number): number {
    return this.#chunkSize - offset % this.#chunkSize;
  }

  /**
   * Finds the lease of a range, to read under it. The bytes that the caller
   * reads are valid only if {@linkcode holds} returns true after the read.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, above 0.
   * @returns Whether the range lies in one leased chunk; then
   *   {@linkcode lease} says where it is stored.
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
   * Checks, after a read, that its bytes are valid.
   *
   * @returns Whether the lease that {@linkcode find} found was valid all the
   *   time since.
   */
  holds(): boolean {
    // The store is a barrier: the read stays before it, the load after it.
    Atomics.store(this.#control, this.#hazard, 0);
    return Atomics.load(this.#entries, this.#found + VERSION) ===
        this.#version && Atomics.load(this.#control, OPEN) === 1;
  }

  /**
   * Uses the lease of a range, to write under it.
   *
   * *Requires:* if the call returns true, the caller calls
   * {@linkcode release} soon: the owner may busy-wait for it.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, above 0.
   * @returns Whether the range lies in one chunk whose lease allows writes; then
   *   {@linkcode lease} says where it is stored.
   */
  use(offset: number, length: number): boolean {
    const chunk = Math.floor(offset / this.#chunkSize);
    const within = offset - chunk * this.#chunkSize;
    if (within + length > this.#chunkSize) return false;
    // Name the entry first, look at it second: see `leases.ts`.
    Atomics.store(this.#control, this.#hazard, slotOf(chunk) + 1);
    if (this.#take(chunk, within) && !this.lease.isReadOnly) {
      // Before the write: the owner that withdraws the lease waits for it.
      if (this.#isUnwritten) {
        const at = slotOf(chunk) * ENTRY_WORDS;
        Atomics.and(this.#entries, at, ~UNWRITTEN);
      }
      return true;
    }
    this.release();
    return false;
  }

  /** Fills {@linkcode lease} if the chunk is leased; else returns false. */
  #take(chunk: number, within: number): boolean {
    const entries = this.#entries;
    const control = this.#control;
    const at = slotOf(chunk) * ENTRY_WORDS;
    const word = Atomics.load(entries, at);
    if (
      word === 0 || entries[at + 1] !== tagOf(chunk) ||
      Atomics.load(control, OPEN) === 0
    ) return false;
    const about = SOURCES + (word & SOURCE_BITS) * LINE_WORDS;
    const { lease } = this;
    lease.isReadOnly = (word & READ_ONLY) !== 0;
    this.#isUnwritten = (word & UNWRITTEN) !== 0;
    const place = (entries[at + 2] ?? 0) >>> 0;
    lease.descriptor = control[about + DESCRIPTOR] ?? -1;
    lease.tellsCached = control[about + TELLS_CACHED] === 1;
    lease.at = place * this.#chunkSize + within;
    this.#source = about;
    return true;
  }

  /**
   * Counts a read that {@linkcode holds} has confirmed.
   *
   * @param length Bytes of the read.
   */
  noteRead(length: number): void {
    const work = this.#work;
    work[READS] = (work[READS] ?? 0) + 1;
    work[READS + 1] = (work[READS + 1] ?? 0) + length;
  }

  /**
   * Marks the source as written, and counts a write.
   *
   * *Requires:* the caller calls this after each write under a lease, also
   * after a failed one, and before the client receives the reply to the write.
   * A later flush then covers the write.
   *
   * @param length Bytes written; 0 if the write failed.
   */
  noteWritten(length: number): void {
    const at = this.#source + WRITTEN;
    // The owner that takes the mark later also sees the write before it.
    if (Atomics.load(this.#control, at) === 0) {
      Atomics.store(this.#control, at, 1);
    }
    if (length === 0) return;
    const work = this.#work;
    work[WRITES] = (work[WRITES] ?? 0) + 1;
    work[WRITES + 1] = (work[WRITES + 1] ?? 0) + length;
  }

  /** Counts a flush. */
  noteFlushed(): void {
    const work = this.#work;
    work[FLUSHES] = (work[FLUSHES] ?? 0) + 1;
  }

  /** Ends the use of the current lease. */
  release(): void {
    Atomics.store(this.#control, this.#hazard, 0);
  }
}
