/**
 * Decides whether a read should first be tried without waiting for the disk.
 * The attempt makes a read a tenth slower. While all reads hit the page cache,
 * only every eighth read is tried, to notice a miss.
 *
 * @module
 */

/** Number of reads after a miss of the page cache that are all tried. */
const WARY_READS = 1024;
/** After those, one of this many reads is tried. */
const LOOK_EVERY = 8;

/** Watches the page cache hits of one file. */
export class CacheWatch {
  /** Reads that are still tried, all of them. */
  #wary = WARY_READS;
  #sinceLook = 0;

  /**
   * Decides for the next read. Call it once before each read.
   *
   * @returns Whether to try the read without waiting first.
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

  /** Notes that a read missed the page cache. */
  missed(): void {
    this.#wary = WARY_READS;
  }
}
