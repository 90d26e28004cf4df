/**
 * Ranges of a virtual disk.
 *
 * @module
 */

import { assert, VirstorError } from "../../errors.ts";

/** 8 PiB: up to here every byte has an exact number in JavaScript. */
export const VIRTUAL_SIZE_MAX: number = 2 ** 53;

/**
 * Refuses a range that is not wholly inside a disk. An assertion would not do:
 * the disk may have shrunk since the client asked for its size.
 *
 * @param disk The disk: its name, and its size in bytes.
 * @param offset The offset of the first byte.
 * @param length The length in bytes.
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
