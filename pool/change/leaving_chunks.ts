/**
 * The chunks on components that are being evacuated.
 *
 * @module
 */

import { type ForwardMap, mappedChunks } from "../core/mod.ts";

/** A version of a virtual chunk that is to be moved. */
export interface LeavingChunk {
  /** The map of the volume. */
  readonly map: ForwardMap;
  /** The virtual chunk. */
  readonly virtualChunk: number;
  /** The birth of the version. */
  readonly birth: number;
}

/**
 * Finds the chunks on evacuating components, current and old ones. Between two
 * chunks the maps may change.
 *
 * @param maps The maps of all volumes.
 * @returns The chunks; undefined for each one that was looked at and stays.
 */
export function* leavingChunks(
  maps: readonly ForwardMap[],
): Generator<LeavingChunk | undefined> {
  for (const map of maps) {
    for (const virtualChunk of mappedChunks(map)) {
      const isLeaving = map.component(virtualChunk)?.evacuating === true;
      const birth = map.birth(virtualChunk);
      yield isLeaving ? { map, virtualChunk, birth } : undefined;
    }
    for (const virtualChunk of [...map.old.virtualChunks]) {
      for (const { birth, component } of [...map.old.of(virtualChunk)]) {
        yield component.evacuating ? { map, virtualChunk, birth } : undefined;
      }
    }
  }
}
