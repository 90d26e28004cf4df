/**
 * The newest events of the pools of a server, for its page.
 *
 * @module
 */

import type { Pool } from "../../pool/mod.ts";
import type { PageEvent } from "../http/mod.ts";

/** Events that are kept. */
const EVENTS_MAX = 100;

/** Keeps the newest events of some pools. */
export class RecentEvents {
  #events: readonly PageEvent[] = [];

  /** The events, the newest first. */
  get newest(): readonly PageEvent[] {
    return this.#events;
  }

  /**
   * Keeps the events of a pool from now on, until it is closed.
   *
   * @param pool The open pool.
   */
  follow(pool: Pick<Pool, "name" | "events">): void {
    void this.#follow(pool, pool.events());
  }

  async #follow(
    pool: Pick<Pool, "name">,
    events: ReturnType<Pool["events"]>,
  ): Promise<void> {
    for await (const { kind, message } of events) {
      const event = { time: Date.now(), pool: pool.name, kind, message };
      this.#events = [event, ...this.#events].slice(0, EVENTS_MAX);
    }
  }
}
