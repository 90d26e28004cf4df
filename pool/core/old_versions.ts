/**
 * The old versions of the chunks of a volume: the places that a write after a
 * snapshot has replaced, and that snapshots still see.
 *
 * There may be millions, so each takes 16 bytes of an array, and a place in a
 * list: that of its virtual chunk, the newest first. Objects are made for
 * callers only.
 *
 * @module
 */

import { assert } from "../../errors.ts";
import type { Component } from "./component.ts";

/** A version of a virtual chunk. */
export interface OldVersion {
  /** The epoch of the volume in which the version was made. */
  readonly birth: number;
  /** The component that holds the data. */
  readonly component: Component;
  /** The chunk on that component. */
  readonly chunk: number;
}

/** Words of an array that is made when it is needed: 16 KiB. */
const BLOCK_WORDS = 4096;
/** Words of a version, in this order. */
const [BIRTH, COMPONENT, CHUNK, NEXT, VERSION_WORDS] = [0, 1, 2, 3, 4];
/** The end of a list. The version of this number is never used. */
const NONE = 0;

/** The old versions of all chunks of a volume. */
export class OldVersions {
  /** For each virtual chunk its newest version. */
  readonly #first = new Words();
  readonly #versions = new Words();
  /** The components by their id. */
  readonly #components: (Component | undefined)[] = [];
  /** Deleted versions, a list of its own. */
  #free = NONE;
  /** The number of the next version if none is free. */
  #next = NONE + 1;
  #size = 0;
  #chunks = 0;

  /** How many versions there are. */
  get size(): number {
    return this.#size;
  }

  /** How many virtual chunks have old versions. */
  get chunks(): number {
    return this.#chunks;
  }

  /**
   * Whether a virtual chunk has versions.
   *
   * @param virtualChunk The chunk.
   * @returns Whether there is one.
   */
  has(virtualChunk: number): boolean {
    return this.#first.get(virtualChunk) !== NONE;
  }

  /**
   * The versions of a virtual chunk.
   *
   * @param virtualChunk The chunk.
   * @returns Its versions as they are now, the newest first.
   */
  of(virtualChunk: number): OldVersion[] {
    const found: OldVersion[] = [];
    let at = this.#first.get(virtualChunk);
    for (; at !== NONE; at = this.#word(at, NEXT)) found.push(this.#get(at));
    return found;
  }

  /**
   * Finds what a snapshot sees.
   *
   * @param virtualChunk The chunk.
   * @param epoch The epoch of the snapshot.
   * @returns The newest version that was made up to then, if there is one.
   */
  find(virtualChunk: number, epoch: number): OldVersion | undefined {
    const at = this.#newest(virtualChunk, epoch);
    return at === NONE ? undefined : this.#get(at);
  }

  /**
   * The component of what a snapshot sees.
   *
   * @param virtualChunk The chunk.
   * @param epoch The epoch of the snapshot.
   * @returns The component; undefined if the snapshot sees no old version.
   */
  component(virtualChunk: number, epoch: number): Component | undefined {
    const at = this.#newest(virtualChunk, epoch);
    return at === NONE ? undefined : this.#componentOf(at);
  }

  /**
   * The chunk of what a snapshot sees.
   *
   * @param virtualChunk The virtual chunk.
   * @param epoch The epoch of the snapshot.
   * @returns The chunk on its component; undefined if the snapshot sees no old
   *   version.
   */
  chunk(virtualChunk: number, epoch: number): number | undefined {
    const at = this.#newest(virtualChunk, epoch);
    return at === NONE ? undefined : this.#word(at, CHUNK);
  }

  /**
   * Finds a version by its birth.
   *
   * @param virtualChunk The chunk.
   * @param birth The birth.
   * @returns The version; undefined if there is none.
   */
  version(virtualChunk: number, birth: number): OldVersion | undefined {
    const at = this.#newest(virtualChunk, birth);
    const isIt = at !== NONE && this.#word(at, BIRTH) === birth;
    return isIt ? this.#get(at) : undefined;
  }

  /**
   * Adds a version.
   *
   * @param virtualChunk The chunk.
   * @param version The version; no other one of the chunk has its birth.
   */
  add(
    virtualChunk: number,
    { birth, component, chunk }: OldVersion,
  ): void {
    const before = this.#before(virtualChunk, birth);
    const after = this.#after(virtualChunk, before);
    const isNew = after === NONE || this.#word(after, BIRTH) !== birth;
    assert(isNew, "one version a birth");
    const at = this.#take();
    this.#components[component.id] = component;
    this.#set(at, BIRTH, birth);
    this.#set(at, COMPONENT, component.id);
    this.#set(at, CHUNK, chunk);
    this.#set(at, NEXT, after);
    this.#link(virtualChunk, before, at);
    this.#size++;
  }

  /**
   * Gives a version another place.
   *
   * @param virtualChunk The chunk.
   * @param birth The birth of one of its versions.
   * @param component The component that holds its data from now on.
   * @param chunk The chunk on that component.
   */
  relocate(
    virtualChunk: number,
    birth: number,
    component: Component,
    chunk: number,
  ): void {
    const at = this.#newest(virtualChunk, birth);
    const isThere = at !== NONE && this.#word(at, BIRTH) === birth;
    assert(isThere, "a version that moves is there");
    this.#components[component.id] = component;
    this.#set(at, COMPONENT, component.id);
    this.#set(at, CHUNK, chunk);
  }

  /**
   * Deletes a version.
   *
   * @param virtualChunk The chunk.
   * @param version One of its versions.
   */
  delete(virtualChunk: number, { birth }: Pick<OldVersion, "birth">): void {
    const before = this.#before(virtualChunk, birth);
    const at = this.#after(virtualChunk, before);
    const isThere = at !== NONE && this.#word(at, BIRTH) === birth;
    assert(isThere, "a version to delete is there");
    this.#link(virtualChunk, before, this.#word(at, NEXT));
    this.#set(at, NEXT, this.#free);
    this.#free = at;
    this.#size--;
  }

  /**
   * The virtual chunks that have old versions, in order. The versions may change
   * between two of them.
   */
  get virtualChunks(): Iterable<number> {
    return this.#first.nonZero();
  }

  /** The newest version that was made up to an epoch, or `NONE`. */
  #newest(virtualChunk: number, epoch: number): number {
    let at = this.#first.get(virtualChunk);
    while (at !== NONE && this.#word(at, BIRTH) > epoch) {
      at = this.#word(at, NEXT);
    }
    return at;
  }

