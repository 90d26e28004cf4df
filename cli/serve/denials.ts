/**
 * Clients that no network of `--allow` lets in: counted, and told now and then.
 *
 * @module
 */

import { Pace } from "../../nbd/server/export/mod.ts";
import { log } from "../terminal/mod.ts";

/** Counts clients that no network of `--allow` lets in. */
export class Denials {
  #total = 0;
  readonly #pace = new Pace();

  /** How many there were. */
  get total(): number {
    return this.#total;
  }

  /**
   * Counts one. A client that comes often leaves a line a second at most.
   *
   * @param address Where the client came from.
   */
  count(address: Deno.Addr): void {
    this.#total++;
    const from = address.transport === "tcp" ? address.hostname : "unix";
    const message = this.#pace.tell(`${from} is in no network of --allow`);
    if (message !== undefined) log("denied", message);
  }
}
