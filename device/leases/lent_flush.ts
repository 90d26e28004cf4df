/**
 * A flush that the owner of a device has begun, and that another thread runs:
 * the thread waits for the disk, and the owner does not.
 *
 * The owner settles what the flush has to cover before it lends the flush. No
 * other `fdatasync` of the same files begins before the owner has learned of
 * the end: after a failed `fdatasync`, a second one could succeed and mean
 * nothing.
 *
 * @module
 */

import { fileState, type NativeIo } from "../linux/mod.ts";

/** The most files of one flush; a device with more files flushes by itself. */
export const LENT_FILES_MAX = 16;

/** A file to make durable. */
export interface LentFile {
  /** Its descriptor, which stays open until the flush has ended. */
  readonly descriptor: number;
  /** Bytes of the file: if it is shorter, another program has cut it. */
  readonly size: number;
}

/** A lent flush. */
export interface LentFlush {
  /** The files to make durable, {@linkcode LENT_FILES_MAX} at most. */
  readonly files: readonly LentFile[];
  /**
   * Ends the flush; to be called once.
   *
   * @param done How many of the files, from the first one on, are durable; the
   *   next one has failed.
   */
  end(done: number): void;
}

/** The result of a lent flush. */
export interface LentResult {
  /** How many of the files, from the first one on, are durable. */
  readonly done: number;
  /**
   * Whether all files are durable, and none was deleted or cut meanwhile: the
   * thread can answer the flush. If not, the owner finds out why.
   */
  readonly isGood: boolean;
}

/**
 * Makes files durable, one after the other. Waits for the disk.
 *
 * @param io Runs `fdatasync`.
 * @param files The files of a lent flush.
 * @returns The result of the flush.
 */
export function makeDurable(
  io: NativeIo,
  files: readonly LentFile[],
): LentResult {
  if (files.length > 1) {
    // All disks work while the thread waits for the first.
    for (const { descriptor } of files) io.startWriteBack(descriptor);
  }
  let done = 0;
  for (const { descriptor } of files) {
    if (!io.makeDurable(descriptor)) return { done, isGood: false };
    done++;
  }
  return { done, isGood: files.every(isWhole) };
}

function isWhole({ descriptor, size }: LentFile): boolean {
  const state = fileState(descriptor);
  return state !== undefined && state.links > 0 &&
    (!state.isFile || state.size >= size);
}
