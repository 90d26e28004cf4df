/**
 * The page that Prometheus reads.
 *
 * @module
 */

import { Slice, turns } from "../../device/block/mod.ts";
import type { Page } from "./http_server.ts";
import { LOAD_FAMILIES } from "./load_families.ts";
import { linesOf } from "./metric_family.ts";
import type { MetricsSource } from "./metrics_source.ts";
import { POOLS_FAMILIES } from "./pool_families.ts";
import { SERVER_FAMILIES } from "./server_families.ts";

/** The type of the content. */
const TYPE = "text/plain; version=0.0.4; charset=utf-8";
/** The pause between two makings of the page, milliseconds. */
const PAUSE_MS = 100;
/** Lines between two looks at the clock. */
const LINES_A_LOOK = 64;

/**
 * Prepares the page of metrics. The figures of a page are younger than the
 * request for it. Requests that come while a page is being made share the next
 * one, so that many clients cost no more than one that reads all the time.
 *
 * @param gather Gathers the figures.
 * @returns A function that makes the page; it throws what `gather` throws.
 */
export function metricsPage(
  gather: () => Promise<MetricsSource>,
): () => Promise<Page> {
  const pages = new Pages(gather);
  return () => pages.next();
}

/** Makes one page at a time. */
class Pages {
  readonly #gather: () => Promise<MetricsSource>;
  /** The page that nothing was gathered for yet. */
  #next: Promise<Page> | undefined;
  /** Settled when no page is being made; never rejects. */
  #making: Promise<void> = Promise.resolve();
  #pausedUntil = 0;

  constructor(gather: () => Promise<MetricsSource>) {
    this.#gather = gather;
  }

  next(): Promise<Page> {
    this.#next ??= this.#makeNext();
    return this.#next;
  }

  async #makeNext(): Promise<Page> {
    await this.#making;
    const pause = this.#pausedUntil - performance.now();
    if (pause > 0) await new Promise((done) => setTimeout(done, pause));
    this.#next = undefined;
    const made = Promise.withResolvers<void>();
    this.#making = made.promise;
    try {
      return await this.#make();
    } finally {
      this.#pausedUntil = performance.now() + PAUSE_MS;
      made.resolve();
    }
  }

  async #make(): Promise<Page> {
    const source = await this.#gather();
    const families = [
      ...SERVER_FAMILIES,
      ...POOLS_FAMILIES,
      ...LOAD_FAMILIES,
    ];
    const slice = new Slice(LINES_A_LOOK);
    slice.begin();
    const lines: string[] = [];
    for (const line of linesOf(families, source)) {
      lines.push(line);
      if (!slice.spend(1)) continue;
      await turns.next(this);
      slice.begin();
    }
    return { type: TYPE, body: new TextEncoder().encode(lines.join("")) };
  }
}
