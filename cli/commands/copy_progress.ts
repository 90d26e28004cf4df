/**
 * How far a copy is, in words.
 *
 * @module
 */

import { formatSeconds, formatSize } from "../terminal/mod.ts";

/** Seconds from the start on in which the rate says little. */
const SETTLING_SECONDS = 2;
/** Seconds without progress after which the rate says nothing any more. */
const STALLED_SECONDS = 3;

/** How far a copy is. */
export class CopyProgress {
  readonly #clock: () => number;
  #size: number | undefined;
  #done = 0;
  #start: number;
  /** When the copy went on last. */
  #moved: number;

  /**
   * Creates the progress of a copy that begins now.
   *
   * @param clock Returns the time, milliseconds.
   */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.#start = this.#moved = clock();
  }

  /** Seconds since the copy began. */
  get seconds(): number {
    return (this.#clock() - this.#start) / 1000;
  }

  /**
   * Begins, now that the size is known.
   *
   * @param size Bytes of the copy.
   */
  begin(size: number): void {
    this.#size = size;
    this.#start = this.#moved = this.#clock();
  }

  /**
   * Notes how much is done.
   *
   * @param done Bytes.
   */
  at(done: number): void {
    if (done !== this.#done) this.#moved = this.#clock();
    this.#done = done;
  }

  /**
   * Describes the progress.
   *
   * @returns For instance `42%, 1.2 GiB/s, 12 s left`; without the time left as
   *   long as that cannot be known.
   */
  text(): string {
    const rate = this.#done / Math.max(this.seconds, 1e-3);
    const speed = `${formatSize(Math.round(rate))}/s`;
    const stalled = (this.#clock() - this.#moved) / 1000;
    const isStalled = stalled >= STALLED_SECONDS;
    const halt = isStalled ? `, no progress for ${formatSeconds(stalled)}` : "";
    if (this.#size === undefined) {
      return `${formatSize(this.#done)}, ${speed}${halt}`;
    }
    const percent = Math.floor(100 * this.#done / Math.max(1, this.#size));
    const isKnown = !isStalled && rate >= 1 && this.seconds >= SETTLING_SECONDS;
    const left = (this.#size - this.#done) / rate;
    const rest = isKnown ? `, ${formatSeconds(left)} left` : halt;
    return `${percent}%, ${speed}${rest}`;
  }
}
