/**
 * What threads share about making the files of a device durable.
 *
 * Each file has a line in shared memory. `fdatasync` of a file runs under the
 * lock of its line, on whichever thread: after a failed `fdatasync` a second
 * one could succeed and mean nothing, so the failure has to be on record before
 * another one begins.
 *
 * The owner of the device notes its own writes in the line (`isDirty`). Threads
 * note theirs in their lease table; the owner moves such a note into the line,
 * and only then clears it in the table. A thread that reads the note, then
 * `isDirty`, then the lock therefore misses no write: a write whose note is gone
 * is dirty, or is covered by the `fdatasync` that holds the lock, or is durable.
 *
 * @module
 */

import { DURATION_NUMBERS, Durations } from "../measures/mod.ts";
import {
  LEASE_SOURCES_MAX,
  LEASE_THREADS_MAX,
  LINE_WORDS,
} from "./lease_layout.ts";

const WORD_BYTES = Int32Array.BYTES_PER_ELEMENT;
const LINE_BYTES: number = LINE_WORDS * WORD_BYTES;
/** Behind the lines: how long the `fdatasync` of each file took. */
const DURATIONS_AT: number = (1 + LEASE_SOURCES_MAX) * LINE_BYTES;
const DURATIONS_BYTES: number = DURATION_NUMBERS *
  Float64Array.BYTES_PER_ELEMENT;
/** Line of a file: which thread holds the lock, or {@linkcode FREE}. */
const LOCK = 0;
/** Line of a file: 1 if the owner has written since it last began to sync. */
const DIRTY = 1;
/** Line of a file: one of the states below. */
const STATE = 2;
/** Line of a file: its descriptor. */
const DESCRIPTOR = 3;
/** Line of a file: its size, in 64 bits, as two words. */
const SIZE = 4;
/** First line of the memory: how many lines there are. */
const COUNT = 0;
/** First line: 1 while mappings have to be settled after their data. */
const SETTLING = 1;
/** First line: 1 if each file that the owner writes to has a line. */
const COMPLETE = 2;
/** First line: lease tables that there have been. */
const TABLES = 3;
/** A lock that no thread holds. */
const FREE = 0;
/** A lock that the owner holds; a thread's own number is above. */
const OWNER = 1;
/** No file, or one that only its owner may sync. */
const NONE = 0;
/** A file that each thread may sync. */
const READY = 1;
/** An `fdatasync` of the file has failed, for good. */
const FAILED = 2;
const WORD_VALUES: number = 2 ** 32;
/** How often a timer runs that does nothing, milliseconds. */
const ALIVE_MS = 60_000;

/** The line of one file. */
export class SyncLine {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array | undefined;
  #durations: Durations | undefined;

  /**
   * Attaches to a line.
   *
   * @param memory The memory; by default memory of its own.
   * @param line Number of the line, from 0.
   * @param numbers Where all that may sync the file note how long that took;
   *   nowhere by default.
   */
  constructor(
    memory: SharedArrayBuffer = new SharedArrayBuffer(LINE_BYTES),
    line = 0,
    numbers: Float64Array | undefined = undefined,
  ) {
    this.#words = new Int32Array(memory, line * LINE_BYTES, LINE_WORDS);
    this.#numbers = numbers;
  }

