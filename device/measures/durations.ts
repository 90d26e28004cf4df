/**
 * How long things took: counts in buckets, each twice as wide as the one
 * before. To note a duration adds to numbers and allocates nothing. The numbers
 * may lie in memory that threads share: one thread adds, others read.
 *
 * @module
 */

/** Buckets with an upper bound: 1 µs, 2 µs, 4 µs, ... 67 s. */
export const DURATION_BOUNDS = 27;
/** The bucket of what took longer. */
const BEYOND = DURATION_BOUNDS;
/** The sum of all durations, microseconds. */
const SUM = DURATION_BOUNDS + 1;
/** Float64 numbers that {@linkcode Durations} takes. */
export const DURATION_NUMBERS: number = DURATION_BOUNDS + 2;

/** A histogram of durations. */
export class Durations {
  #numbers: Float64Array;

  /**
   * Creates a histogram.
   *
   * @param numbers Its {@linkcode DURATION_NUMBERS} numbers, all 0 unless the
   *   histogram is to go on; its own by default.
   */
  constructor(numbers: Float64Array = new Float64Array(DURATION_NUMBERS)) {
    this.#numbers = numbers;
  }

  /**
   * Notes a duration.
   *
   * @param ms The duration, milliseconds.
   * @param times How many things took so long; 1 by default.
   */
  note(ms: number, times = 1): void {
    const numbers = this.#numbers;
    const us = ms * 1000;
    const at = bucketOf(us);
    numbers[at] = (numbers[at] ?? 0) + times;
    // A clock that is set back must not make the sum smaller.
    if (us > 0) numbers[SUM] = (numbers[SUM] ?? 0) + us * times;
  }

  /**
   * Adds the durations of another histogram.
   *
   * @param other The other histogram.
   */
  add(other: Durations): void {
    const [numbers, more] = [this.#numbers, other.#numbers];
    for (let i = 0; i < DURATION_NUMBERS; i++) {
      numbers[i] = (numbers[i] ?? 0) + (more[i] ?? 0);
    }
  }

  /**
   * Goes on in other memory, with all that was noted.
   *
   * *Requires*: nothing else notes durations in either memory meanwhile.
   *
   * @param numbers {@linkcode DURATION_NUMBERS} numbers, which are overwritten.
   */
  moveTo(numbers: Float64Array): void {
    numbers.set(this.#numbers);
    this.#numbers = numbers;
  }

  /** How many durations were noted. */
  get count(): number {
    let count = 0;
    for (let i = 0; i <= BEYOND; i++) count += this.#numbers[i] ?? 0;
    return count;
  }

  /** All durations together, seconds. */
  get seconds(): number {
    return (this.#numbers[SUM] ?? 0) / 1e6;
  }

  /**
   * How many durations each bucket holds.
   *
   * @returns The counts: bucket `i` holds what took 2^`i` µs at most and did not
   *   fit into the bucket before; the last one holds the rest.
   */
  get buckets(): number[] {
    return Array.from(this.#numbers.subarray(0, BEYOND + 1));
  }
}

/** How long a disk took. */
export class DeviceDurations {
  /**
   * Each `fdatasync`. One that another thread runs counts as long as the whole
   * flush that it is part of.
   */
  readonly flushes: Durations = new Durations();
  /** Each read that waited for the disk, while the event loop went on. */
  readonly reads: Durations = new Durations();
}

/** The number of the bucket of a duration. */
function bucketOf(us: number): number {
  if (us <= 1) return 0;
  if (us > 2 ** (DURATION_BOUNDS - 1)) return BEYOND;
  return 32 - Math.clz32(Math.ceil(us) - 1);
}
