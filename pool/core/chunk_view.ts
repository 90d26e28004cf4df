/**
 * What a volume or a snapshot sees: for each virtual chunk the place that holds
 * its data.
 *
 * @module
 */

import type { Component } from "./component.ts";
import type { OldVersions } from "./old_versions.ts";

/** What the entry of a chunk says of its owner. */
export interface ChunkOwner {
  /** The number of the volume. */
  readonly volume: number;
  /** The epoch of the volume when the mapping was made. */
  readonly birth: number;
  /** Whether an open after a power cut drops the mapping. */
  readonly isProvisional: boolean;
}

/** Where the chunks of a volume or a snapshot are, for reads. */
export interface ChunkView {
  /** The number of virtual chunks. */
  readonly virtualChunks: number;

  /**
   * The component that holds a virtual chunk.
   *
   * @param virtualChunk The chunk.
   * @returns The component, or undefined if the chunk reads as zeroes.
   */
  component(virtualChunk: number): Component | undefined;

  /**
   * The chunk that holds a virtual chunk.
   *
   * @param virtualChunk The virtual chunk; {@linkcode component} returns one.
   * @returns The chunk's number on its component.
   */
  chunk(virtualChunk: number): number;

  /**
   * Finds the first chunk of a range that does not read as zeroes for want of a
   * mapping.
   *
   * @param from The first virtual chunk of the range.
   * @param end The end of the range, exclusive.
   * @returns The virtual chunk, or `end`.
   */
  nextMapped(from: number, end: number): number;
}

/** The map of a volume, as its snapshots and clones use it. */
export interface VersionedMap extends ChunkView {
  /** The versions that snapshots see in place of the current ones. */
  readonly old: OldVersions;
  /** What the parent of a clone sees; undefined if the volume is no clone. */
  readonly base: ChunkView | undefined;

  /**
   * The birth of a mapping.
   *
   * @param virtualChunk The virtual chunk; mapped.
   * @returns The epoch of the volume when it was mapped.
   */
  birth(virtualChunk: number): number;
}
