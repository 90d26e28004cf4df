/**
 * Whether an `fdatasync` is quick enough to be waited for on the spot. To have
 * another thread do it, and to hear of it, takes about as long as a good disk
 * takes to do it. But a disk may be slow, or become so: then one is waited for
 * in vain, and the next ones are not.
 *
 * @module
 */

/** An `fdatasync` up to this many milliseconds is quick. */
const QUICK_MS = 2;
/** So many more have to be quick than are slow, each of which counts as many. */
const QUICK_NEEDED = 16;
/** No more than these are remembered beyond those that are needed. */
const QUICK_SURPLUS = 64;
/** One that takes longer than this, milliseconds, is a warning, */
const LONG_MS = 100;
/** and twice as many are needed after each that was waited for, up to this. */
const QUICK_NEEDED_MAX = 4096;
/** What has at most so much to write may be quick, bytes. */
export const QUICK_BYTES: number = 256 * 1024;

/** What was learnt of one file. */
export class QuickSyncs {
  #quick = 0;
  #needed = QUICK_NEEDED;

  /**
   * Whether to expect of the next one that it is quick.
   *
   * @param bytes What it has to write; `Infinity` if that is not known.
   * @returns Whether it may be waited for.
   */
  expects(bytes: number): boolean {
    return bytes <= QUICK_BYTES && this.#quick >= this.#needed;
  }

  /**
   * Learns from one.
   *
   * @param ms How long it took, until that was known.
   * @param hereWaited Whether it was waited for on the spot.
   */
  took(ms: number, hereWaited: boolean): void {
    if (ms <= QUICK_MS) {
      this.#quick = Math.min(this.#quick + 1, this.#needed + QUICK_SURPLUS);
    } else if (ms <= LONG_MS) {
      this.#quick = Math.max(0, this.#quick - QUICK_NEEDED);
    } else {
      this.#quick = 0;
      if (hereWaited) {
        this.#needed = Math.min(2 * this.#needed, QUICK_NEEDED_MAX);
      }
    }
  }
}
