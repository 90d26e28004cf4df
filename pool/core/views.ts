/**
 * What snapshots and clones see.
 *
 * @module
 */

import type { ChunkView, VersionedMap } from "./chunk_view.ts";
import type { Component } from "./component.ts";

/** What a snapshot of a volume sees. */
export class SnapshotView implements ChunkView {
  /** The number of virtual chunks when the snapshot was taken. */
  readonly virtualChunks: number;
  /** The epoch of the snapshot: it sees versions born up to then. */
  readonly epoch: number;

  readonly #map: VersionedMap;

  /**
   * Creates a view.
   *
   * @param map The map of the volume.
   * @param epoch The epoch of the snapshot.
   * @param virtualChunks The virtual chunks of the snapshot.
   */
  constructor(map: VersionedMap, epoch: number, virtualChunks: number) {
    this.#map = map;
    this.epoch = epoch;
    this.virtualChunks = virtualChunks;
  }

  /**
   * The component that holds a virtual chunk.
   *
   * @param virtualChunk The chunk.
   * @returns The component, or undefined if the chunk reads as zeroes.
   */
  component(virtualChunk: number): Component | undefined {
    const map = this.#map;
    const current = map.component(virtualChunk);
    if (current !== undefined && map.birth(virtualChunk) <= this.epoch) {
      return current;
    }
    return map.old.component(virtualChunk, this.epoch) ??
      map.base?.component(virtualChunk);
  }

  /**
   * The chunk that holds a virtual chunk.
   *
   * @param virtualChunk The virtual chunk; {@linkcode component} returns one.
   * @returns The chunk's number on its component.
   */
  chunk(virtualChunk: number): number {
    const map = this.#map;
    if (
      map.component(virtualChunk) !== undefined &&
      map.birth(virtualChunk) <= this.epoch
    ) return map.chunk(virtualChunk);
    return map.old.chunk(virtualChunk, this.epoch) ??
      map.base?.chunk(virtualChunk) ?? 0;
  }

  /**
   * Finds the first chunk of a range that has data.
   *
   * @param from The first virtual chunk of the range.
   * @param end The end of the range, exclusive.
   * @returns The virtual chunk, or `end`.
   */
  nextMapped(from: number, end: number): number {
    // A chunk with old versions has a current one.
    for (let v = nextOfBoth(this.#map, from, end); v < end;) {
      if (this.component(v) !== undefined) return v;
      v = nextOfBoth(this.#map, v + 1, end);
    }
    return end;
  }
}

/**
 * What a snapshot, or a volume, surely sees while a component is missing: a
 * version may have been replaced by one that is there. A version is replaced
 * only after a snapshot that sees it. So what was born after the snapshot before
 * is certain, and what a clone has of its parent never is.
 */
export class CertainView extends SnapshotView {
  readonly #versions: VersionedMap;
  readonly #after: number;

  /**
   * Creates a view.
   *
   * @param map The map of the volume.
   * @param epoch The epoch of the snapshot; Infinity for what the volume sees.
   * @param virtualChunks The virtual chunks.
   * @param after The epoch of the snapshot before; -1 if there is none.
   */
  constructor(
    map: VersionedMap,
    epoch: number,
    virtualChunks: number,
    after: number,
  ) {
    super(map, epoch, virtualChunks);
    this.#versions = map;
    this.#after = after;
  }

  /**
   * The component that holds a virtual chunk.
   *
   * @param virtualChunk The chunk.
   * @returns The component, or undefined if the chunk may be on another one.
   */
  override component(virtualChunk: number): Component | undefined {
    const map = this.#versions;
    const isCurrent = map.component(virtualChunk) !== undefined &&
      map.birth(virtualChunk) <= this.epoch;
    const birth = isCurrent
      ? map.birth(virtualChunk)
      : map.old.find(virtualChunk, this.epoch)?.birth ?? -1;
    return birth > this.#after ? super.component(virtualChunk) : undefined;
  }
}

/** What a clone sees: its own chunks, and where it has none its parent's. */
export class CloneView implements ChunkView {
  readonly #map: VersionedMap;
  readonly #base: ChunkView;

  /**
   * Creates a view.
   *
   * @param map The map of the clone.
   * @param base What its parent snapshot sees.
   */
  constructor(map: VersionedMap, base: ChunkView) {
    this.#map = map;
    this.#base = base;
  }

  /** The number of virtual chunks of the clone. */
  get virtualChunks(): number {
    return this.#map.virtualChunks;
  }

  /**
   * The component that holds a virtual chunk.
   *
   * @param virtualChunk The chunk.
   * @returns The component, or undefined if the chunk reads as zeroes.
   */
  component(virtualChunk: number): Component | undefined {
    return this.#map.component(virtualChunk) ??
      this.#base.component(virtualChunk);
  }

  /**
   * The chunk that holds a virtual chunk.
   *
   * @param virtualChunk The virtual chunk; {@linkcode component} returns one.
   * @returns The chunk's number on its component.
   */
  chunk(virtualChunk: number): number {
    return this.#map.component(virtualChunk) === undefined
      ? this.#base.chunk(virtualChunk)
      : this.#map.chunk(virtualChunk);
  }

  /**
   * Finds the first chunk of a range that has data.
   *
   * @param from The first virtual chunk of the range.
   * @param end The end of the range, exclusive.
   * @returns The virtual chunk, or `end`.
   */
  nextMapped(from: number, end: number): number {
    return nextOfBoth(this.#map, from, end);
  }
}

/** The first chunk that a map or its base has. */
function nextOfBoth(map: VersionedMap, from: number, end: number): number {
  const own = map.nextMapped(from, end);
  return map.base?.nextMapped(from, own) ?? own;
}
