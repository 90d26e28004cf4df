/**
 * The mapped parts of a range of the virtual disk.
 *
 * @module
 */

import type { BlockDevice, Completion } from "../device/mod.ts";
import { abandon, both } from "../device/mod.ts";
import { assert } from "../errors.ts";
import type { ForwardMap } from "./forward_map.ts";

/**
 * Does something to each mapped part of a range. What is not mapped is run
 * over quickly, so that the range may be the whole disk.
 *
 * @param map Where each virtual chunk is.
 * @param chunkSize Bytes of a chunk.
 * @param offset The first byte.
 * @param length How many.
 * @param act What to do: with the component's device, the first byte on it,
 *   and how many bytes.
 * @returns Done when all of it is.
 */
export function eachMapped(
  map: ForwardMap,
  chunkSize: number,
  offset: number,
  length: number,
  act: (device: BlockDevice, at: number, count: number) => Completion,
): Completion {
  const stop = offset + length;
  const end = Math.ceil(stop / chunkSize);
  let pending: Completion;
  let chunk = map.nextMapped(Math.floor(offset / chunkSize), end);
  try {
    for (; chunk < end; chunk = map.nextMapped(chunk + 1, end)) {
      const from = Math.max(offset, chunk * chunkSize);
      const count = Math.min(stop, (chunk + 1) * chunkSize) - from;
      const component = map.component(chunk);
      assert(component !== undefined, "a mapped chunk has a component");
      const at = map.chunk(chunk) * chunkSize + from - chunk * chunkSize;
      pending = both(pending, act(component.device, at, count));
    }
  } catch (error) {
    abandon(pending);
    throw error;
  }
  return pending;
}
