/**
 * What a removal has freed, in words.
 *
 * @module
 */

import { formatSize } from "../terminal/mod.ts";

/** What a removal has freed. */
export interface Freed {
  /** Chunks that were freed; null if they are being freed. */
  readonly freedChunks: number | null;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
}

/**
 * Formats what a removal has freed.
 *
 * @param pool The name of the pool.
 * @param freed What was freed.
 * @returns A line.
 */
export function freedText(
  pool: string,
  { freedChunks, chunkSize }: Freed,
): string {
  return freedChunks === null
    ? `Its space is being freed: "virstor status ${pool}" shows the progress`
    : `Freed ${formatSize(freedChunks * chunkSize)}`;
}
