/**
 * Counts the clients that `--allow` refuses, and logs them at a bounded rate.
 *
 * @module
 */

import { Pace } from "../../nbd/server/export/mod.ts";
import { log } from "../terminal/mod.ts";

/** Counts refused clients. */
export class Denials {
  #total = 0;
  readonly #pace = new Pace();

  /** The number of clients refused so far. */
  get total(): number {
    return this.#total;
  }

  /**
   * Counts a client, and logs it unless a line was logged within the last
   * second.
   *
   * @param address The client's address.
   */
  count(address: Deno.Addr): void {
    this.#total++;
    const from = address.transport === "tcp" ? address.hostname : "unix";
    const message = this.#pace.tell(`${from} is in no network of --allow`);
    if (message !== undefined) log("denied", message);
  }
}
