/**
 * Resizing the virtual disk of an open pool.
 *
 * @module
 */

import { counted, inBytes, nameOf, VirstorError } from "../../errors.ts";
import { VIRTUAL_SIZE_MAX } from "../core/mod.ts";
import type { VolumeParts } from "../io/mod.ts";
import { withRecord } from "./volume_list.ts";

/** How to resize the disk. */
export interface ResizeOptions {
  /** Allow the disk to shrink, where nothing is mapped; default false. */
  readonly force?: boolean;
  /** Whether the size is added to that of the volume, also if it is below 0. */
  readonly isRelative?: boolean;
}

/**
 * Resizes a volume. The forward map defines the size.
 *
 * To grow, the disk grows on stable storage first, so that nothing is mapped
 * beyond the size that an open after a crash would find. To shrink, the map
 * shrinks first, with no `await` after the check, so that no write maps a chunk
 * beyond the new end while the superblocks are written.
 *
 * @param volume The volume.
 * @param wanted The new size, or the difference, bytes; the new size is
 *   rounded up to whole chunks.
 * @param options Whether the disk may shrink.
 * @returns The new size, bytes.
 * @throws {VirstorError} `invalid`, `unsupported`: nothing has changed.
 *   `failed`: the state on disk is unknown.
 */
export async function resizePool(
  volume: VolumeParts,
  wanted: number,
  options: ResizeOptions,
): Promise<number> {
  const { base: { format, settings: { chunkSize, name } }, map } = volume;
  const what = volumeText(volume);
  const before = map.virtualChunks;
  const bytes = options.isRelative ? before * chunkSize + wanted : wanted;
  const chunks = Math.ceil(bytes / chunkSize);
  const size = chunks * chunkSize;
  if (format.isDense) {
    throw new VirstorError(
      "unsupported",
      `Cannot resize pool "${name}": its map has room for ` +
        `${
          counted(before, "chunk")
        } only, a pool of the native format can grow`,
    );
  }
  if (!(bytes > 0) || size > VIRTUAL_SIZE_MAX) {
    throw new VirstorError(
      "invalid",
      `Cannot resize ${what} to ${inBytes(bytes)}: it is 1 to ` +
        `${VIRTUAL_SIZE_MAX} bytes (8 PiB)`,
    );
  }
  if (chunks < before) {
    checkShrink(volume, chunks, options.force ?? false);
    map.resize(chunks);
  }
  if (chunks !== before) {
    const record = { ...volume.record, size };
    await format.setVolumes(withRecord(format.records, record));
  }
  map.resize(chunks);
  return size;
}

/**
 * Names a volume in a sentence.
 *
 * @param volume The open volume.
 * @returns For instance `volume "vm/data"`; the first volume is `pool "vm"`.
 */
export function volumeText(
  { record, base: { settings } }: Pick<VolumeParts, "record" | "base">,
): string {
  return record.id === 0
    ? `pool "${settings.name}"`
    : `volume "${nameOf(settings.name, record.name)}"`;
}

function checkShrink(
  volume: VolumeParts,
  chunks: number,
  force: boolean,
): void {
  const { map, firstWrites, base: { settings: { chunkSize } } } = volume;
  const cannot = `Cannot make ${volumeText(volume)} smaller: `;
  if (!force) {
    throw new VirstorError(
      "invalid",
      `${cannot}shrinking needs --force; ` +
        "shrink the file system on it first",
    );
  }
  if (map.isLayered) {
    throw new VirstorError(
      "invalid",
      `${cannot}it has snapshots, or is a clone`,
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
