/**
 * The virtual chunks that clients have provisioned: they stay mapped even if
 * they hold no data.
 *
 * @module
 */

/** Bits of a page. */
const PAGE_BITS = 8192;

/** A set of virtual chunks, with a bit for each. */
export class ProvisionedChunks {
  readonly #pages = new Map<number, Uint8Array>();

  /**
   * Adds a virtual chunk.
   *
   * @param virtualChunk The chunk.
   */
  add(virtualChunk: number): void {
    const index = (virtualChunk / PAGE_BITS) | 0;
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = new Uint8Array(PAGE_BITS / 8);
      this.#pages.set(index, page);
    }
    const bit = virtualChunk % PAGE_BITS;
    page[bit >> 3] = (page[bit >> 3] ?? 0) | 1 << (bit & 7);
  }

  /**
   * Whether a virtual chunk is in the set.
   *
   * @param virtualChunk The chunk.
   * @returns Whether it is.
   */
  has(virtualChunk: number): boolean {
    const page = this.#pages.get((virtualChunk / PAGE_BITS) | 0);
    const bit = virtualChunk % PAGE_BITS;
    return ((page?.[bit >> 3] ?? 0) & 1 << (bit & 7)) !== 0;
  }

  /**
   * Deletes a virtual chunk, if it is in the set.
   *
   * @param virtualChunk The chunk.
   */
  delete(virtualChunk: number): void {
    const page = this.#pages.get((virtualChunk / PAGE_BITS) | 0);
    if (page === undefined) return;
    const bit = virtualChunk % PAGE_BITS;
    page[bit >> 3] = (page[bit >> 3] ?? 0) & ~(1 << (bit & 7));
  }
}
