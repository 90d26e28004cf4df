/**
 * A flush that the owner of a device has begun, and that another thread carries
 * out: the thread waits for the disk, so the owner does not.
 *
 * The owner has settled what is to be made durable before it lends the flush,
 * and no other `fdatasync` of these files begins before the owner has heard of
 * the end: a second one could succeed after a first one has failed, and mean
 * nothing.
 *
 * @module
 */

import { fileState, type NativeIo, startWriteBack } from "../linux/mod.ts";

/** The most files of one flush; a device with more flushes by itself. */
export const LENT_FILES_MAX = 16;

/** A file that is to be made durable. */
export interface LentFile {
  /** Its descriptor, which stays open until the flush has ended. */
  readonly descriptor: number;
  /** Bytes that it must have if it is a file: fewer mean that it was cut off. */
  readonly size: number;
}

/** A flush that is lent. */
export interface LentFlush {
  /** What is to be made durable, {@linkcode LENT_FILES_MAX} at most. */
  readonly files: readonly LentFile[];
  /**
   * Ends the flush; called once.
   *
   * @param done How many of the files, from the first one on, are durable; the
   *   next one has failed.
   */
  end(done: number): void;
}

/** What became of a flush. */
export interface LentResult {
  /** How many of the files, from the first one on, are durable. */
  readonly done: number;
  /**
   * Whether all of them are, and none was deleted or cut off meanwhile: the
   * flush can be answered. Otherwise the owner has to find out.
   */
  readonly isGood: boolean;
}

/**
 * Makes files durable. Waits for the disk.
 *
 * @param io What runs `fdatasync`.
 * @param files The files of a flush that is lent.
 * @returns What became of it.
 */
export function makeDurable(
  io: NativeIo,
  files: readonly LentFile[],
): LentResult {
  if (files.length > 1) {
    // So that all disks work while the first one is waited for.
    for (const { descriptor } of files) startWriteBack(descriptor);
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
