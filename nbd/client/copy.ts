/**
 * Copies disks: several pieces at once, and only what is data.
 *
 * @module
 */

import type { BlockDevice, Extent } from "../../device/block/mod.ts";
import { FileDevice } from "../../device/file/mod.ts";
import { inBytes, VirstorError } from "../../errors.ts";
import { BulkCopy } from "./bulk/mod.ts";
import { type Part, PartCopier, PIECE_SIZE } from "./copy_parts.ts";
import { NbdDisk } from "./nbd_disk.ts";
import { pieces, type Range } from "./pieces.ts";
import { findDifference } from "./same_disk.ts";

/** Pieces in flight at once. */
const PIECES_MAX = 32;
/** The shortest copy that gets connections of its own, bytes. */
const BULK_MIN = 8 * 1024 * 1024;
/** The most connections of its own: as many keep the disks of a server busy. */
const BULK_CONNECTIONS = 4;
/** How long they wait for a reply, unless the disk says so, milliseconds. */
const BULK_WAIT_MS = 60_000;
/** The same, at least. */
const BULK_WAIT_MIN_MS = 1000;
/** Bytes to ask about at once: the answer is short, and soon there. */
const STATUS_RANGE = 1024 * 1024 * 1024;

/** Options of a copy. */
export interface CopyOptions {
  /**
   * What to copy, in order and inside the source. The rest of the target stays
   * as it is. Default: all of the source.
   */
  readonly ranges?: readonly {
    readonly offset: number;
    readonly length: number;
  }[];
  /**
   * Whether the target reads as zeroes already: then holes are left out.
   * Default: false, zeroes are written there.
   */
  readonly targetIsZero?: boolean;
  /** Whether data that is all zeroes counts as a hole. Default: true. */
  readonly findZeroes?: boolean;
  /** Whether to flush the target at the end. Default: true. */
  readonly flush?: boolean;
  /**
   * Called as the copy goes on.
   *
   * @param done Bytes of the source that are dealt with.
   */
  readonly onProgress?: (done: number) => void;
  /** Ends the copy early, with code `cancelled`. */
  readonly signal?: AbortSignal;
}

/** What a copy did. */
export interface CopyResult {
  /** Bytes of data that were written. */
  readonly data: number;
  /** Bytes that were zeroed, or left out because they are zeroes. */
  readonly zeroes: number;
}

/**
 * Copies all of one disk, or ranges of it, to the same place on another.
 *
 * *Requires:* the target is not smaller.
 *
 * @param source The disk to read.
 * @param target The disk to write.
 * @param options How to copy.
 * @returns What was copied.
 * @throws {VirstorError} `invalid` if the target is smaller, or what reading or
 *   writing throws; then the target holds any part of the copy.
 */
export async function copyDisk(
  source: BlockDevice,
  target: BlockDevice,
  options: CopyOptions = {},
): Promise<CopyResult> {
  if (target.size < source.size) {
    throw new VirstorError(
      "invalid",
      `Cannot copy ${inBytes(source.size)} to a disk of ` +
        inBytes(target.size),
    );
  }
  const bulk = await openBulk(source, target, options);
  const copier = new PartCopier(source, target, options, bulk);
  try {
    const parts = partsOf(source, options, bulk?.most ?? PIECE_SIZE);
    await inParallel(
      parts,
      bulk?.depth ?? PIECES_MAX,
      (part) => copier.run(part),
    );
  } catch (error) {
    await bulk?.close(false).catch(() => {});
    throw error;
  }
  const isDurable = options.flush !== false;
  const lost = await bulk?.close(isDurable) ?? [];
  if (lost.length > 0) await copyAgain(source, target, options, lost);
  if (isDurable) await target.flush();
  return copier.result;
}

/** Connects for the data of a long copy between a file and a remote disk. */
async function openBulk(
  source: BlockDevice,
  target: BlockDevice,
  { ranges = [{ offset: 0, length: source.size }], flush = true }: CopyOptions,
): Promise<BulkCopy | undefined> {
  const [file, disk] = target instanceof NbdDisk
    ? [source, target]
    : [target, source];
  const length = ranges.reduce((sum, range) => sum + range.length, 0);
  if (
    !(file instanceof FileDevice) || !(disk instanceof NbdDisk) ||
    length < BULK_MIN
  ) return undefined;
  const descriptor = file.lend()?.descriptor;
  if (descriptor === undefined) return undefined;
  const { connections, stallMs = BULK_WAIT_MS } = disk.settings;
  return await BulkCopy.open({
    file: descriptor,
    info: disk.info,
    isSame: (found) => findDifference(disk.info, found) === undefined,
    writes: disk === target,
    isDurable: flush,
    connections: Math.min(connections, BULK_CONNECTIONS),
    waitMs: Math.max(stallMs, BULK_WAIT_MIN_MS),
  });
}

/** Copies ranges again, which a server may have lost. They count once. */
async function copyAgain(
  source: BlockDevice,
  target: BlockDevice,
  { findZeroes, signal }: CopyOptions,
  ranges: readonly Range[],
): Promise<void> {
  const options = {
    ranges,
    ...findZeroes !== undefined && { findZeroes },
    ...signal !== undefined && { signal },
  };
  const copier = new PartCopier(source, target, options);
  const parts = partsOf(source, options, PIECE_SIZE);
  await inParallel(parts, PIECES_MAX, (part) => copier.run(part));
}

/** Pieces of data, and runs of zeroes, in order. */
async function* partsOf(
  source: BlockDevice,
  { ranges = [{ offset: 0, length: source.size }], signal }: CopyOptions,
  pieceSize: number,
): AsyncGenerator<Part> {
  for (
    const asked of ranges.flatMap((range) => pieces(range, STATUS_RANGE, 1))
  ) {
    let { offset } = asked;
    for (const run of await extentsOf(source, offset, asked.length)) {
      const end = offset + run.length;
      const isData = run.kind === "data";
      while (offset < end) {
        if (signal?.aborted) {
          throw new VirstorError("cancelled", "The copy is cancelled");
        }
        // Pieces begin where those of a server begin.
        const most = isData ? pieceSize - offset % pieceSize : Infinity;
        const length = Math.min(end - offset, most);
        yield { offset, length, isData };
        offset += length;
      }
    }
  }
}

async function extentsOf(
  source: BlockDevice,
  offset: number,
  length: number,
): Promise<Extent[]> {
  return source instanceof NbdDisk
    ? await source.blockStatus(offset, length)
    : source.extents(offset, length);
}

/**
 * Runs something for each item, several at once.
 *
 * @param items The items.
 * @param most How many at once.
 * @param run Runs something for an item.
 * @throws What the first that fails throws, when all that began have ended.
 */
export async function inParallel<T>(
  items: AsyncGenerator<T>,
  most: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const item of items) {
      const one = run(item)
        .catch((error) => {
          failure ??= { error };
        })
        .finally(() => running.delete(one));
      running.add(one);
      if (running.size >= most) await Promise.race(running);
      if (failure !== undefined) break;
    }
  } catch (error) {
    failure ??= { error };
  }
  await Promise.allSettled(running);
  if (failure !== undefined) throw failure.error;
}
