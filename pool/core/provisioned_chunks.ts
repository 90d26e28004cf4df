/**
 * The virtual chunks that clients have provisioned: they stay mapped even if
 * they hold no data.
 *
 * @module
 */

/** Bits of a page. */
const PAGE_BITS = 8192;

/** Bits, and how many of them are set. */
interface Page {
  readonly bits: Uint8Array;
  count: number;
}

/** A set of virtual chunks, with a bit for each near one that is in it. */
export class ProvisionedChunks {
  readonly #pages = new Map<number, Page>();

  /**
   * Adds a virtual chunk.
   *
   * @param virtualChunk The chunk.
   */
  add(virtualChunk: number): void {
    if (this.has(virtualChunk)) return;
    const index = (virtualChunk / PAGE_BITS) | 0;
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = { bits: new Uint8Array(PAGE_BITS / 8), count: 0 };
      this.#pages.set(index, page);
    }
    const bit = virtualChunk % PAGE_BITS;
    page.bits[bit >> 3] = (page.bits[bit >> 3] ?? 0) | 1 << (bit & 7);
    page.count++;
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
    return ((page?.bits[bit >> 3] ?? 0) & 1 << (bit & 7)) !== 0;
  }

  /**
   * Deletes a virtual chunk, if it is in the set.
   *
   * @param virtualChunk The chunk.
   */
  delete(virtualChunk: number): void {
    const index = (virtualChunk / PAGE_BITS) | 0;
    const page = this.#pages.get(index);
    if (page === undefined || !this.has(virtualChunk)) return;
    const bit = virtualChunk % PAGE_BITS;
    page.bits[bit >> 3] = (page.bits[bit >> 3] ?? 0) & ~(1 << (bit & 7));
    page.count--;
    if (page.count === 0) this.#pages.delete(index);
  }
}
