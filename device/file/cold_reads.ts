/**
 * Reads that wait for the disk, of one file.
 *
 * A thread for each of them would cost several times what the read itself
 * does. So the kernel is asked to begin with all of them, and threads wait for
 * the oldest ones only; whenever one of those is done, others that are there by
 * then are taken along.
 *
 * @module
 */

import fs from "node:fs";
import type { Durations } from "../block/mod.ts";
import { readAhead, readNoWait } from "../linux/mod.ts";

/** Threads that wait for the oldest reads. */
const WAITERS_MAX = 2;
/** So many reads in a row that are not there yet end a look at the rest. */
const MISSES_MAX = 32;

/** A read. */
interface ColdRead {
  readonly target: Uint8Array;
  readonly offset: number;
  /** When it began. */
  readonly since: number;
  /** Bytes that are there. */
  done: number;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Makes an error of what the system said.
 *
 * @param length Bytes that were to be read.
 * @param offset Where.
 * @param cause What the system said.
 * @returns The error.
 */
export type ErrorOf = (
  length: number,
  offset: number,
  cause: unknown,
) => Error;

/** The cold reads of one file. */
export class ColdReads {
  readonly #native: boolean;
  readonly #errorOf: ErrorOf;
  readonly #durations: Durations;
  /** Those that no thread waits for, in the order in which they came. */
  readonly #waiting: ColdRead[] = [];
  #waiters = 0;
  #count = 0;
  #onLast: () => void = () => {};

  /**
   * Creates an empty queue.
   *
   * @param native Whether native calls may be used.
   * @param errorOf Says what failed reads are rejected with.
   * @param durations Where the duration of each read is noted.
   */
  constructor(native: boolean, errorOf: ErrorOf, durations: Durations) {
    this.#durations = durations;
    this.#native = native;
    this.#errorOf = errorOf;
  }

  /** Reads in flight. */
  get count(): number {
    return this.#count;
  }

  /**
   * Reads.
   *
   * @param descriptor The file; open until this is done.
   * @param target Where the bytes go.
   * @param offset The first byte.
   * @param done Bytes of the beginning that are there.
   * @returns Rejected with what `errorOf` makes of it.
   */
  read(
    descriptor: number,
    target: Uint8Array,
    offset: number,
    done = 0,
  ): Promise<void> {
    this.#count++;
    return new Promise((resolve, reject) => {
      const since = performance.now();
      const read = { target, offset, since, done, resolve, reject };
      const isAlone = !this.#native || this.#waiters < WAITERS_MAX;
      if (isAlone) return this.#waitFor(descriptor, read);
      readAhead(descriptor, offset + done, target.length - done);
      this.#waiting.push(read);
    });
  }

  /** Waits until no read is in flight. Once; no read begins after that. */
  settle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onLast = resolve);
  }

  /** Lets a thread read, and goes on with the next one afterwards. */
  #waitFor(descriptor: number, read: ColdRead): void {
    this.#waiters++;
    const { target, offset } = read;
    const ended = (error: unknown, count: number) => {
      if (error === null && count > 0) {
        read.done += count;
        if (read.done < target.length) return next();
      }
      this.#waiters--;
      if (read.done === target.length) {
        this.#end(read);
        this.#takeAlong(descriptor);
      } else this.#end(read, error ?? "the file ends before");
      const oldest = this.#waiting.shift();
      if (oldest !== undefined) this.#waitFor(descriptor, oldest);
    };
    const next = () => {
      const { done } = read;
      const rest = target.length - done;
      fs.read(descriptor, target, done, rest, offset + done, ended);
    };
    next();
  }

  /** Ends the reads whose data have come and that nothing waits for. */
  #takeAlong(descriptor: number): void {
    const waiting = this.#waiting;
    let kept = 0;
    let misses = 0;
    for (const read of waiting) {
      if (misses < MISSES_MAX && this.#isThere(descriptor, read)) {
        this.#end(read);
      } else {
        misses++;
        waiting[kept++] = read;
      }
    }
    waiting.length = kept;
  }

  #isThere(descriptor: number, read: ColdRead): boolean {
    const rest = read.target.subarray(read.done);
    const count = readNoWait(descriptor, rest, read.offset + read.done);
    read.done += Math.max(0, count);
    return read.done === read.target.length;
  }

  #end(read: ColdRead, cause?: unknown): void {
    const { target, offset, since } = read;
    this.#durations.note(performance.now() - since);
    if (cause === undefined) read.resolve();
    else read.reject(this.#errorOf(target.length, offset, cause));
    if (--this.#count === 0) this.#onLast();
  }
}
