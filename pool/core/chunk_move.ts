/**
 * A chunk that gets another place.
 *
 * @module
 */

import type { Component } from "./component.ts";
import type { MirroredChunk } from "./moving_chunks.ts";

/** A virtual chunk that is being moved from one component to another. */
export interface ChunkMove extends MirroredChunk {
  /** The virtual chunk. */
  readonly virtualChunk: number;
  /** Where it is. */
  readonly source: Component;
  /** Where it goes. */
  readonly target: Component;
}