  /** The last version that is newer than a birth, or `NONE`. */
  #before(virtualChunk: number, birth: number): number {
    let before = NONE;
    let at = this.#first.get(virtualChunk);
    while (at !== NONE && this.#word(at, BIRTH) > birth) {
      before = at;
      at = this.#word(at, NEXT);
    }
    return before;
  }

  #after(virtualChunk: number, before: number): number {
    return before === NONE
      ? this.#first.get(virtualChunk)
      : this.#word(before, NEXT);
  }

  #link(virtualChunk: number, before: number, at: number): void {
    if (before !== NONE) return this.#set(before, NEXT, at);
    if (!this.has(virtualChunk)) this.#chunks++;
    if (at === NONE) this.#chunks--;
    this.#first.set(virtualChunk, at);
  }

  #take(): number {
    if (this.#free === NONE) return this.#next++;
    const at = this.#free;
    this.#free = this.#word(at, NEXT);
    return at;
  }

  #get(at: number): OldVersion {
    return {
      birth: this.#word(at, BIRTH),
      component: this.#componentOf(at),
      chunk: this.#word(at, CHUNK),
    };
  }

  #componentOf(at: number): Component {
    const component = this.#components[this.#word(at, COMPONENT)];
    assert(component !== undefined, "a version has a component");
    return component;
  }

  #word(at: number, index: number): number {
    return this.#versions.get(at * VERSION_WORDS + index);
  }

  #set(at: number, index: number, value: number): void {
    this.#versions.set(at * VERSION_WORDS + index, value);
  }
}

/** Words of 32 bits, 0 at first; arrays of them are made when they are used. */
class Words {
  readonly #blocks: (Uint32Array | undefined)[] = [];

  get(index: number): number {
    const block = this.#blocks[(index / BLOCK_WORDS) | 0];
    return block === undefined ? 0 : block[index % BLOCK_WORDS] ?? 0;
  }

  set(index: number, value: number): void {
    const at = (index / BLOCK_WORDS) | 0;
    const block = this.#blocks[at] ??= new Uint32Array(BLOCK_WORDS);
    block[index % BLOCK_WORDS] = value;
  }

  /** The indexes of words that are not 0, in order. */
  *nonZero(): Generator<number> {
    for (const key of Object.keys(this.#blocks)) {
      const block = this.#blocks[Number(key)];
      for (let i = 0; block !== undefined && i < BLOCK_WORDS; i++) {
        if (block[i] !== 0) yield Number(key) * BLOCK_WORDS + i;
      }
    }
  }
}
