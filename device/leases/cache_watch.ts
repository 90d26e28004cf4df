/**
 * Whether a read should first be tried without waiting for the disk. That
 * costs a tenth more than just to read, so it is not done while everything is
 * in the page cache; then a look now and then tells when that has changed.
 *
 * @module
 */

/** So many reads after one that was not in the page cache, each is tried. */
const WARY_READS = 1024;
/** After that, every so many reads one is. */
const LOOK_EVERY = 8;
/** What was learnt of one file. */
export class CacheWatch {
  /** Reads until it is believed that all is in the page cache. */
  #wary = WARY_READS;
  #sinceLook = 0;

  /**
   * Called before each read.
   *
   * @returns Whether to try first.
   */
  isToLook(): boolean {
    if (this.#wary > 0) {
      this.#wary--;
      return true;
    }
    if (++this.#sinceLook < LOOK_EVERY) return false;
    this.#sinceLook = 0;
    return true;
  }

  /** Something was not in the page cache. */
  missed(): void {
    this.#wary = WARY_READS;
  }
}
