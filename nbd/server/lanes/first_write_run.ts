/**
 * A client that writes to one new chunk after the other: how many chunks the
 * owner should map ahead of it, so that not each batch has to ask.
 *
 * @module
 */

import {
  LANE_MAPPED_AHEAD_MAX,
  LANE_RUN_GAP_MS,
  LANE_RUN_MIN,
} from "../../wire/mod.ts";

/** The run of first writes of one client. */
export class FirstWriteRun {
  readonly #chunkSize: number;
  /** Chunks of the run so far; 0 if there is none. */
  #length = 0;
  /** The chunk behind the last one that was asked for. */
  #next = 0;
  /** How many chunks from there on were to be mapped ahead. */
  #ahead = 0;
  /** When chunks were asked for, `performance.now()`. */
  #since = 0;

  /**
   * Begins without a run.
   *
   * @param chunkSize Bytes of a chunk.
   */
  constructor(chunkSize: number) {
    this.#chunkSize = chunkSize;
  }

  /**
   * Notes chunks that have to be mapped.
   *
   * @param offsets A byte of each, in the order of the WRITEs.
   * @param now The time, `performance.now()`.
   * @returns How many chunks behind the last one to map ahead.
   */
  take(offsets: readonly number[], now = performance.now()): number {
    if (offsets.length === 0) return 0;
    if (now - this.#since > LANE_RUN_GAP_MS) this.#length = 0;
    this.#since = now;
    // The client needed no question for what was mapped ahead.
    let ahead = this.#ahead;
    for (const offset of offsets) {
      const chunk = Math.floor(offset / this.#chunkSize);
      const passed = chunk - this.#next;
      if (passed === -1 && this.#length > 0) continue;
      const isNext = this.#length > 0 && passed >= 0 && passed <= ahead;
      this.#length = isNext ? this.#length + passed + 1 : 1;
      this.#next = chunk + 1;
      ahead = 0;
    }
    const isRun = this.#length >= LANE_RUN_MIN;
    this.#ahead = isRun ? Math.min(this.#length, LANE_MAPPED_AHEAD_MAX) : 0;
    return this.#ahead;
  }
}
