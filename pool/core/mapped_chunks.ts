/**
 * The mapped chunks of a map, one after the other.
 *
 * @module
 */

import type { ForwardMap } from "./forward_map.ts";

/**
 * Walks over a map, which may change between two chunks.
 *
 * @param map The map.
 * @returns The virtual chunks that are mapped, in order.
 */
export function* mappedChunks(
  map: Pick<ForwardMap, "nextMapped" | "virtualChunks">,
): Generator<number, void> {
  const { virtualChunks: end } = map;
  for (
    let virtualChunk = map.nextMapped(0, end);
    virtualChunk < end;
    virtualChunk = map.nextMapped(virtualChunk + 1, end)
  ) yield virtualChunk;
}
