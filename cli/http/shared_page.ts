/**
 * Pages that many clients may ask for at once, and that are made for all of
 * them together.
 *
 * @module
 */

import type { Page } from "./http_server.ts";

/**
 * Prepares a page. What it shows is younger than the request for it. Requests
 * that come while a page is being made share the next one, so that many clients
 * cost no more than one that reads all the time.
 *
 * @param make Makes the page.
 * @param pauseMs The pause between two makings, milliseconds.
 * @returns A function that returns the next page; it throws what `make` throws.
 */
export function sharedPage(
  make: () => Promise<Page>,
  pauseMs: number,
): () => Promise<Page> {
  const pages = new SharedPages(make, pauseMs);
  return () => pages.next();
}

/** Makes one page at a time. */
class SharedPages {
  readonly #make: () => Promise<Page>;
  readonly #pauseMs: number;
  /** The page that nothing was gathered for yet. */
  #next: Promise<Page> | undefined;
  /** Settled when no page is being made; never rejects. */
  #making: Promise<void> = Promise.resolve();
  #pausedUntil = 0;

  constructor(make: () => Promise<Page>, pauseMs: number) {
    this.#make = make;
    this.#pauseMs = pauseMs;
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
      this.#pausedUntil = performance.now() + this.#pauseMs;
      made.resolve();
    }
  }
}
