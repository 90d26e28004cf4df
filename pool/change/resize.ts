/**
 * Resizing the virtual disk of an open pool.
 *
 * @module
 */

import { counted, inBytes, VirstorError } from "../../errors.ts";
import { VIRTUAL_SIZE_MAX } from "../core/mod.ts";
import type { PoolBase } from "../io/mod.ts";

/** How to resize the disk. */
export interface ResizeOptions {
  /** Allow the disk to shrink, where nothing is mapped; default false. */
  readonly force?: boolean;
}

/**
 * Resizes the virtual disk of a pool. The forward map defines the size.
 *
 * To grow, the disk grows on stable storage first, so that nothing is mapped
 * beyond the size that an open after a crash would find. To shrink, the map
 * shrinks first, with no `await` after the check, so that no write maps a chunk
 * beyond the new end while the superblocks are written.
 *
 * @param parts The open pool's parts.
 * @param wanted The new size, bytes; rounded up to whole chunks.
 * @param options Whether the disk may shrink.
 * @returns The new size, bytes.
 * @throws {VirstorError} `invalid`, `unsupported`: nothing has changed.
 *   `failed`: the state on disk is unknown.
 */
export async function resizePool(
  parts: PoolBase,
  wanted: number,
  options: ResizeOptions,
): Promise<number> {
  const { format, map, settings: { chunkSize, name } } = parts;
  const chunks = Math.ceil(wanted / chunkSize);
  const size = chunks * chunkSize;
  const before = map.virtualChunks;
  if (format.isDense) {
    throw new VirstorError(
      "unsupported",
      `Cannot resize pool "${name}": its map has room for ` +
        `${
          counted(before, "chunk")
        } only, a pool of the native format can grow`,
    );
  }
  if (!(wanted > 0) || size > VIRTUAL_SIZE_MAX) {
    throw new VirstorError(
      "invalid",
      `Cannot resize pool "${name}" to ${inBytes(wanted)}: it is 1 to ` +
        `${VIRTUAL_SIZE_MAX} bytes (8 PiB)`,
    );
  }
  if (chunks < before) {
    checkShrink(parts, chunks, options.force ?? false);
    map.resize(chunks);
  }
  if (chunks !== before) await format.resize(size);
  map.resize(chunks);
  return size;
}

function checkShrink(
  { map, firstWrites, settings: { name, chunkSize } }: PoolBase,
  chunks: number,
  force: boolean,
): void {
  const cannot = `Cannot make pool "${name}" smaller: `;
  if (!force) {
    throw new VirstorError(
      "invalid",
      `${cannot}shrinking needs --force; ` +
        "shrink the file system on it first",
    );
  }
  const mapped = map.nextMapped(chunks, map.virtualChunks);
  if (mapped < map.virtualChunks) {
    throw new VirstorError(
      "invalid",
      `${cannot}there are data at byte ${mapped * chunkSize}, discard them ` +
        "first",
    );
  }
  if (firstWrites.delayed.reaches(chunks)) {
    throw new VirstorError(
      "invalid",
      `${cannot}writes beyond byte ${chunks * chunkSize} wait for space`,
    );
  }
}
