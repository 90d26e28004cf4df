/**
 * What a server needed for its clients goes back to the system when they have
 * left.
 *
 * @module
 */

import { returnLargeBlocks, trimMemory } from "../../device/linux/mod.ts";

/** How often memory is given back after a client has left, milliseconds. */
const TRIM_EVERY_MS = 8000;
/**
 * For how long after the last one, milliseconds: the runtime collects garbage
 * when it has had nothing to do for some 20 seconds.
 */
const TRIM_FOR_MS = 50_000;

/** Memory of a server. */
export class ServerMemory {
  #timer: ReturnType<typeof setInterval> | undefined;
  #until = 0;

  /** Begins. */
  constructor() {
    returnLargeBlocks();
  }

  /** A client has left. */
  clientLeft(): void {
    this.#until = performance.now() + TRIM_FOR_MS;
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#trim(), TRIM_EVERY_MS);
    // A server that ends does not wait for it.
    Deno.unrefTimer(this.#timer);
  }

  /** Gives nothing back any more. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #trim(): void {
    if (performance.now() > this.#until) this.stop();
    void trimMemory();
  }
}
