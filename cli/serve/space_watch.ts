/**
 * Watches the space of a served pool: looks at the file systems below now and
 * then, and extends the pool if that is asked for.
 *
 * @module
 */

import type { Pool } from "../../pool/mod.ts";
import { AutoExtend } from "./auto_extend.ts";
import type { ExtendSettings } from "./extend_option.ts";
import { watchHosts } from "./host_watch.ts";
import type { PoolEvents } from "./pool_events.ts";

/** The watch of one pool. */
export class SpaceWatch {
  readonly #endHosts: () => void;
  readonly #extend: AutoExtend | undefined;

  /**
   * Begins.
   *
   * @param pool The pool.
   * @param events Its events.
   * @param stateDirectory The state directory.
   * @param settings When the pool is extended; undefined for never.
   */
  constructor(
    pool: Pool,
    events: PoolEvents,
    stateDirectory: string,
    settings: ExtendSettings | undefined,
  ) {
    this.#endHosts = watchHosts(pool);
    if (settings === undefined) return;
    const options = { pool, events, stateDirectory, settings };
    const extend = this.#extend = new AutoExtend(options);
    events.watch(() => extend.wake());
    extend.wake();
  }

  /** Ends the watch. */
  end(): void {
    this.#endHosts();
    this.#extend?.end();
  }

  /** Waits, after `end`, until the pool is not being extended. */
  async settled(): Promise<void> {
    await this.#extend?.settled();
  }
}