  /** Whether the owner has written since it last began to sync. */
  get isDirty(): boolean {
    return Atomics.load(this.#words, DIRTY) !== 0;
  }

  set isDirty(isDirty: boolean) {
    const value = isDirty ? 1 : 0;
    // Only the owner stores it, often and with the same value.
    if (this.#words[DIRTY] !== value) Atomics.store(this.#words, DIRTY, value);
  }

  /** Whether threads may sync the file. */
  get isReady(): boolean {
    return Atomics.load(this.#words, STATE) === READY;
  }

  /** Whether an `fdatasync` of the file has failed. */
  get hasFailed(): boolean {
    return Atomics.load(this.#words, STATE) === FAILED;
  }

  /** Whether no thread syncs the file. */
  get isFree(): boolean {
    return Atomics.load(this.#words, LOCK) === FREE;
  }

  /** The descriptor of the file. */
  get descriptor(): number {
    return Atomics.load(this.#words, DESCRIPTOR);
  }

  /** Bytes of the file when it was opened. */
  get size(): number {
    const words = this.#words;
    const low = (words[SIZE] ?? 0) >>> 0;
    return (words[SIZE + 1] ?? 0) * WORD_VALUES + low;
  }

  /**
   * Lets threads sync a file. Only the owner may call this.
   *
   * @param descriptor The descriptor, open until {@linkcode end} is done.
   * @param size Bytes of the file.
   * @param isDirty Whether the owner has something to make durable.
   * @param isHeld Whether the owner holds the lock from the beginning.
   * @param durations What the owner has noted; it goes on in the line.
   * @returns False if the line is still another file's; nothing was done.
   */
  begin(
    descriptor: number,
    size: number,
    isDirty: boolean,
    isHeld: boolean,
    durations?: Durations,
  ): boolean {
    const words = this.#words;
    if (Atomics.load(words, STATE) !== NONE || !this.isFree) return false;
    words[DESCRIPTOR] = descriptor;
    words[SIZE] = size % WORD_VALUES;
    words[SIZE + 1] = Math.floor(size / WORD_VALUES);
    // Before a thread may note something there.
    if (this.#numbers !== undefined) durations?.moveTo(this.#numbers);
    Atomics.store(words, DIRTY, isDirty ? 1 : 0);
    Atomics.store(words, LOCK, isHeld ? OWNER : FREE);
    Atomics.store(words, STATE, READY);
    return true;
  }

  /**
   * Ends the use of the line. Only the owner may call this.
   *
   * *Ensures*: when the result has settled, no thread syncs the file.
   *
   * @param lastly Called with the lock held: afterwards the line may become
   *   another file's.
   * @returns A promise while a thread, or the owner, syncs the file.
   */
  end(lastly: () => void = () => {}): Promise<void> | undefined {
    Atomics.store(this.#words, STATE, NONE);
    const release = () => {
      lastly();
      this.unlock();
    };
    if (this.tryLock()) return void release();
    return this.lockLater().then(release);
  }

  /**
   * Notes how long an `fdatasync` of the file took.
   *
   * *Requires*: the caller holds the lock.
   *
   * @param ms The duration, milliseconds.
   */
  noteDuration(ms: number): void {
    if (this.#numbers === undefined) return;
    this.#durations ??= new Durations(this.#numbers);
    this.#durations.note(ms);
  }

  /** Records that an `fdatasync` of the file has failed. */
  fail(): void {
    Atomics.store(this.#words, STATE, FAILED);
  }

  /**
   * Takes the lock if it is free.
   *
   * @param thread The thread: {@linkcode OWNER} unless given.
   * @returns Whether the thread holds it now.
   */
  tryLock(thread = OWNER): boolean {
    const words = this.#words;
    return Atomics.compareExchange(words, LOCK, FREE, thread) === FREE;
  }

  /**
   * Takes the lock, and waits until it is free: as long as a disk takes.
   *
   * @param thread The thread, which is not the owner.
   */
  lock(thread: number): void {
    const words = this.#words;
    for (;;) {
      const holder = Atomics.compareExchange(words, LOCK, FREE, thread);
      if (holder === FREE) return;
      Atomics.wait(words, LOCK, holder);
    }
  }

  /** Takes the lock for the owner when it is free. */
  async lockLater(): Promise<void> {
    const words = this.#words;
    // `waitAsync` does not keep the process from ending; a timer does.
    const timer = setInterval(() => {}, ALIVE_MS);
    try {
      for (;;) {
        const holder = Atomics.compareExchange(words, LOCK, FREE, OWNER);
        if (holder === FREE) return;
        await Atomics.waitAsync(words, LOCK, holder).value;
      }
    } finally {
      clearInterval(timer);
    }
  }

  /** Gives the lock back. */
  unlock(): undefined {
    Atomics.store(this.#words, LOCK, FREE);
    Atomics.notify(this.#words, LOCK);
  }

  /**
   * Gives back the lock of a thread that has ended, if it holds it. Whether the
   * file is durable is not known then.
   *
   * @param thread The thread.
   */
  abandon(thread: number): void {
    if (Atomics.load(this.#words, LOCK) !== thread) return;
    this.fail();
    this.unlock();
  }
}

/** The lines of all files of a pool. */
export class SyncLines {
  /** The memory; it can be posted to other threads. */
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  /** Those that were asked for, by source. */
  readonly #lines: SyncLine[] = [];

  /**
   * Attaches to the lines.
   *
   * @param memory The memory; new memory by default.
   */
  constructor(
    memory: SharedArrayBuffer = new SharedArrayBuffer(
      DURATIONS_AT + LEASE_SOURCES_MAX * DURATIONS_BYTES,
    ),
  ) {
    this.memory = memory;
    this.#words = new Int32Array(memory, 0, LINE_WORDS);
  }

  /** Sources below this number may have a line. */
  get count(): number {
    return Atomics.load(this.#words, COUNT);
  }

  /** Whether only the owner can flush: mappings have to be settled. */
  get isSettling(): boolean {
    return Atomics.load(this.#words, SETTLING) !== 0;
  }

  set isSettling(isSettling: boolean) {
    Atomics.store(this.#words, SETTLING, isSettling ? 1 : 0);
  }

  /** Whether each file that the owner writes to has a line; at first, no. */
  get isComplete(): boolean {
    return Atomics.load(this.#words, COMPLETE) !== 0;
  }

  set isComplete(isComplete: boolean) {
    Atomics.store(this.#words, COMPLETE, isComplete ? 1 : 0);
  }

  /**
   * Finds the line of a source.
   *
   * @param source Number of the source, from 1, below `LEASE_SOURCES_MAX`.
   * @returns The line.
   */
  line(source: number): SyncLine {
    let line = this.#lines[source];
    if (line === undefined) {
      const at = DURATIONS_AT + source * DURATIONS_BYTES;
      const numbers = new Float64Array(this.memory, at, DURATION_NUMBERS);
      line = new SyncLine(this.memory, 1 + source, numbers);
      this.#lines[source] = line;
      const count = Math.max(source + 1, this.count);
      Atomics.store(this.#words, COUNT, count);
    }
    return line;
  }

  /**
   * Numbers the threads of a lease table, apart from those of all others.
   *
   * @returns The number of its first thread.
   */
  newTable(): number {
    const tables = Atomics.add(this.#words, TABLES, 1);
    return OWNER + 1 + tables * LEASE_THREADS_MAX;
  }
}
