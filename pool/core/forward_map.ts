/**
 * The forward map: for each virtual chunk the component, and the chunk on it,
 * that hold its data. Every request reads it.
 *
 * The map has two levels. Pages are created on first use, so that an empty disk
 * of any size costs next to nothing; a look-up is two array reads.
 *
 * @module
 */

import type { LeaseTable } from "../../device/leases/mod.ts";
import { assert } from "../../errors.ts";
import type { Component } from "./component.ts";

/** Entries of a page; a power of two. */
const PAGE_ENTRIES = 8192;
/** Words of an entry: the component's id (0: unmapped), and the chunk. */
const ENTRY_WORDS = 2;

/** The place of each virtual chunk. */
export class ForwardMap {
  /** Virtual chunks that are being moved: they must keep their mapping. */
  readonly pinned: ReadonlySet<number>;
  /** The chunks that other threads use; withdrawn before a mapping changes. */
  leases: LeaseTable | undefined = undefined;

  readonly #pinned = new Set<number>();
  /** Per page, a bit for each provisioned chunk. */
  readonly #provisioned = new Map<number, Uint8Array>();
  readonly #pages: (Uint32Array | undefined)[] = [];
  /** The components by their id; index 0 stays unused. */
  #components: readonly (Component | undefined)[] = [];
  #mapped = 0;
  #virtualChunks: number;

  /**
   * Creates a map with nothing mapped.
   *
   * @param virtualChunks The number of virtual chunks.
   */
  constructor(virtualChunks: number) {
    this.#virtualChunks = virtualChunks;
    this.pinned = this.#pinned;
  }

  /** The number of virtual chunks, which defines the virtual size. */
  get virtualChunks(): number {
    return this.#virtualChunks;
  }

  /** How many virtual chunks are mapped. */
  get mapped(): number {
    return this.#mapped;
  }

  /**
   * Pins a virtual chunk that is being moved, and withdraws its lease.
   *
   * @param virtualChunk The chunk; mapped.
   */
  pin(virtualChunk: number): void {
    this.#pinned.add(virtualChunk);
    this.leases?.withdraw(virtualChunk);
  }

  /**
   * Unpins a virtual chunk: it is not being moved any more.
   *
   * @param virtualChunk The chunk.
   */
  unpin(virtualChunk: number): void {
    this.#pinned.delete(virtualChunk);
  }

  /**
   * Provisions a virtual chunk at a client's request: it stays mapped even if
   * it holds no data. The end of the mapping ends that, too.
   *
   * @param virtualChunk The chunk; mapped.
   */
  provision(virtualChunk: number): void {
    const index = (virtualChunk / PAGE_ENTRIES) | 0;
    let page = this.#provisioned.get(index);
    if (page === undefined) {
      page = new Uint8Array(PAGE_ENTRIES / 8);
      this.#provisioned.set(index, page);
    }
    const bit = virtualChunk % PAGE_ENTRIES;
    page[bit >> 3] = (page[bit >> 3] ?? 0) | 1 << (bit & 7);
  }

  /**
   * Whether a virtual chunk is provisioned.
   *
   * @param virtualChunk The chunk.
   * @returns Whether a client provisioned it since the pool was opened.
   */
  isProvisioned(virtualChunk: number): boolean {
    const page = this.#provisioned.get((virtualChunk / PAGE_ENTRIES) | 0);
    const bit = virtualChunk % PAGE_ENTRIES;
    return ((page?.[bit >> 3] ?? 0) & 1 << (bit & 7)) !== 0;
  }

  /**
   * Changes the number of virtual chunks.
   *
   * *Requires*: nothing is mapped from the new number on.
   *
   * @param virtualChunks The number of virtual chunks.
   */
  resize(virtualChunks: number): void {
    this.#virtualChunks = virtualChunks;
  }

  /**
   * Sets the components; mappings stay as they are.
   *
   * *Requires*: every component with mapped chunks is listed.
   *
   * @param members The components of the pool.
   */
  setComponents(members: readonly Component[]): void {
    const components: (Component | undefined)[] = [undefined];
    for (const one of members) components[one.id] = one;
    this.#components = components;
  }

