/**
 * Cuts ranges to what a server takes in one request.
 *
 * @module
 */

/** A range of a disk. */
export interface Range {
  /** First byte. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
}

/**
 * Cuts a range.
 *
 * @param range Whole blocks.
 * @param most The longest piece, bytes, at least a block.
 * @param block Bytes of a block.
 * @returns Pieces of whole blocks, in order; none for an empty range.
 */
export function pieces(range: Range, most: number, block: number): Range[] {
  const step = most - most % block;
  const found: Range[] = [];
  const end = range.offset + range.length;
  for (let offset = range.offset; offset < end; offset += step) {
    found.push({ offset, length: Math.min(step, end - offset) });
  }
  return found;
}
