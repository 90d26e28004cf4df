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

/**
 * Divides a range into whole blocks, and the parts of blocks beside them.
 *
 * @param range The range.
 * @param block Bytes of a block.
 * @returns The whole blocks, perhaps none, and the parts before and after them.
 */
export function divide(
  { offset, length }: Range,
  block: number,
): { readonly whole: Range; readonly edges: readonly Range[] } {
  const end = offset + length;
  const first = Math.ceil(offset / block) * block;
  const last = Math.floor(end / block) * block;
  if (first > last) {
    return { whole: { offset, length: 0 }, edges: [{ offset, length }] };
  }
  const edges = [
    { offset, length: first - offset },
    { offset: last, length: end - last },
  ];
  return {
    whole: { offset: first, length: last - first },
    edges: edges.filter(({ length }) => length > 0),
  };
}
