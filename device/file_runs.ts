/**
 * Data and holes of a file, told by where the next ones begin.
 *
 * @module
 */

import type { Extent } from "./block_device.ts";

/**
 * The runs of data and holes of a range.
 *
 * @param offset The first byte.
 * @param end The first byte behind it.
 * @param limit Runs that are wanted at most.
 * @param seek Where data and holes begin, from a byte on; -1 for a hole if
 *   that is not known.
 * @returns `hole` and `data` in turn.
 */
export function runsOf(
  offset: number,
  end: number,
  limit: number,
  seek: Record<"nextData" | "nextHole", (at: number) => number>,
): Extent[] {
  const runs: Extent[] = [];
  for (let at = offset; at < end && runs.length < limit;) {
    const stop = Math.min(seek.nextData(at), end);
    if (stop > at) runs.push({ length: stop - at, kind: "hole" });
    if (stop === end) break;
    const hole = seek.nextHole(stop);
    // Where nothing is known, what was taken for data may be a hole.
    at = hole <= stop ? end : Math.min(hole, end);
    runs.push({ length: at - stop, kind: "data" });
  }
  return runs;
}