  /**
   * The component that holds a virtual chunk.
   *
   * @param virtualChunk The chunk.
   * @returns The component, or undefined if the chunk is unmapped.
   */
  component(virtualChunk: number): Component | undefined {
    const page = this.#pages[(virtualChunk / PAGE_ENTRIES) | 0];
    if (page === undefined) return undefined;
    const id = page[(virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS] ?? 0;
    return this.#components[id];
  }

  /**
   * The chunk that holds a virtual chunk.
   *
   * @param virtualChunk The virtual chunk; mapped.
   * @returns The chunk's number on its component.
   */
  chunk(virtualChunk: number): number {
    const page = this.#pages[(virtualChunk / PAGE_ENTRIES) | 0];
    return page?.[(virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS + 1] ?? 0;
  }

  /**
   * Maps a virtual chunk, and withdraws its lease if it was mapped elsewhere.
   *
   * @param virtualChunk The virtual chunk.
   * @param component The component that holds its data.
   * @param chunk The chunk on that component.
   */
  set(virtualChunk: number, component: Component, chunk: number): void {
    assert(virtualChunk < this.#virtualChunks, "a mapping is inside the disk");
    const index = (virtualChunk / PAGE_ENTRIES) | 0;
    const page = this.#pages[index] ??= new Uint32Array(
      PAGE_ENTRIES * ENTRY_WORDS,
    );
    const at = (virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS;
    if (page[at] === 0) this.#mapped++;
    else this.leases?.withdraw(virtualChunk);
    page[at] = component.id;
    page[at + 1] = chunk;
  }

  /**
   * Maps a virtual chunk unless it is mapped already.
   *
   * @param virtualChunk The virtual chunk.
   * @param component The component that holds its data.
   * @param chunk The chunk on that component.
   * @returns Whether the virtual chunk was unmapped.
   */
  claim(virtualChunk: number, component: Component, chunk: number): boolean {
    const page = this.#pages[(virtualChunk / PAGE_ENTRIES) | 0];
    const at = (virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS;
    if (page === undefined) this.set(virtualChunk, component, chunk);
    else if (page[at] !== 0) return false;
    else {
      page[at] = component.id;
      page[at + 1] = chunk;
      this.#mapped++;
    }
    return true;
  }

  /**
   * Unmaps a virtual chunk, and withdraws its lease.
   *
   * @param virtualChunk The chunk; mapped.
   */
  delete(virtualChunk: number): void {
    const page = this.#pages[(virtualChunk / PAGE_ENTRIES) | 0];
    const at = (virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS;
    assert(page !== undefined && page[at] !== 0, "a chunk to unmap is mapped");
    this.leases?.withdraw(virtualChunk);
    page[at] = 0;
    page[at + 1] = 0;
    this.#mapped--;
    const provisioned = this.#provisioned.get(
      (virtualChunk / PAGE_ENTRIES) | 0,
    );
    const bit = virtualChunk % PAGE_ENTRIES;
    if (provisioned !== undefined) {
      provisioned[bit >> 3] = (provisioned[bit >> 3] ?? 0) & ~(1 << (bit & 7));
    }
  }

  /**
   * Finds the first mapped chunk of a range; skips pages that do not exist.
   *
   * @param from The first virtual chunk of the range.
   * @param end The end of the range, exclusive.
   * @returns The mapped virtual chunk, or `end`.
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
   * Finds the first unmapped chunk of a range.
   *
   * @param from The first virtual chunk of the range.
   * @param end The end of the range, exclusive.
   * @returns The unmapped virtual chunk, or `end`.
   */
  nextUnmapped(from: number, end: number): number {
    for (let at = from; at < end; at++) {
      const page = this.#pages[(at / PAGE_ENTRIES) | 0];
      if (page === undefined) return at;
      if (page[(at % PAGE_ENTRIES) * ENTRY_WORDS] === 0) return at;
    }
    return end;
  }
}
