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
/** So many in a row have to be quick before one is waited for. */
const QUICK_NEEDED = 16;
/** Twice as many after each that was not, up to this. */
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
      this.#quick++;
      return;
    }
    this.#quick = 0;
    if (!hereWaited) return;
    this.#needed = Math.min(2 * this.#needed, QUICK_NEEDED_MAX);
  }
}
