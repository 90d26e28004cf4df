/**
 * Making files durable on the thread of a lane, which waits for the disk.
 *
 * @module
 */

import { fileState, type NativeIo } from "../linux/mod.ts";
import type { TakenFile } from "./leased_flush.ts";

/**
 * Makes files durable, one after the other. Waits for the disk.
 *
 * @param io Runs `fdatasync`.
 * @param files The files.
 * @returns How many of them, from the first one on, are durable and were
 *   neither deleted nor cut.
 */
export function makeDurable(
  io: NativeIo,
  files: readonly TakenFile[],
): number {
  if (files.length > 1) {
    // All disks work while the thread waits for the first.
    for (const { descriptor } of files) io.startWriteBack(descriptor);
  }
  let done = 0;
  for (const file of files) {
    if (!io.makeDurable(file.descriptor) || !isWhole(file)) break;
    done++;
  }
  return done;
}

function isWhole({ descriptor, size }: TakenFile): boolean {
  const state = fileState(descriptor);
  return state !== undefined && state.links > 0 &&
    (!state.isFile || state.size >= size);
}
