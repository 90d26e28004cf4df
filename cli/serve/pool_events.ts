/**
 * The events of one served pool: each goes to the log, into the history, and to
 * an observer.
 *
 * @module
 */

import type { EventRecord } from "../control/mod.ts";
import { EVENT_LEVELS, type EventName, log } from "../terminal/mod.ts";
import { EventHistory } from "./event_history.ts";

/** An event of a pool, or of its server. Further fields are its figures. */
export interface ServedEvent {
  /** The kind of event. */
  readonly kind: EventName;
  /** One line to show to users. */
  readonly message: string;
  /** The path of the component that it concerns. */
  readonly path?: string;
  /** The paths of the components that it concerns. */
  readonly paths?: readonly string[];
  /** The figures of its kind. */
  readonly [figure: string]: unknown;
}

/** Hands out the events of one pool. */
export class PoolEvents {
  /** The latest events. */
  readonly history: EventHistory;
  #pool: string;
  readonly #observers: ((event: EventRecord) => void)[];

  /**
   * Starts without events.
   *
   * @param pool The name of the pool.
   * @param observe Receives each event at once; it must not throw.
   */
  constructor(pool: string, observe: (event: EventRecord) => void = () => {}) {
    this.#pool = pool;
    this.#observers = [observe];
    this.history = new EventHistory(pool);
  }

  /**
   * Gives the pool another name, for the events to come.
   *
   * @param name The name.
   */
  rename(name: string): void {
    this.#pool = name;
    this.history.rename(name);
  }

  /**
   * Adds an observer.
   *
   * @param observe Receives each event at once; it must not throw.
   */
  watch(observe: (event: EventRecord) => void): void {
    this.#observers.push(observe);
  }

  /**
   * Hands out an event, and logs it.
   *
   * @param event The event.
   */
  emit(event: ServedEvent): void {
    log(event.kind, event.message, { pool: this.#pool });
    this.note(event);
  }

  /**
   * Hands out an event that the log has already.
   *
   * @param event The event.
   */
  note({ kind, message, path, paths, ...figures }: ServedEvent): void {
    const record = this.history.add({
      time: new Date().toISOString(),
      level: EVENT_LEVELS[kind],
      kind,
      pool: this.#pool,
      components: paths ?? (path === undefined ? [] : [path]),
      message,
      ...figures,
    });
    for (const observe of this.#observers) observe(record);
  }
}
