/**
 * Leases: which chunks of a device other threads may read and write by
 * themselves, and where those are. The table lies in shared memory. One thread,
 * the owner of the device, grants and withdraws; the others look.
 *
 * A lease is withdrawn before the chunk changes its place or its owner, and
 * `withdraw` returns when nobody uses it any more. Each thread says which entry
 * it is about to use, and looks at the entry after that; the owner clears the
 * entry, and looks at what the threads say after that. So either the thread
 * sees that the lease is gone, or the owner sees the thread and waits: these
 * loads and stores are `Atomics`, which have one order for all (hazard
 * pointers, after Maged Michael).
 *
 * @module
 */

import { assert } from "../errors.ts";

/** Threads that may look at one table at once. */
export const LEASE_THREADS_MAX = 64;
/** Descriptors that one table can name; what lies on others is not leased. */
export const LEASE_SOURCES_MAX = 1024;

/** Entries; a chunk has its place by its number, and may have to share it. */
const ENTRIES = 1 << 20;
/** Words of an entry: source (0: no lease), which chunk, its place, unused. */
const ENTRY_WORDS = 4;
/** Words from one thread's or source's to the next: a cache line. */
const LINE_WORDS = 16;
const HAZARDS = LINE_WORDS;
/** The same in numbers of 64 bits: what one thread counts. */
const WORK_STEP = 8;
const SOURCES = HAZARDS + LEASE_THREADS_MAX * LINE_WORDS;
const CONTROL_WORDS = SOURCES + LEASE_SOURCES_MAX * LINE_WORDS;
/** So often it is looked whether a lease is still used before it sleeps. */
const SPINS = 2000;
/** How long it sleeps between looks, milliseconds. */
const SLEEP_MS = 1;

/** Words of the control block, and of a source in it. */
const OPEN = 0;
const WRITABLE = 1;
const DESCRIPTOR = 0;
const WRITTEN = 1;
const TELLS_CACHED = 2;
/** Numbers of what a thread counts; the bytes are in the next one. */
const READS = 0;
const WRITES = 2;

/** The shared memory; it can be sent to other threads. */
export interface LeaseMemory {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The entries. */
  readonly entries: SharedArrayBuffer;
  /** What is common to all entries. */
  readonly control: SharedArrayBuffer;
  /** What the threads count. */
  readonly work: SharedArrayBuffer;
}

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
   * Withdraws the lease of a chunk, if it has one. Afterwards nobody uses it.
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

  /** Withdraws all leases, for ever. Afterwards nobody uses any. */
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
    Atomics.store(this.#entries, slot * ENTRY_WORDS, 0);
    for (const thread of this.#threads) {
      const hazard = hazardOf(thread);
      const isUsed = () => Atomics.load(this.#control, hazard) === slot + 1;
      if (isUsed()) this.#wait(hazard, isUsed);
    }
  }

  /** A thread uses a lease for as long as one read or write takes. */
  #wait(hazard: number, isUsed: () => boolean): void {
    for (let spins = 0; isUsed(); spins++) {
      if (spins < SPINS) continue;
      const value = Atomics.load(this.#control, hazard);
      Atomics.wait(this.#control, hazard, value, SLEEP_MS);
    }
  }
}

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
   * Begins to use the lease of a range: {@linkcode release} follows, soon, if
   * this is true.
   *
   * @param offset The first byte.
   * @param length How many, above 0.
   * @returns Whether it is leased; {@linkcode lease} tells where it is.
   */
  use(offset: number, length: number): boolean {
    const chunkSize = this.#chunkSize;
    const chunk = Math.floor(offset / chunkSize);
    const within = offset - chunk * chunkSize;
    if (within + length > chunkSize) return false;
    const entries = this.#entries;
    const control = this.#control;
    const slot = slotOf(chunk);
    const at = slot * ENTRY_WORDS;
    // In this order: see above.
    Atomics.store(control, this.#hazard, slot + 1);
    const source = Atomics.load(entries, at);
    if (
      source === 0 || entries[at + 1] !== tagOf(chunk) ||
      Atomics.load(control, OPEN) === 0
    ) {
      this.release();
      return false;
    }
    const about = SOURCES + source * LINE_WORDS;
    const { lease } = this;
    const place = (entries[at + 2] ?? 0) >>> 0;
    lease.descriptor = control[about + DESCRIPTOR] ?? -1;
    lease.tellsCached = control[about + TELLS_CACHED] === 1;
    lease.at = place * chunkSize + within;
    this.#source = about;
    return true;
  }

  /**
   * Something was read under the lease that is used.
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
    // Whoever takes it later sees what was written before.
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

function hazardOf(thread: number): number {
  return HAZARDS + thread * LINE_WORDS;
}

function slotOf(chunk: number): number {
  return chunk % ENTRIES;
}

/** Tells chunks of one slot apart; those of a disk stay below 2^31. */
function tagOf(chunk: number): number {
  return Math.floor(chunk / ENTRIES);
}
