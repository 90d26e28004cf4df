/**
 * When it pays to busy-poll for the next request of a client instead of going
 * to sleep: to fall asleep and be woken takes longer than a client needs that
 * sends one request after the other. QEMU's I/O threads do so, too.
 *
 * It does not pay where several requests come at once, since to sleep a little
 * makes larger batches, and where the client takes its time, which is found out
 * by trying.
 *
 * @module
 */

import { POLL_AFTER, POLL_PAUSE_MAX, POLL_PAUSE_MIN } from "../../wire/mod.ts";
import { Backoff } from "./backoff.ts";

/** What is known of the client of one connection. */
export class Polling {
  /** How often in a row one request came alone. */
  #singles = 0;
  readonly #backoff = new Backoff(POLL_PAUSE_MIN, POLL_PAUSE_MAX);

  /**
   * Whether it pays now. Called once for each batch.
   *
   * @param requests How many requests the batch had.
   * @returns If so, {@linkcode ended} is to be called.
   */
  isWorthIt(requests: number): boolean {
    this.#singles = requests > 1 ? 0 : this.#singles + requests;
    return this.#singles >= POLL_AFTER && this.#backoff.isTime();
  }

  /**
   * Learns from what came of it.
   *
   * @param isVain Nothing came.
   */
  ended(isVain: boolean): void {
    this.#backoff.ended(isVain);
  }
}
