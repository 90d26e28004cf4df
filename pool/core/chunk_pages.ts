/**
 * A table of places by virtual chunk, with two levels: a page exists while it
 * has an entry, so that an empty disk of any size costs next to nothing, also
 * after a client has written and discarded all over it.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/** Entries of a page; a power of two. */
const PAGE_ENTRIES = 8192;
/** Words of an entry: the component's id (0: unmapped), and the chunk. */
const ENTRY_WORDS = 2;
/** Where a page counts its entries: behind the last one. */
const COUNT_AT = PAGE_ENTRIES * ENTRY_WORDS;

/** For each virtual chunk a component's id, a chunk and a birth. */
export class ChunkPages {
  readonly #pages: (Uint32Array | undefined)[] = [];
  /** Per page the births of its chunks; without it all are 0. */
  readonly #births: (Uint32Array | undefined)[] = [];
  /** The last page that became empty; all zeroes. */
  #spare: Uint32Array | undefined;

  /**
   * The component of an entry.
   *
   * @param virtualChunk The virtual chunk.
   * @returns The component's id; 0 if the entry is empty.
   */
  id(virtualChunk: number): number {
    const page = this.#pages[(virtualChunk / PAGE_ENTRIES) | 0];
    if (page === undefined) return 0;
    return page[(virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS] ?? 0;
  }

  /**
   * The chunk of an entry.
   *
   * @param virtualChunk The virtual chunk.
   * @returns The chunk's number on its component; 0 if the entry is empty.
   */
  chunk(virtualChunk: number): number {
    const page = this.#pages[(virtualChunk / PAGE_ENTRIES) | 0];
    return page?.[(virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS + 1] ?? 0;
  }

  /**
   * The birth of an entry.
   *
   * @param virtualChunk The virtual chunk; its entry is not empty.
   * @returns The birth.
   */
  birth(virtualChunk: number): number {
    return this.#births[(virtualChunk / PAGE_ENTRIES) | 0]
      ?.[virtualChunk % PAGE_ENTRIES] ?? 0;
  }

  /**
   * Sets an entry.
   *
   * @param virtualChunk The virtual chunk.
   * @param id The component's id; not 0.
   * @param chunk The chunk's number on it.
   * @param birth The birth.
   */
  set(virtualChunk: number, id: number, chunk: number, birth: number): void {
    const index = (virtualChunk / PAGE_ENTRIES) | 0;
    const page = this.#pages[index] ??= this.#newPage();
    const at = (virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS;
    if (page[at] === 0) page[COUNT_AT] = (page[COUNT_AT] ?? 0) + 1;
    page[at] = id;
    page[at + 1] = chunk;
    if (birth === 0 && this.#births[index] === undefined) return;
    const births = this.#births[index] ??= new Uint32Array(PAGE_ENTRIES);
    births[virtualChunk % PAGE_ENTRIES] = birth;
  }

  /**
   * Empties an entry.
   *
   * @param virtualChunk The virtual chunk; its entry is not empty.
   */
  clear(virtualChunk: number): void {
    const index = (virtualChunk / PAGE_ENTRIES) | 0;
    const page = this.#pages[index];
    assert(page !== undefined, "the page of an entry exists");
    const at = (virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS;
    page[at] = page[at + 1] = 0;
    const left = page[COUNT_AT] = (page[COUNT_AT] ?? 0) - 1;
    if (left > 0) return;
    this.#pages[index] = undefined;
    this.#births[index] = undefined;
    this.#spare = page;
  }

  /**
   * Finds the first entry of a range that is not empty; skips pages that do not
   * exist.
   *
   * @param from The first virtual chunk of the range.
   * @param end The end of the range, exclusive.
   * @returns The virtual chunk, or `end`.
   */
  nextMapped(from: number, end: number): number {
    let at = from;
    while (at < end) {
      const index = (at / PAGE_ENTRIES) | 0;
      const page = this.#pages[index];
      const pageEnd = Math.min(end, (index + 1) * PAGE_ENTRIES);
      if (page !== undefined) {
        for (; at < pageEnd; at++) {
          if (page[(at % PAGE_ENTRIES) * ENTRY_WORDS] !== 0) return at;
        }
      }
      at = pageEnd;
    }
    return end;
  }

  /**
   * Finds the first empty entry of a range.
   *
   * @param from The first virtual chunk of the range.
   * @param end The end of the range, exclusive.
   * @returns The virtual chunk, or `end`.
   */
  nextUnmapped(from: number, end: number): number {
    for (let at = from; at < end; at++) {
      if (this.id(at) === 0) return at;
    }
    return end;
  }

  /** A page without entries. */
  #newPage(): Uint32Array {
    const page = this.#spare ?? new Uint32Array(COUNT_AT + 1);
    this.#spare = undefined;
    return page;
  }
}
