/**
 * The newest map of the chunks of a pool. To make one may take longer than a
 * request may: then viewers get the one before.
 *
 * @module
 */

import type { Pool } from "../../pool/mod.ts";
import { jsonPage } from "../http/mod.ts";

/** How long a request waits for a map that is being made, milliseconds. */
const WAIT_MS = 1500;
/** The pause between two makings, milliseconds. */
const PAUSE_MS = 2000;
/** The map of a pool whose first one is being made. */
const PENDING = jsonPage({ isPending: true });

/** A page, as `jsonPage` makes it. */
type MapPage = ReturnType<typeof jsonPage>;

/** Makes maps of one pool, one at a time, as long as viewers ask for them. */
export class LatestMap {
  readonly #view: Pick<Pool["view"], "chunkMap">;
  readonly #signal: AbortSignal;
  #latest: MapPage = PENDING;
  #making: Promise<void> | undefined;
  #pausedUntil = -Infinity;

  /**
   * Begins without a map.
   *
   * @param view The view of an open pool.
   * @param signal Ends the making of maps.
   */
  constructor(view: Pick<Pool["view"], "chunkMap">, signal: AbortSignal) {
    this.#view = view;
    this.#signal = signal;
  }

  /**
   * Finds the newest map, and makes the next one if it is time.
   *
   * @returns The map; `{"isPending":true}` while the first one is being made.
   */
  async page(): Promise<MapPage> {
    if (performance.now() >= this.#pausedUntil) this.#making ??= this.#make();
    if (this.#making !== undefined) {
      const limit = Promise.withResolvers<void>();
      const timer = setTimeout(limit.resolve, WAIT_MS);
      try {
        await Promise.race([this.#making, limit.promise]);
      } finally {
        clearTimeout(timer);
      }
    }
    return this.#latest;
  }

  async #make(): Promise<void> {
    try {
      const map = await this.#view.chunkMap(this.#signal);
      if (!this.#signal.aborted) this.#latest = jsonPage(map);
    } finally {
      this.#pausedUntil = performance.now() + PAUSE_MS;
      this.#making = undefined;
    }
  }
}
