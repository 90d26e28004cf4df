/**
 * Ranges of a disk.
 *
 * @module
 */

import { assert, VirstorError } from "../../errors.ts";

/** 8 PiB: up to here every byte has an exact number in JavaScript. */
export const VIRTUAL_SIZE_MAX: number = 2 ** 53;

/**
 * Refuses a range that is not wholly on a disk. This is not only asserted:
 * the disk may have become smaller since the client asked how large it is.
 *
 * @param disk The disk: its name, and how many bytes it has.
 * @param offset The first byte.
 * @param length How many.
 * @throws {VirstorError} `invalid` if the range passes the disk's end.
 */
export function assertInside(
  disk: { readonly name: string; readonly size: number },
  offset: number,
  length: number,
): void {
  assert(offset >= 0 && length >= 0, "a request is a range");
  if (offset + length <= disk.size) return;
  throw new VirstorError(
    "invalid",
    `Cannot reach byte ${offset + length} of pool "${disk.name}": it has ` +
      `${disk.size}`,
  );
}
