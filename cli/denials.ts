/**
 * Clients that were not let in: counted, and told now and then.
 *
 * @module
 */

import { log } from "./output.ts";

/** How long to wait before others are told, milliseconds. */
const PAUSE_MS = 1000;

/** Counts clients that were not let in. */
export class Denials {
  #total = 0;
  #untold = 0;
  #quietUntil = 0;

  /** How many there were. */
  get total(): number {
    return this.#total;
  }

  /**
   * Counts one. Whoever comes often leaves a line a second at most.
   *
   * @param address Where it came from.
   */
  count(address: Deno.Addr): void {
    this.#total++;
    this.#untold++;
    if (performance.now() < this.#quietUntil) return;
    const from = address.transport === "tcp" ? address.hostname : "unix";
    const more = this.#untold - 1;
    log(
      "denied",
      `${from} is in no network of --allow` +
        (more > 0 ? ` (and ${more} more)` : ""),
    );
    this.#untold = 0;
    this.#quietUntil = performance.now() + PAUSE_MS;
  }
}
