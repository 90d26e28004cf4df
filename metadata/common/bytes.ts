/**
 * Helpers for the structures on disk: 64-bit little-endian numbers, checksums,
 * ranges of zeroes.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { assert } from "../../errors.ts";

/** Stands in for a checksum field while its checksum is computed. */
const ZEROES = new Uint8Array(4);

/**
 * Writes a u64, little-endian.
 *
 * @param view The view to write to.
 * @param offset Where to write in it, bytes.
 * @param value An integer, 0 to 2^53.
 */
export function setUint64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

/**
 * Reads a u64, little-endian.
 *
 * @param view The view to read from.
 * @param offset Where to read in it, bytes.
 * @returns The number, exact up to 2^53; Infinity above, which no field allows.
 */
export function getUint64(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true);
  const low = view.getUint32(offset, true);
  if (high > 2 ** 21 || (high === 2 ** 21 && low > 0)) return Infinity;
  return high * 2 ** 32 + low;
}

/**
 * Computes the CRC-32 of bytes that contain the checksum itself.
 *
 * @param bytes All bytes that the checksum covers.
 * @param field Where the 4 bytes of the checksum start; they count as zeroes.
 * @returns The checksum, u32.
 */
export function checksumOf(bytes: Uint8Array, field: number): number {
  assert(field + 4 <= bytes.length, "a checksum lies in what it covers");
  const before = crc32(bytes.subarray(0, field));
  return crc32(bytes.subarray(field + 4), crc32(ZEROES, before));
}

/**
 * Whether a range holds only zeroes.
 *
 * @param bytes The bytes that contain the range.
 * @param start The start of the range.
 * @param end The end of the range, exclusive.
 * @returns Whether all bytes of the range are zero.
 */
export function areZeroes(
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  for (let at = start; at < end; at++) {
    if (bytes[at] !== 0) return false;
  }
  return true;
}
