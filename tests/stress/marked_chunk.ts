/**
 * What a chunk holds in the stress of leases: its owner, and how often that
 * one has written it, again and again from its start to its end.
 *
 * @module
 */

/** The chunks of a round. */
export interface ChunkKind {
  /** Bytes of each. */
  readonly size: number;
  /** How many are leased. */
  readonly count: number;
}

/** The owner of a place that is no chunk's. */
export const FREE = 0xffff_ffff;

/** Words of a mark: the owner, and the count of its writes. */
const MARK_WORDS = 2;

/**
 * The number of a chunk: every two of them share a place in the table of
 * leases, and lose their lease to each other.
 *
 * @param index Which one, from 0.
 * @returns Its number.
 */
export function chunkNumber(index: number): number {
  return (index >> 1) + (index % 2) * 2 ** 20;
}

/**
 * Marks a chunk.
 *
 * @param words All of it.
 * @param owner Its owner.
 * @param count How often that one has written it.
 */
export function mark(words: Uint32Array, owner: number, count: number): void {
  for (let i = 0; i < words.length; i += MARK_WORDS) {
    words[i] = owner;
    words[i + 1] = count;
  }
}

/**
 * The owner whose marks a chunk has.
 *
 * @param words All of it.
 * @returns The owner, or undefined if it has more than one.
 */
export function ownerOf(words: Uint32Array): number | undefined {
  const [owner] = words;
  for (let i = 0; i < words.length; i += MARK_WORDS) {
    if (words[i] !== owner) return undefined;
  }
  return owner;
}

/**
 * Which write a chunk shows.
 *
 * @param words All of it.
 * @returns Its count, or undefined if it shows more than one.
 */
export function countOf(words: Uint32Array): number | undefined {
  const count = words[1];
  for (let i = 1; i < words.length; i += MARK_WORDS) {
    if (words[i] !== count) return undefined;
  }
  return count;
}
