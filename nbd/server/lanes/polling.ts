/**
 * When it pays to ask a connection again and again for the next request instead
 * of going to sleep: to fall asleep and be woken takes longer than a client
 * needs that sends one request after the other. QEMU's I/O threads do so, too.
 *
 * It does not pay where several requests come at once, since to sleep a little
 * makes larger batches, and where the client takes its time, which is found out
 * by trying: after each time in vain it is not tried for a while, and then for
 * a longer one.
 *
 * @module
 */

import { POLL_AFTER, POLL_PAUSE_MAX, POLL_PAUSE_MIN } from "../../wire/mod.ts";

/** What is known of the client of one connection. */
export class Polling {
  /** How often in a row one request came alone. */
  #singles = 0;
  /** So often it is not tried. */
  #pause = 0;
  /** And so often after the next time in vain. */
  #nextPause = POLL_PAUSE_MIN;

  /**
   * Whether it pays now. Called once for each batch.
   *
   * @param requests How many requests the batch had.
   * @returns If so, {@linkcode ended} is to be called.
   */
  isWorthIt(requests: number): boolean {
    this.#singles = requests > 1 ? 0 : this.#singles + requests;
    if (this.#singles < POLL_AFTER) return false;
    if (this.#pause === 0) return true;
    this.#pause--;
    return false;
  }

  /**
   * Learns from what came of it.
   *
   * @param inVain Nothing came.
   */
  ended(inVain: boolean): void {
    if (!inVain) {
      this.#nextPause = POLL_PAUSE_MIN;
      return;
    }
    this.#pause = this.#nextPause;
    this.#nextPause = Math.min(2 * this.#nextPause, POLL_PAUSE_MAX);
  }
}
