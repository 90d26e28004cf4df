/**
 * The latest events of a served pool, for any number of readers.
 *
 * A reader remembers how far it has read. The history waits for no reader: what
 * a slow one has not read in time is dropped, and the reader learns how many
 * events it has missed.
 *
 * @module
 */

import { counted } from "../../errors.ts";
import type { EventRecord, EventsRequest } from "../control/mod.ts";

/**
 * The most events that are kept, some 100 KiB. A pool has a few events a
 * minute, and a few dozen when it is opened or when it fails.
 */
export const EVENTS_KEPT = 256;
/** The most events that a reader gets at once. */
const BATCH_MAX = 64;

/** The latest events of a pool. */
export class EventHistory {
  #pool: string;
  readonly #kept: EventRecord[] = [];
  readonly #waiting = new Set<() => void>();
  #count = 0;
  #isEnded = false;

  /**
   * Starts without events.
   *
   * @param pool The name of the pool.
   */
  constructor(pool: string) {
    this.#pool = pool;
  }

  /**
   * Gives the pool another name, for the events that it drops from now on.
   *
   * @param name The name.
   */
  rename(name: string): void {
    this.#pool = name;
  }

  /** How many events there were. */
  get count(): number {
    return this.#count;
  }

  /** Whether there will be no more events. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Adds an event. Wakes the readers that wait, and runs none of their code.
   *
   * @param event The event; the history gives it its number.
   * @returns The event with its number.
   */
  add(event: Omit<EventRecord, "number">): EventRecord {
    const numbered = { number: ++this.#count, ...event } as EventRecord;
    this.#kept.push(numbered);
    if (this.#kept.length > EVENTS_KEPT) this.#kept.shift();
    this.#wake();
    return numbered;
  }

  /** Says that there are no more events. */
  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  /**
   * Adds a reader.
   *
   * @param request Which events it wants.
   * @returns The reader.
   */
  read({ last, follow }: EventsRequest): EventReader {
    const kept = Math.min(this.#kept.length, Math.floor(last));
    return new EventReader(this, this.#count - kept, follow);
  }

  /**
   * The events behind a number, as far as they are kept.
   *
   * @param number The number of the last event that was read.
   * @returns At most 64 events; first of all how many were dropped.
   */
  after(number: number): EventRecord[] {
    const dropped = Math.max(0, this.#count - this.#kept.length - number);
    const from = this.#kept.length - (this.#count - number - dropped);
    const batch = this.#kept.slice(from, from + BATCH_MAX);
    return dropped === 0
      ? batch
      : [this.#missed(dropped, number + dropped), ...batch];
  }

  /**
   * Calls a function once, at the next event or at the end.
   *
   * @param wake The function.
   */
  wakeNext(wake: () => void): void {
    this.#waiting.add(wake);
  }

  /**
   * Does not call a function any more.
   *
   * @param wake The function.
   */
  forget(wake: () => void): void {
    this.#waiting.delete(wake);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #missed(count: number, number: number): EventRecord {
    return {
      time: new Date().toISOString(),
      number,
      level: "warning",
      kind: "missed",
      pool: this.#pool,
      components: [],
      message: `${counted(count, "event")} of the pool ` +
        `${count === 1 ? "was" : "were"} dropped: the reader was too slow`,
      count,
    };
  }
}

/** Reads the events of a pool at its own pace. */
export class EventReader {
  readonly #history: EventHistory;
  readonly #follow: boolean;
  #number: number;
  #hasLeft = false;
  #wake: () => void = () => {};

  /**
   * Creates a reader.
   *
   * @param history The history.
   * @param number The number of the event before the first one to read.
   * @param follow Whether to wait for events to come.
   */
  constructor(history: EventHistory, number: number, follow: boolean) {
    this.#history = history;
    this.#number = number;
    this.#follow = follow;
  }

  /**
   * Waits for the next events.
   *
   * @returns At least one event; `undefined` at the end.
   */
  async next(): Promise<EventRecord[] | undefined> {
    while (!this.#hasLeft) {
      const events = this.#history.after(this.#number);
      if (events.length > 0) {
        this.#number = events.at(-1)?.number ?? this.#number;
        return events;
      }
      if (!this.#follow || this.#history.isEnded) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#history.wakeNext(resolve);
      });
    }
    return undefined;
  }

  /** Ends the reading: a `next` that waits returns. */
  leave(): void {
    this.#hasLeft = true;
    this.#history.forget(this.#wake);
    this.#wake();
  }
}
