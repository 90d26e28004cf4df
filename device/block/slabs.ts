/**
 * Memory for many small buffers. The runtime allocates, zeroes and frees the
 * memory of each array by itself, which takes longer than to copy 4 KiB.
 *
 * @module
 */

/** Bytes of a slab. */
const SLAB_SIZE = 256 * 1024;
/** Longer buffers have memory of their own. */
const SMALL_MAX = 32 * 1024;

/**
 * Cuts buffers out of slabs. A slab is free when all its buffers are, so those
 * that are taken one after another should live about equally long.
 */
export class Slabs {
  #slab = new Uint8Array(0);
  #used = 0;

  /**
   * Takes a buffer.
   *
   * @param length Bytes.
   * @returns The buffer; what it holds is undefined.
   */
  take(length: number): Uint8Array {
    if (length > SMALL_MAX) return new Uint8Array(length);
    if (this.#used + length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_SIZE);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    return this.#slab.subarray(start, this.#used);
  }

  /**
   * Copies bytes.
   *
   * @param source The bytes.
   * @returns A copy that never changes.
   */
  copyOf(source: Uint8Array): Uint8Array {
    if (source.length > SMALL_MAX) return source.slice();
    const copy = this.take(source.length);
    copy.set(source);
    return copy;
  }
}
