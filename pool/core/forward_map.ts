/**
 * The forward map: from a virtual chunk to the component and the chunk on it
 * that hold its bytes. The one table that every request looks at.
 *
 * Two levels: pages are made when first used, so that an empty disk of any
 * size costs next to nothing, and a look-up is two array reads.
 *
 * @module
 */

import type { LeaseTable } from "../../device/leases/mod.ts";
import { assert } from "../../errors.ts";
import type { Component } from "./component.ts";

/** Entries of a page; a power of two. */
const PAGE_ENTRIES = 8192;
/** Words of an entry: the component's number (0: unmapped), the chunk. */
const ENTRY_WORDS = 2;

/** Where each virtual chunk is. */
export class ForwardMap {
  /** Virtual chunks that are being moved: they keep their mapping meanwhile. */
  readonly pinned: ReadonlySet<number>;
  /** Which chunks other threads use; withdrawn before a mapping changes. */
  leases: LeaseTable | undefined = undefined;

  readonly #pinned = new Set<number>();
  /** By page, a bit for each chunk: those that keep a place without data. */
  readonly #provisioned = new Map<number, Uint8Array>();
  readonly #pages: (Uint32Array | undefined)[] = [];
  /** The components by their number in this map; 0 is nobody's. */
  #components: readonly (Component | undefined)[] = [];
  #mapped = 0;
  #virtualChunks: number;

  /**
   * Creates a map with nothing mapped.
   *
   * @param virtualChunks How many virtual chunks there are.
   */
  constructor(virtualChunks: number) {
    this.#virtualChunks = virtualChunks;
    this.pinned = this.#pinned;
  }

  /** How many virtual chunks there are. */
  get virtualChunks(): number {
    return this.#virtualChunks;
  }

  /** How many virtual chunks are mapped. */
  get mapped(): number {
    return this.#mapped;
  }

  /**
   * Says that a virtual chunk is being moved; nobody else uses it any more.
   *
   * @param virtualChunk The chunk; mapped.
   */
  pin(virtualChunk: number): void {
    this.#pinned.add(virtualChunk);
    this.leases?.withdraw(virtualChunk);
  }

  /**
   * Says that a virtual chunk is being moved no more.
   *
   * @param virtualChunk The chunk.
   */
  unpin(virtualChunk: number): void {
    this.#pinned.delete(virtualChunk);
  }

  /**
   * Says that a client wants a virtual chunk to have a place, whether it holds
   * data or not. That ends when its mapping does.
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
   * Whether a virtual chunk keeps its place although it holds no data.
   *
   * @param virtualChunk The chunk.
   * @returns Whether a client wanted that, since the pool was opened.
   */
  isProvisioned(virtualChunk: number): boolean {
    const page = this.#provisioned.get((virtualChunk / PAGE_ENTRIES) | 0);
    const bit = virtualChunk % PAGE_ENTRIES;
    return ((page?.[bit >> 3] ?? 0) & 1 << (bit & 7)) !== 0;
  }

  /**
   * Gives the disk another size.
   *
   * @param virtualChunks How many virtual chunks; nothing is mapped beyond.
   */
  resize(virtualChunks: number): void {
    this.#virtualChunks = virtualChunks;
  }

  /**
   * Says which components there are; mappings stay as they are.
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
   * The place of a mapped virtual chunk on its component.
   *
   * @param virtualChunk The chunk; mapped.
   * @returns The chunk's number on the component.
   */
  chunk(virtualChunk: number): number {
    const page = this.#pages[(virtualChunk / PAGE_ENTRIES) | 0];
    return page?.[(virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS + 1] ?? 0;
  }

  /**
   * Says where a virtual chunk is from now on.
   *
   * @param virtualChunk The chunk.
   * @param component The component.
   * @param chunk The chunk's number on it.
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
   * Says where a virtual chunk is, unless it has a place already.
   *
   * @param virtualChunk The chunk.
   * @param component The component.
   * @param chunk The chunk's number on it.
   * @returns Whether it had none.
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
   * Says that a virtual chunk has no place any more.
   *
   * @param virtualChunk The chunk; mapped.
   */
  delete(virtualChunk: number): void {
    const page = this.#pages[(virtualChunk / PAGE_ENTRIES) | 0];
    const at = (virtualChunk % PAGE_ENTRIES) * ENTRY_WORDS;
    assert(page !== undefined && page[at] !== 0, "what goes was mapped");
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
   * The first mapped chunk of a range; runs over pages that were never made.
   *
   * @param from The first virtual chunk to look at.
   * @param end The first one not to look at.
   * @returns A mapped virtual chunk, or `end`.
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
   * The first unmapped chunk of a range.
   *
   * @param from The first virtual chunk to look at.
   * @param end The first one not to look at.
   * @returns An unmapped virtual chunk, or `end`.
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
