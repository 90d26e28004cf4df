/**
 * Leases: which chunks of a device other threads may read and write by
 * themselves, and where those are. The table lies in shared memory. One thread,
 * the owner of the device, grants and withdraws; the others look.
 *
 * A lease is withdrawn before the chunk changes its place or its owner, and
 * `withdraw` returns when no thread writes under it any more. A thread that is
 * about to write names the entry, and looks at the entry after that; the owner
 * clears the entry, and looks at the names after that. So either the thread
 * sees that the lease is gone, or the owner sees the thread and waits: these
 * loads and stores are `Atomics`, which have one order for all (hazard
 * pointers, after Maged Michael).
 *
 * The owner never waits for a read, which may take as long as a disk does. A
 * thread that reads names nothing: it looks at the entry again after the read,
 * and drops the bytes if the lease was withdrawn meanwhile. The version of the
 * entry tells, also when the same lease was granted again (a sequence lock).
 *
 * @module
 */

import { assert } from "../../errors.ts";
import type { LentFlush } from "./lent_flush.ts";
import {
  CONTROL_WORDS,
  DESCRIPTOR,
  ENTRIES,
  ENTRY_WORDS,
  hazardOf,
  LEASE_SOURCES_MAX,
  LEASE_THREADS_MAX,
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

export {
  LEASE_SOURCES_MAX,
  LEASE_THREADS_MAX,
  type LeaseMemory,
} from "./lease_layout.ts";
export { type Lease, LeaseReader } from "./lease_reader.ts";

/** So often it is looked whether a lease is still used before it sleeps. */
const SPINS = 2000;
/** How long it sleeps between looks, milliseconds. */
const SLEEP_MS = 1;

/** A descriptor that other threads may use until all leases are withdrawn. */
export interface LentDescriptor {
  /** Its number. */
  readonly descriptor: number;
  /** Whether the system tells what is in the page cache. */
  readonly tellsCached: boolean;
}

/** What a device lends, for whoever serves it from several threads. */
export interface Leases {
  /** What the threads need. */
  readonly memory: LeaseMemory;
  /**
   * Takes part, for one thread.
   *
   * @returns Its number, or undefined if there are too many.
   */
  join(): number | undefined;
  /**
   * Takes part no more. The thread uses no lease any more.
   *
   * @param thread Its number.
   */
  leave(thread: number): void;
  /**
   * Leases a chunk, if it can be; not if it has no place, or is being moved.
   *
   * @param offset Any byte of it, also beyond the device.
   */
  grant(offset: number): void;
  /**
   * Gives a chunk that is about to be written to a place, and leases it, if
   * both can be done at once.
   *
   * @param offset Any byte of it, also beyond the device.
   * @returns Whether it has a place.
   */
  prepare(offset: number): boolean;
  /**
   * Begins a flush that the caller's thread carries out.
   *
   * Ensures: every write that was completed before is covered.
   *
   * @returns The flush; undefined if the owner has to flush by itself.
   */
  lendFlush(): LentFlush | undefined;
}

/** What was read and written under leases. */
export interface LeasedWork {
  /** Reads. */
  readonly reads: number;
  /** Bytes of them. */
  readonly bytesRead: number;
  /** Writes. */
  readonly writes: number;
  /** Bytes of them. */
  readonly bytesWritten: number;
}

/** The owner's side. */
export class LeaseTable {
  /** What the threads need. */
  readonly memory: LeaseMemory;
  readonly #entries: Int32Array;
  readonly #control: Int32Array;
  readonly #work: Float64Array;
  readonly #threads = new Set<number>();

  /**
   * Makes a table without leases. Its memory is taken as it is used.
   *
   * @param chunkSize Bytes of a chunk.
   * @param writable Whether threads may write.
   */
  constructor(chunkSize: number, writable: boolean) {
    const bytes = Int32Array.BYTES_PER_ELEMENT;
    const entries = new SharedArrayBuffer(ENTRIES * ENTRY_WORDS * bytes);
    const control = new SharedArrayBuffer(CONTROL_WORDS * bytes);
    const numbers = LEASE_THREADS_MAX * WORK_STEP;
    const work = new SharedArrayBuffer(
      numbers * Float64Array.BYTES_PER_ELEMENT,
    );
    this.memory = { chunkSize, entries, control, work };
    this.#work = new Float64Array(work);
    this.#entries = new Int32Array(entries);
    this.#control = new Int32Array(control);
    Atomics.store(this.#control, OPEN, 1);
    Atomics.store(this.#control, WRITABLE, writable ? 1 : 0);
  }

  /**
   * Takes part, for one thread.
   *
   * @returns Its number, or undefined if there are too many.
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
   * Takes part no more. The thread uses no lease any more.
   *
   * @param thread Its number.
   */
  leave(thread: number): void {
    assert(
      Atomics.load(this.#control, hazardOf(thread)) === 0,
      "a thread that leaves uses no lease",
    );
    this.#threads.delete(thread);
  }

  /**
   * Leases a chunk. One that has the same place in the table loses its lease.
   *
   * @param chunk Its number.
   * @param source The number of what it is on, from 1.
   * @param lent The same.
   * @param place Its number there.
   */
  grant(
    chunk: number,
    source: number,
    lent: LentDescriptor,
    place: number,
  ): void {
    if (source >= LEASE_SOURCES_MAX) return;
    const slot = slotOf(chunk);
    const at = slot * ENTRY_WORDS;
    const about = SOURCES + source * LINE_WORDS;
    this.#control[about + DESCRIPTOR] = lent.descriptor;
    this.#control[about + TELLS_CACHED] = lent.tellsCached ? 1 : 0;
    const tag = tagOf(chunk);
    const entries = this.#entries;
    if (
      entries[at] === source && entries[at + 1] === tag &&
      entries[at + 2] === (place | 0)
    ) return;
    // Nobody uses the words of an entry that is not leased.
    this.#clear(slot);
    entries[at + 1] = tag;
    entries[at + 2] = place;
    Atomics.store(entries, at, source);
  }

  /**
   * Withdraws the lease of a chunk, if it has one. Afterwards no thread writes
   * under it, and what a thread still reads under it does not count.
   *
   * @param chunk Its number.
   */
  withdraw(chunk: number): void {
    const slot = slotOf(chunk);
    const at = slot * ENTRY_WORDS;
    if (this.#entries[at] === 0) return;
    if (this.#entries[at + 1] === tagOf(chunk)) this.#clear(slot);
  }

  /** From now on nothing is written under a lease. */
  forbidWrites(): void {
    Atomics.store(this.#control, WRITABLE, 0);
  }

  /** Withdraws all leases, for ever; afterwards as {@linkcode withdraw}. */
  end(): void {
    Atomics.store(this.#control, OPEN, 0);
    for (const thread of this.#threads) {
      const hazard = hazardOf(thread);
      this.#wait(hazard, () => Atomics.load(this.#control, hazard) !== 0);
    }
  }

  /**
   * Whether something was written under leases since the last call. What is
   * done before the call is told by it; what is done later by the next one.
   *
   * @param source The number of what it is on.
   * @returns Whether there is something to make durable.
   */
  takeWritten(source: number): boolean {
    if (source >= LEASE_SOURCES_MAX) return false;
    const at = SOURCES + source * LINE_WORDS + WRITTEN;
    return Atomics.exchange(this.#control, at, 0) !== 0;
  }

  /** What was done under leases so far. */
  get work(): LeasedWork {
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
    };
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

  /** A thread uses a lease for as long as one write to the page cache takes. */
  #wait(hazard: number, isUsed: () => boolean): void {
    for (let spins = 0; isUsed(); spins++) {
      if (spins < SPINS) continue;
      const value = Atomics.load(this.#control, hazard);
      Atomics.wait(this.#control, hazard, value, SLEEP_MS);
    }
  }
}
