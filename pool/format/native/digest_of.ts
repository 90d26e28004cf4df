/**
 * The digest of an entry of a page of the chunk table.
 *
 * @module
 */

import {
  entryBirth,
  entryDigest,
  entrySequence,
  entryVirtualChunk,
  entryVolume,
  isProvisional,
} from "../../../metadata/native/mod.ts";

/**
 * Computes the digest of an allocated entry.
 *
 * @param page The page.
 * @param index The entry, from 0.
 * @param chunk The chunk of the entry.
 * @returns The digest, u32.
 */
export function digestOf(page: DataView, index: number, chunk: number): number {
  return entryDigest(
    chunk,
    entryVirtualChunk(page, index),
    entrySequence(page, index),
    {
      volume: entryVolume(page, index),
      birth: entryBirth(page, index),
      isProvisional: isProvisional(page, index),
    },
  );
}
