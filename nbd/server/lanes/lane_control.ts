/**
 * What the server and the thread of a lane share about one connection.
 *
 * @module
 */

import { addCounts } from "../../../device/leases/mod.ts";
import { LANE_WANTS_MAX } from "../../wire/mod.ts";
import {
  type NbdCounters,
  RequestTimes,
  TIMES_NUMBERS,
} from "../export/mod.ts";

/** Words of the control block: each in a cache line of its own. */
const LOCK = 0;
const DIVERTED = 16;
const BACKLOG = 32;
const ACTIVITY = 48;
const ANSWER = 64;
const RESTING = 80;
const SERVER_WAITS = 96;
const ALONE = 112;
const QUESTION = 128;
const FLUSHING = 144;
const WORDS = 160;
/** Behind the words, in numbers of 64 bits: what the thread counts. */
const COUNTS_AT: number = WORDS * Int32Array.BYTES_PER_ELEMENT;
const COUNTS = 6;
/** Behind those: how many chunks are wanted, and ahead; a byte of each. */
const WANTS_AT: number = COUNTS_AT + COUNTS * Float64Array.BYTES_PER_ELEMENT;
const WANTS_HEAD = 2;
const WANTS: number = WANTS_HEAD + LANE_WANTS_MAX;
/** Behind those: how long requests took. */
const TIMES_AT: number = WANTS_AT + WANTS * Float64Array.BYTES_PER_ELEMENT;
const SIZE: number = TIMES_AT +
  TIMES_NUMBERS * Float64Array.BYTES_PER_ELEMENT;
/** The states of the lock (after Ulrich Drepper, "Futexes Are Tricky"). */
const FREE = 0;
const HELD = 1;
const WANTED = 2;
/** The states of the question for chunks. */
const NONE = 0;
const ASKED = 1;
const ENDED = 2;
/** Answers of the server. */
const PENDING = 0;
const YES = 1;
const NO = 2;
/** A backlog that no thread waits for. */
const NO_BACKLOG = -(2 ** 30);

/** What a thread asks for. */
export interface ChunkQuestion {
  /** A byte of each chunk. */
  readonly offsets: Float64Array;
  /** How many chunks behind the last one will probably follow. */
  readonly ahead: number;
}

/** The control block of one connection, as both sides see it. */
export class LaneControl {
  /** What is shared. */
  readonly memory: SharedArrayBuffer;
  /** How long the requests took that the thread has answered. */
  readonly times: RequestTimes;
  readonly #words: Int32Array;
  readonly #counts: Float64Array;
  readonly #wants: Float64Array;

  /**
   * Makes one, or takes part in one.
   *
   * @param memory What is shared.
   */
  constructor(
    memory: SharedArrayBuffer = new SharedArrayBuffer(SIZE),
  ) {
    this.memory = memory;
    this.#words = new Int32Array(memory, 0, WORDS);
    this.#counts = new Float64Array(memory, COUNTS_AT, COUNTS);
    this.#wants = new Float64Array(memory, WANTS_AT, WANTS);
    this.times = new RequestTimes(
      new Float64Array(memory, TIMES_AT, TIMES_NUMBERS),
    );
  }

