/**
 * Watches the space of a served pool: looks at the file systems below now and
 * then, and extends the pool if that is asked for.
 *
 * @module
 */

import type { Pool } from "../../pool/mod.ts";
import { AutoExtend } from "./auto_extend.ts";
import {
  checkComponentSize,
  type ExtendSettings,
  NO_EXTENSION,
} from "./extend_option.ts";
import { watchHosts } from "./host_watch.ts";
import type { PoolEvents } from "./pool_events.ts";

/** The watch of one pool. */
export class SpaceWatch {
  readonly #pool: Pool;
  readonly #extend: AutoExtend;
  #endHosts: () => void = () => {};

  /**
   * Prepares the watch.
   *
   * @param pool The pool.
   * @param events Its events.
   * @param stateDirectory The state directory.
   */
  constructor(pool: Pool, events: PoolEvents, stateDirectory: string) {
    this.#pool = pool;
    const settings = NO_EXTENSION;
    this.#extend = new AutoExtend({ pool, events, stateDirectory, settings });
    events.watch(() => this.#extend.wake());
  }

  /**
   * Begins.
   *
   * @param settings When the pool is extended.
   * @throws {VirstorError} `invalid` if the new components would be too small.
   */
  begin(settings: ExtendSettings): void {
    checkComponentSize(this.#pool, settings);
    this.#endHosts = watchHosts(this.#pool);
    this.#extend.settings = settings;
  }

  /** When the pool is extended. */
  get extension(): ExtendSettings {
    return this.#extend.settings;
  }

  set extension(settings: ExtendSettings) {
    this.#extend.settings = settings;
  }

  /** Ends the watch. */
  end(): void {
    this.#endHosts();
    this.#extend.end();
  }

  /** Waits, after `end`, until the pool is not being extended. */
  async settled(): Promise<void> {
    await this.#extend.settled();
  }
}
