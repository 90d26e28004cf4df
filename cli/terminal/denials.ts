/**
 * Clients that were not let in: counted, and told now and then.
 *
 * @module
 */

import { Pace } from "../../nbd/server/export/mod.ts";
import { log } from "./output.ts";

/** Counts clients that were not let in. */
export class Denials {
  #total = 0;
  readonly #pace = new Pace();

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
    const from = address.transport === "tcp" ? address.hostname : "unix";
    const message = this.#pace.tell(`${from} is in no network of --allow`);
    if (message !== undefined) log("denied", message);
  }
}
