/**
 * Everything that was written since the last good flush. A server that
 * restarts may have lost writes that it has acknowledged, and its next flush
 * succeeds all the same: so the client writes them again.
 *
 * What is kept is bounded. Writes take room before they leave, and give it back
 * when a flush makes them durable, or when they fail.
 *
 * @module
 */

import type { VirstorError } from "../../errors.ts";
import { FLAG_NO_HOLE } from "../wire/mod.ts";
import type { Command } from "./requests/mod.ts";

/** Bytes that each write counts in addition to its payload. */
const ENTRY_COST = 256;

/** A write that may have to be done again. */
export type RepeatedWrite = Pick<
  Command,
  "command" | "flags" | "offset" | "length" | "payload" | "kept"
>;

/** A write that the server has acknowledged. */
interface Entry {
  readonly write: RepeatedWrite;
  readonly cost: number;
}

/** A write that waits for room. */
interface Waiter {
  readonly cost: number;
  readonly resolve: () => void;
  readonly reject: (error: VirstorError) => void;
}

/** The writes since the last good flush, in the order of their replies. */
export class Unflushed {
  readonly #limit: number;
  readonly #onPressure: () => void;
  #entries: Entry[] = [];
  /** Number of entries that were ever dropped: the mark of the first. */
  #dropped = 0;
  #used = 0;
  #waiters: Waiter[] = [];

  /**
   * Creates an empty record.
   *
   * @param limit The most to keep, bytes.
   * @param onPressure Called when half of it is used, and while writes wait and
   *   something is kept: a flush is due.
   */
  constructor(limit: number, onPressure: () => void) {
    this.#limit = limit;
    this.#onPressure = onPressure;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /** Whether a flush would make room for writes that wait. */
  get isPressed(): boolean {
    return this.#waiters.length > 0 && this.#entries.length > 0;
  }

  /** Writes that wait for room. */
  get waiting(): number {
    return this.#waiters.length;
  }

  /** The mark of everything that is kept now; see {@linkcode dropBefore}. */
  get mark(): number {
    return this.#dropped + this.#entries.length;
  }

  /**
   * What a write counts.
   *
   * @param bytes Bytes of its own that it keeps.
   * @returns Bytes.
   */
  static costOf(bytes: number): number {
    return bytes + ENTRY_COST;
  }

  /**
   * Whether a write would take room at once.
   *
   * @param cost What the write counts.
   * @returns Whether it would.
   */
  hasRoom(cost: number): boolean {
    return this.#waiters.length === 0 && this.#fits(cost);
  }

  /**
   * Takes room for a write, in the order of the calls.
   *
   * @param cost What the write counts.
   * @returns `undefined` if there is room, else a promise of it, which rejects
   *   when the flush that should make room fails.
   */
  takeRoom(cost: number): Promise<void> | undefined {
    if (this.hasRoom(cost)) {
      this.#used += cost;
      if (this.#used > this.#limit / 2) this.#onPressure();
      return undefined;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ cost, resolve, reject });
    // If nothing is kept yet, the first that is kept presses.
    if (this.#entries.length > 0) this.#onPressure();
    return promise;
  }

  /**
   * Gives room back: the write has failed.
   *
   * @param cost What the write counts.
   */
  giveRoom(cost: number): void {
    this.#used -= cost;
    this.#grant();
  }

  /**
   * Keeps a write that the server has acknowledged. Its room is taken already.
   *
   * @param command The write.
   * @param cost What the write counts.
   */
  add(command: Command, cost: number): void {
    const { flags, offset, length, kept } = command;
    const payload = kept === undefined ? command.payload : undefined;
    const { command: number } = command;
    const write = { command: number, flags, offset, length, payload, kept };
    this.#entries.push({ write, cost });
    if (this.#waiters.length > 0) this.#onPressure();
  }

  /**
   * Drops what a good flush has made durable.
   *
   * @param mark The {@linkcode mark} when the flush left.
   */
  dropBefore(mark: number): void {
    const count = mark - this.#dropped;
    if (count <= 0) return;
    for (const { cost } of this.#entries.splice(0, count)) this.#used -= cost;
    this.#dropped = mark;
    this.#grant();
  }

  /**
   * Fails the writes that wait for room.
   *
   * @param error Why there will be none.
   */
  failWaiters(error: VirstorError): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
  }

  /**
   * What has to be written again: the last content of each byte, and only that.
   * An older content, even for a moment, could undo a later write that was made
   * durable by itself (FUA).
   *
   * @returns Writes that do not overlap.
   */
  replay(): RepeatedWrite[] {
    const writes: RepeatedWrite[] = [];
    const covered = new Covered();
    for (const { write } of this.#entries.toReversed()) {
      const { command, offset, length, payload, kept } = write;
      for (const [start, end] of covered.add(offset, offset + length)) {
        writes.push({
          command,
          // Slow zeroes are better than none, and a flush follows.
          flags: write.flags & FLAG_NO_HOLE,
          offset: start,
          length: end - start,
          payload: payload?.subarray(start - offset, end - offset),
          kept,
        });
      }
    }
    return writes;
  }

  #fits(cost: number): boolean {
    return this.#used === 0 || this.#used + cost <= this.#limit;
  }

  #grant(): void {
    let granted = 0;
    for (const { cost, resolve } of this.#waiters) {
      if (!this.#fits(cost)) break;
      this.#used += cost;
      granted += 1;
      resolve();
    }
    this.#waiters.splice(0, granted);
  }
}

/** Ranges, sorted and joined. */
class Covered {
  readonly #ranges: [number, number][] = [];

  /** Adds a range; returns its parts that were not covered before. */
  add(start: number, end: number): [number, number][] {
    const ranges = this.#ranges;
    const first = this.#firstEndingFrom(start);
    const fresh: [number, number][] = [];
    let [from, to] = [start, end];
    let at = start;
    let count = 0;
    for (let i = first; i < ranges.length; i++) {
      const range = ranges[i];
      if (range === undefined || range[0] > end) break;
      if (range[0] > at) fresh.push([at, Math.min(range[0], end)]);
      at = Math.max(at, range[1]);
      from = Math.min(from, range[0]);
      to = Math.max(to, range[1]);
      count += 1;
    }
    if (at < end) fresh.push([at, end]);
    ranges.splice(first, count, [from, to]);
    return fresh;
  }

  /** Index of the first range that ends at `start` or later. */
  #firstEndingFrom(start: number): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.[1] ?? 0) < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