  /**
   * How many times something came: it tells whether the client is idle.
   *
   * @returns A number that changes.
   */
  get activity(): number {
    return Atomics.load(this.#words, ACTIVITY);
  }

  /** Something came. */
  noteActivity(): void {
    Atomics.add(this.#words, ACTIVITY, 1);
  }

  /**
   * Whether the thread holds nothing, and the server has read all that the
   * thread has handed over. What the system holds does not count.
   */
  get isDrained(): boolean {
    const words = this.#words;
    // In this order: what is handed over is counted before the thread rests.
    return Atomics.load(words, RESTING) !== 0 &&
      Atomics.load(words, BACKLOG) === 0;
  }

  /**
   * Says whether the thread holds nothing: neither bytes that it has received
   * and not handed over, nor replies that it has not sent. The thread says so
   * only once the server has diverted the connection: each time would cost.
   *
   * Requires: the thread takes this back before it receives.
   *
   * @param isResting Whether it holds nothing.
   */
  rest(isResting: boolean): void {
    Atomics.store(this.#words, RESTING, isResting ? 1 : 0);
  }

  /**
   * The thread has read bytes for READs.
   *
   * @param requests How many it has answered.
   * @param length Bytes.
   */
  countReads(requests: number, length: number): void {
    const counts = this.#counts;
    counts[0] = (counts[0] ?? 0) + requests;
    counts[1] = (counts[1] ?? 0) + length;
  }

  /**
   * The thread has taken bytes of WRITEs.
   *
   * @param requests How many it has answered.
   * @param length Bytes.
   */
  countWrites(requests: number, length: number): void {
    const counts = this.#counts;
    counts[2] = (counts[2] ?? 0) + requests;
    counts[3] = (counts[3] ?? 0) + length;
  }

  /**
   * Whether the thread is at work on requests. It is seen a little later.
   */
  get isAtWork(): boolean {
    return this.#counts[5] === 1;
  }

  set isAtWork(isAtWork: boolean) {
    this.#counts[5] = isAtWork ? 1 : 0;
  }

  /**
   * The thread has answered FLUSHes.
   *
   * @param requests How many.
   */
  countFlushes(requests: number): void {
    this.#counts[4] = (this.#counts[4] ?? 0) + requests;
  }

  /**
   * Adds what the thread has done.
   *
   * @param counters Where to.
   */
  addCounts(counters: NbdCounters): void {
    const [
      reads = 0,
      bytesRead = 0,
      writes = 0,
      bytesWritten = 0,
      flushes = 0,
    ] = this.#counts;
    const transfers = { reads, bytesRead, writes, bytesWritten, flushes };
    addCounts(counters, transfers);
  }

  /** Whether the thread waits for a disk. */
  get isFlushing(): boolean {
    return Atomics.load(this.#words, FLUSHING) !== 0;
  }

  set isFlushing(isFlushing: boolean) {
    Atomics.store(this.#words, FLUSHING, isFlushing ? 1 : 0);
  }

  /** Whether there is no other client, which would need the processor, too. */
  get isAlone(): boolean {
    return Atomics.load(this.#words, ALONE) !== 0;
  }

  set isAlone(isAlone: boolean) {
    Atomics.store(this.#words, ALONE, isAlone ? 1 : 0);
  }

  /** The thread carries out nothing more: everything is the server's. */
  get isDiverted(): boolean {
    return Atomics.load(this.#words, DIVERTED) !== 0;
  }

  /** From now on everything is the server's. */
  divert(): void {
    Atomics.store(this.#words, DIVERTED, 1);
  }

  /**
   * Waits until the server does not send, and keeps it from it. The server goes
   * first: while it wakes up, the thread could send again and again.
   */
  lock(): void {
    const words = this.#words;
    while (Atomics.load(words, SERVER_WAITS) !== 0) {
      Atomics.wait(words, SERVER_WAITS, 1);
    }
    if (this.lockNow()) return;
    while (Atomics.exchange(words, LOCK, WANTED) !== FREE) {
      Atomics.wait(words, LOCK, WANTED);
    }
  }

  /** The same for the server, while others go on. */
  async lockLater(): Promise<void> {
    const words = this.#words;
    Atomics.store(words, SERVER_WAITS, 1);
    while (Atomics.exchange(words, LOCK, WANTED) !== FREE) {
      await Atomics.waitAsync(words, LOCK, WANTED).value;
    }
    Atomics.store(words, SERVER_WAITS, 0);
    Atomics.notify(words, SERVER_WAITS);
  }

  /**
   * The same, for both, if neither of them sends.
   *
   * @returns Whether it was done.
   */
  lockNow(): boolean {
    return Atomics.compareExchange(this.#words, LOCK, FREE, HELD) === FREE;
  }

  /** Others may send. */
  unlock(): void {
    if (Atomics.exchange(this.#words, LOCK, FREE) === WANTED) {
      Atomics.notify(this.#words, LOCK, 1);
    }
  }

  /**
   * Bytes that were handed over to the server and not taken yet, with what
   * each piece of them counts beside its bytes. Negative if the server takes
   * no more.
   */
  get backlog(): number {
    return Atomics.load(this.#words, BACKLOG);
  }

  /**
   * Bytes are handed over to the server.
   *
   * @param length How many, with what the piece counts.
   */
  addBacklog(length: number): void {
    Atomics.add(this.#words, BACKLOG, length);
  }

  /**
   * The server has taken bytes.
   *
   * @param length How many, with what the piece counts when all of it is taken.
   */
  takeBacklog(length: number): void {
    Atomics.sub(this.#words, BACKLOG, length);
    Atomics.notify(this.#words, BACKLOG);
  }

  /** The server takes nothing more; no thread has to wait for it. */
  dropBacklog(): void {
    Atomics.store(this.#words, BACKLOG, NO_BACKLOG);
    Atomics.notify(this.#words, BACKLOG);
  }

  /**
   * Waits until the server has taken enough.
   *
   * @param most Bytes that it may have to take yet.
   */
  awaitBacklog(most: number): void {
    const words = this.#words;
    for (;;) {
      const backlog = Atomics.load(words, BACKLOG);
      if (backlog <= most) return;
      Atomics.wait(words, BACKLOG, backlog);
    }
  }

  /**
   * Asks the server, and waits for its answer. The server always answers: its
   * event loop waits for nothing that a thread holds while it asks.
   *
   * @param ask Sends what is asked.
   * @returns Whether the server said yes.
   */
  ask(ask: () => void): boolean {
    const words = this.#words;
    Atomics.store(words, ANSWER, PENDING);
    ask();
    Atomics.wait(words, ANSWER, PENDING);
    return Atomics.load(words, ANSWER) === YES;
  }

  /**
   * Asks for chunks that are about to be written to, and waits for the answer.
   * The question goes through shared memory: a message costs twice as much.
   *
   * @param offsets A byte of each chunk, {@linkcode LANE_WANTS_MAX} at most.
   * @param ahead How many chunks behind the last one will probably follow.
   * @returns Whether all are mapped.
   */
  askForChunks(offsets: readonly number[], ahead: number): boolean {
    const [words, wants] = [this.#words, this.#wants];
    wants[0] = offsets.length;
    wants[1] = ahead;
    wants.set(offsets, WANTS_HEAD);
    return this.ask(() => {
      if (Atomics.compareExchange(words, QUESTION, NONE, ASKED) === NONE) {
        Atomics.notify(words, QUESTION);
      } else this.answer(false);
    });
  }

  /**
   * Takes what the thread asks for.
   *
   * @returns Empty if it does not ask.
   */
  takeQuestion(): ChunkQuestion {
    const words = this.#words;
    const isAsked =
      Atomics.compareExchange(words, QUESTION, ASKED, NONE) === ASKED;
    const [count = 0, ahead = 0] = isAsked ? this.#wants : [];
    const end = WANTS_HEAD + count;
    return { offsets: this.#wants.subarray(WANTS_HEAD, end), ahead };
  }

  /**
   * Waits until the thread asks for chunks.
   *
   * @returns False once {@linkcode endQuestions} was called.
   */
  async awaitQuestion(): Promise<boolean> {
    const words = this.#words;
    await Atomics.waitAsync(words, QUESTION, NONE).value;
    return Atomics.load(words, QUESTION) !== ENDED;
  }

  /** No more questions are answered; the thread asks none. */
  endQuestions(): void {
    Atomics.store(this.#words, QUESTION, ENDED);
    Atomics.notify(this.#words, QUESTION);
  }

  /**
   * Answers what the thread has asked.
   *
   * @param isYes Whether it is so.
   */
  answer(isYes: boolean): void {
    Atomics.store(this.#words, ANSWER, isYes ? YES : NO);
    Atomics.notify(this.#words, ANSWER);
  }
}
