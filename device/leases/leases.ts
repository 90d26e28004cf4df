/**
 * Leases: chunks of a device that other threads may read and write without the
 * owner of the device, and where the chunks are stored. The lease table lies in
 * shared memory. One thread, the owner, grants and withdraws leases; the other
 * threads look them up.
 *
 * Writes: the owner withdraws a lease before the chunk moves or is freed, and
 * `withdraw` returns when no thread writes under the lease any more. A thread
 * that writes first names the entry in its hazard word, then loads the entry;
 * the owner first clears the entry, then loads the hazard words. So either the
 * thread sees that the lease is withdrawn, or the owner sees the thread and
 * waits. These loads and stores are `Atomics`, which all threads see in one
 * order (hazard pointers, after Maged Michael).
 *
 * Reads: the owner never waits for a read, which may take as long as a disk
 * does. A thread that reads names no entry: after the read it loads the entry
 * again and drops the bytes if the lease was withdrawn meanwhile. The version
 * shows that even if the same lease was granted again (sequence lock).
 *
 * @module
 */

import { assert } from "../../errors.ts";
import {
  CONTROL_WORDS,
  DESCRIPTOR,
  ENTRIES,
  ENTRY_WORDS,
  FLUSHES,
  hazardOf,
  LEASE_SOURCES_MAX,
  LEASE_THREADS_MAX,
  type LeaseMemory,
  LINE_WORDS,
  OPEN,
  READ_ONLY,
  READS,
  slotOf,
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

import { SyncLines } from "./sync_line.ts";
import type { Transfers } from "./transfers.ts";

export {
  LEASE_SOURCES_MAX,
  LEASE_THREADS_MAX,
  type LeaseMemory,
} from "./lease_layout.ts";
export { type Lease, LeaseReader } from "./lease_reader.ts";

/** Number of times the owner spins on a hazard word before it sleeps. */
const SPINS = 2000;
/** How long the owner sleeps between two looks at it, milliseconds. */
const SLEEP_MS = 1;

/** A descriptor that other threads may use until all leases are withdrawn. */
export interface LentDescriptor {
  /** The descriptor. */
  readonly descriptor: number;
  /** Whether `preadv2` with RWF_NOWAIT may work on the descriptor. */
  readonly tellsCached: boolean;
}

/** The leases of a device, for a server that serves it from several threads. */
export interface Leases {
  /** The memory of the lease table; post it to the threads. */
  readonly memory: LeaseMemory;
  /**
   * Registers a thread.
   *
   * @returns Number of the thread, from 0; `undefined` if
   *   `LEASE_THREADS_MAX` threads are registered, or the device leases nothing
   *   for now.
   */
  join(): number | undefined;
  /**
   * Unregisters a thread.
   *
   * *Requires:* the thread uses no lease any more.
   *
   * @param thread Number of the thread.
   */
  leave(thread: number): void;
  /**
   * Leases a chunk if it is mapped and not being moved; else does nothing. The
   * lease of a chunk that must not be written in place is for reads only.
   *
   * @param offset Any byte of the chunk; may lie past the end of the device.
   */
  grant(offset: number): void;
  /**
   * Maps chunks that are about to be written, and leases them, as far as both
   * can be done at once.
   *
   * @param offsets Any byte of each chunk; may lie past the end of the device.
   * @returns Whether all of them are mapped.
   */
  prepare(...offsets: readonly number[]): boolean;
  /**
   * Maps and leases chunks that will probably be written soon, up to the first
   * one that cannot be. {@linkcode giveBack} has to be called for them later.
   *
   * @param offset Any byte of the first chunk; may lie past the end of the
   *   device.
   * @param count How many chunks.
   * @returns How many of them are leased.
   */
  mapAhead(offset: number, count: number): number;
  /**
   * Unmaps those chunks of a range that {@linkcode mapAhead} has mapped and that
   * hold no data.
   *
   * @param offset Any byte of the first chunk.
   * @param count How many chunks.
   */
  giveBack(offset: number, count: number): void;
}

/** The lease table as the owner of the device uses it. */
export class LeaseTable {
  /** The memory of the table; post it to the threads. */
  readonly memory: LeaseMemory;
  readonly #entries: Int32Array;
  readonly #control: Int32Array;
  readonly #work: Float64Array;
  readonly #syncs: SyncLines;
  readonly #threads = new Set<number>();
  /** No slot from this one on was ever used. */
  #slots = 0;

  /**
   * Creates a table without leases. It reserves address space for all entries;
   * the system provides memory as entries are used.
   *
   * @param chunkSize Bytes of a chunk.
   * @param writable Whether threads may write under leases.
   * @param syncs The lines of the pool's files; by default lines that no file
   *   uses.
   */
  constructor(
    chunkSize: number,
    writable: boolean,
    syncs: SyncLines = new SyncLines(),
  ) {
    const bytes = Int32Array.BYTES_PER_ELEMENT;
    const entries = new SharedArrayBuffer(ENTRIES * ENTRY_WORDS * bytes);
    const control = new SharedArrayBuffer(CONTROL_WORDS * bytes);
    const numbers = LEASE_THREADS_MAX * WORK_STEP;
    const work = new SharedArrayBuffer(
      numbers * Float64Array.BYTES_PER_ELEMENT,
    );
    this.#syncs = syncs;
    this.memory = {
      chunkSize,
      entries,
      control,
      work,
      syncs: syncs.memory,
      firstThread: syncs.newTable(),
    };
    this.#work = new Float64Array(work);
    this.#entries = new Int32Array(entries);
    this.#control = new Int32Array(control);
    Atomics.store(this.#control, OPEN, 1);
    Atomics.store(this.#control, WRITABLE, writable ? 1 : 0);
  }

  /**
   * Registers a thread.
   *
   * @returns Number of the thread, from 0; `undefined` if
   *   `LEASE_THREADS_MAX` threads are registered.
   */
  join(): number | undefined {
    for (let thread = 0; thread < LEASE_THREADS_MAX; thread++) {
      if (this.#threads.has(thread)) continue;
      this.#threads.add(thread);
      return thread;
    }
    return undefined;
  }

  /**
   * Unregisters a thread.
   *
   * *Requires:* the thread uses no lease any more.
   *
   * *Ensures:* it syncs no file; one that it has failed to sync stays unsound.
   *
   * @param thread Number of the thread.
   */
  leave(thread: number): void {
    assert(
      Atomics.load(this.#control, hazardOf(thread)) === 0,
      "a thread that leaves uses no lease",
    );
    this.#threads.delete(thread);
    const { count } = this.#syncs;
    for (let source = 1; source < count; source++) {
      this.#syncs.line(source).abandon(this.memory.firstThread + thread);
    }
  }

  /**
   * Leases a chunk. Another chunk with the same entry loses its lease.
   *
   * *Requires:* the chunk is mapped to `place`, and the owner calls
   * {@linkcode withdraw} before it moves or frees the chunk.
   *
   * @param chunk Number of the chunk.
   * @param source Number of the source that stores the chunk, from 1. From
   *   `LEASE_SOURCES_MAX` on the call does nothing.
   * @param lent The descriptor of that source.
   * @param place Number of the chunk on that source.
   * @param isReadOnly Whether the lease is for reads only; default false.
   */
  grant(
    chunk: number,
    source: number,
    lent: LentDescriptor,
    place: number,
    isReadOnly = false,
  ): void {
    if (source >= LEASE_SOURCES_MAX) return;
    const slot = slotOf(chunk);
    if (slot >= this.#slots) this.#slots = slot + 1;
    const at = slot * ENTRY_WORDS;
    const about = SOURCES + source * LINE_WORDS;
    this.#control[about + DESCRIPTOR] = lent.descriptor;
    this.#control[about + TELLS_CACHED] = lent.tellsCached ? 1 : 0;
    const tag = tagOf(chunk);
    const entries = this.#entries;
    const word = isReadOnly ? source | READ_ONLY : source;
    if (
      ((entries[at] ?? 0) & ~UNWRITTEN) === word && entries[at + 1] === tag &&
      entries[at + 2] === (place | 0)
    ) return;
    // No thread uses the other words of an entry whose source is 0.
    this.#clear(slot);
    entries[at + 1] = tag;
    entries[at + 2] = place;
    Atomics.store(entries, at, word);
  }

  /**
   * Marks a leased chunk as unwritten; the first write under the lease clears
   * the mark. It says what to look at, and proves nothing: the owner writes to
   * the chunk without clearing it.
   *
   * @param chunk Number of the chunk, which was granted in this turn.
   */
  markUnwritten(chunk: number): void {
    const at = slotOf(chunk) * ENTRY_WORDS;
    if (this.#isOf(chunk)) Atomics.or(this.#entries, at, UNWRITTEN);
  }

  /**
   * Tells whether the mark of {@linkcode markUnwritten} is gone from a leased
   * chunk.
   *
   * @param chunk Number of the chunk.
   * @returns Whether the chunk is leased, and without the mark.
   */
  isWritten(chunk: number): boolean {
    const word = Atomics.load(this.#entries, slotOf(chunk) * ENTRY_WORDS);
    return (word & UNWRITTEN) === 0 && this.#isOf(chunk);
  }

  /**
   * Withdraws the lease of a chunk, if it has one.
   *
   * *Ensures:* no thread writes under the lease; a thread that still reads
   * under it drops the bytes.
   *
   * @param chunk Number of the chunk.
   */
  withdraw(chunk: number): void {
    if (this.#isOf(chunk)) this.#clear(slotOf(chunk));
  }

  /**
   * Withdraws all leases; chunks may be leased anew afterwards.
   *
   * *Ensures:* as {@linkcode withdraw}, for every chunk.
   */
  withdrawAll(): void {
    for (let slot = 0; slot < this.#slots; slot++) {
      if (this.#entries[slot * ENTRY_WORDS] !== 0) this.#clear(slot);
    }
  }

  /** Forbids new writes under leases; a write in flight may still end. */
  forbidWrites(): void {
    Atomics.store(this.#control, WRITABLE, 0);
  }

  /** Allows writes under leases again. */
  allowWrites(): void {
    Atomics.store(this.#control, WRITABLE, 1);
  }

  /**
   * Withdraws all leases for good.
   *
   * *Ensures:* as {@linkcode withdraw}, for every chunk.
   */
  end(): void {
    Atomics.store(this.#control, OPEN, 0);
    for (const thread of this.#threads) {
      const hazard = hazardOf(thread);
      this.#wait(hazard, () => Atomics.load(this.#control, hazard) !== 0);
    }
  }

  /**
   * Tells whether threads wrote to a source since the last call, and clears the
   * mark. A write that is done before the call is reported by this call, a
   * later one by the next call.
   *
   * @param source Number of the source.
   * @param note Called before the mark is cleared, to note the writes elsewhere.
   * @returns Whether the source has writes to make durable.
   */
  takeWritten(source: number, note: () => void = () => {}): boolean {
    if (source >= LEASE_SOURCES_MAX) return false;
    const at = SOURCES + source * LINE_WORDS + WRITTEN;
    if (Atomics.load(this.#control, at) === 0) return false;
    note();
    return Atomics.exchange(this.#control, at, 0) !== 0;
  }

  /** Totals of the requests that threads did under leases so far. */
  get work(): Readonly<Transfers> {
    const sum = (which: number) => {
      let total = 0;
      for (let at = which; at < this.#work.length; at += WORK_STEP) {
        total += this.#work[at] ?? 0;
      }
      return total;
    };
    return {
      reads: sum(READS),
      bytesRead: sum(READS + 1),
      writes: sum(WRITES),
      bytesWritten: sum(WRITES + 1),
      flushes: sum(FLUSHES),
    };
  }

  /** Whether a chunk has a lease. */
  #isOf(chunk: number): boolean {
    const at = slotOf(chunk) * ENTRY_WORDS;
    return this.#entries[at] !== 0 && this.#entries[at + 1] === tagOf(chunk);
  }

  #clear(slot: number): void {
    const at = slot * ENTRY_WORDS;
    Atomics.store(this.#entries, at, 0);
    Atomics.add(this.#entries, at + VERSION, 1);
    for (const thread of this.#threads) {
      const hazard = hazardOf(thread);
      const isUsed = () => Atomics.load(this.#control, hazard) === slot + 1;
      if (isUsed()) this.#wait(hazard, isUsed);
    }
  }

  /** Waits for a thread, which uses a lease for one write to the page cache. */
  #wait(hazard: number, isUsed: () => boolean): void {
    for (let spins = 0; isUsed(); spins++) {
      if (spins < SPINS) continue;
      const value = Atomics.load(this.#control, hazard);
      Atomics.wait(this.#control, hazard, value, SLEEP_MS);
    }
  }
}
