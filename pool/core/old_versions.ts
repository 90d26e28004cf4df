/**
 * The old versions of the chunks of a volume: the places that a write after a
 * snapshot has replaced, and that snapshots still see.
 *
 * @module
 */

import { assert } from "../../errors.ts";
import type { Component } from "./component.ts";

/** A version of a virtual chunk that is not the current one. */
export interface OldVersion {
  /** The epoch of the volume in which the version was made. */
  readonly birth: number;
  /** The component that holds the data; a move changes it. */
  component: Component;
  /** The chunk on that component; a move changes it. */
  chunk: number;
}

const NONE: readonly OldVersion[] = [];

/** The old versions of all chunks of a volume. */
export class OldVersions {
  /** The versions of each virtual chunk, the newest first. */
  readonly #chunks = new Map<number, OldVersion[]>();
  #size = 0;

  /** How many versions there are. */
  get size(): number {
    return this.#size;
  }

  /** How many virtual chunks have old versions. */
  get chunks(): number {
    return this.#chunks.size;
  }

  /**
   * The versions of a virtual chunk.
   *
   * @param virtualChunk The chunk.
   * @returns Its versions, the newest first.
   */
  of(virtualChunk: number): readonly OldVersion[] {
    return this.#chunks.get(virtualChunk) ?? NONE;
  }

  /**
   * Finds what a snapshot sees.
   *
   * @param virtualChunk The chunk.
   * @param epoch The epoch of the snapshot.
   * @returns The newest version that was made up to then, if there is one.
   */
  find(virtualChunk: number, epoch: number): OldVersion | undefined {
    for (const one of this.of(virtualChunk)) {
      if (one.birth <= epoch) return one;
    }
    return undefined;
  }

  /**
   * Adds a version.
   *
   * @param virtualChunk The chunk.
   * @param version The version; no other one of the chunk has its birth.
   */
  add(virtualChunk: number, version: OldVersion): void {
    const versions = this.#chunks.get(virtualChunk);
    this.#size++;
    if (versions === undefined) {
      this.#chunks.set(virtualChunk, [version]);
      return;
    }
    const at = versions.findIndex(({ birth }) => birth <= version.birth);
    assert(versions[at]?.birth !== version.birth, "one version a birth");
    versions.splice(at === -1 ? versions.length : at, 0, version);
  }

  /**
   * Deletes a version.
   *
   * @param virtualChunk The chunk.
   * @param version One of its versions.
   */
  delete(virtualChunk: number, version: OldVersion): void {
    const versions = this.#chunks.get(virtualChunk);
    const at = versions?.indexOf(version) ?? -1;
    assert(versions !== undefined && at >= 0, "a version to delete is there");
    versions.splice(at, 1);
    if (versions.length === 0) this.#chunks.delete(virtualChunk);
    this.#size--;
  }

  /** The virtual chunks that have old versions. */
  get virtualChunks(): Iterable<number> {
    return this.#chunks.keys();
  }
}
