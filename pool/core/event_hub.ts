/**
 * The event hub: it hands the events of a pool to one callback and to any
 * number of subscribers, and neither can disturb the pool.
 *
 * @module
 */

import { counted } from "../../errors.ts";
import type { MissedEvents, PoolEvent } from "./events.ts";

/**
 * The most events that wait for a subscriber. It trades the memory of a stuck
 * reader, some 100 KiB, against how long a slow one may be busy: a pool has a
 * few events a minute, and a few dozen when it is opened or when it fails.
 */
export const EVENTS_WAITING_MAX = 256;

/** What a subscriber reads. */
type Read = PoolEvent | MissedEvents;

/** Hands out the events of one pool. */
export class EventHub {
  readonly #callback: (event: PoolEvent) => void;
  readonly #subscribers = new Set<Subscriber>();
  #isClosed = false;

  /**
   * Creates a hub without subscribers.
   *
   * @param callback Receives each event at once. If the callback throws, the
   *   error is an uncaught one of the program, and the pool goes on.
   */
  constructor(callback: (event: PoolEvent) => void = () => {}) {
    this.#callback = callback;
  }

  /** How many subscribers there are. */
  get subscribers(): number {
    return this.#subscribers.size;
  }

  /**
   * Hands out an event. It runs no code of a subscriber, and never throws.
   *
   * @param event The event.
   */
  emit(event: PoolEvent): void {
    for (const one of this.#subscribers) one.push(event);
    try {
      this.#callback(event);
    } catch (error) {
      // Not here: the caller is in the middle of a change of the pool.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /**
   * Adds a subscriber, from the next event on.
   *
   * @returns The events; they end when the hub is closed.
   */
  subscribe(): AsyncIterableIterator<Read> {
    const one: Subscriber = new Subscriber(() => this.#subscribers.delete(one));
    if (this.#isClosed) one.end();
    else this.#subscribers.add(one);
    return one;
  }

  /** Ends all subscriptions, after the events that wait to be read. */
  close(): void {
    this.#isClosed = true;
    for (const one of this.#subscribers) one.end();
    this.#subscribers.clear();
  }
}

/** The events that one subscriber has not read, or the reads that wait. */
class Subscriber implements AsyncIterableIterator<Read> {
  readonly #leave: () => void;
  #events: PoolEvent[] = [];
  #missed = 0;
  #reads: ((result: IteratorResult<Read>) => void)[] = [];
  #isEnded = false;

  constructor(leave: () => void) {
    this.#leave = leave;
  }

  push(event: PoolEvent): void {
    const read = this.#reads.shift();
    if (read !== undefined) {
      read({ done: false, value: event });
      return;
    }
    this.#events.push(event);
    if (this.#events.length <= EVENTS_WAITING_MAX) return;
    this.#events.shift();
    this.#missed++;
  }

  end(): void {
    this.#isEnded = true;
    for (const read of this.#reads) read({ done: true, value: undefined });
    this.#reads = [];
  }

  next(): Promise<IteratorResult<Read>> {
    const value = this.#take();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#isEnded) return Promise.resolve({ done: true, value });
    return new Promise((resolve) => this.#reads.push(resolve));
  }

  return(): Promise<IteratorResult<Read>> {
    this.#leave();
    this.#events = [];
    this.#missed = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next event that waits; first of all how many were dropped. */
  #take(): Read | undefined {
    const count = this.#missed;
    if (count === 0) return this.#events.shift();
    this.#missed = 0;
    const message = `${counted(count, "event")} of the pool ` +
      `${count === 1 ? "was" : "were"} dropped: the reader was too slow`;
    return { kind: "missed", message, count };
  }
}
