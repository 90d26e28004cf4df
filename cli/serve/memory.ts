/**
 * Returns the memory that a server needed for its clients to the system, after
 * they have left.
 *
 * @module
 */

import { returnLargeBlocks, trimMemory } from "../../device/linux/mod.ts";

/** The interval of trimming after a client has left, milliseconds. */
const TRIM_EVERY_MS = 8000;
/**
 * How long trimming continues after the last client has left, milliseconds: the
 * runtime collects garbage after some 20 idle seconds.
 */
const TRIM_FOR_MS = 50_000;

/** The memory of a server. */
export class ServerMemory {
  #timer: ReturnType<typeof setInterval> | undefined;
  #until = 0;

  /** Tells the allocator to return large blocks at once. */
  constructor() {
    returnLargeBlocks();
  }

  /** Starts or prolongs the trimming, since a client has left. */
  clientLeft(): void {
    this.#until = performance.now() + TRIM_FOR_MS;
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#trim(), TRIM_EVERY_MS);
    // The timer must not keep the process alive.
    Deno.unrefTimer(this.#timer);
  }

  /** Stops the trimming. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #trim(): void {
    if (performance.now() > this.#until) this.stop();
    void trimMemory();
  }
}
