/**
 * Numbers of chunks in a sentence.
 *
 * @module
 */

/** The most ranges that are named. */
const RANGES_MAX = 8;

/**
 * Lists chunks: neighbours as ranges, and of very many ranges the first ones.
 *
 * @param chunks Their numbers, at least one, in any order; each one once.
 * @returns For instance `3, 8192 to 65503`, or `1, 3, ... and 90 more`.
 */
export function chunkRanges(chunks: readonly number[]): string {
  const sorted = chunks.toSorted((a, b) => a - b);
  const ranges: string[] = [];
  let at = 0;
  while (at < sorted.length && ranges.length < RANGES_MAX) {
    const first = sorted[at] ?? 0;
    let count = 1;
    while (sorted[at + count] === first + count) count++;
    ranges.push(count === 1 ? `${first}` : `${first} to ${first + count - 1}`);
    at += count;
  }
  const rest = sorted.length - at;
  return ranges.join(", ") + (rest === 0 ? "" : `, ... and ${rest} more`);
}
