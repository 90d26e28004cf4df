/**
 * What the structures on disk have in common: little-endian numbers beyond 32
 * bits, checksums, stretches of zeroes.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { assert } from "../../errors.ts";

/** What a checksum field counts as while its checksum is made. */
const ZEROES = new Uint8Array(4);

/**
 * Writes a u64.
 *
 * @param view Where to.
 * @param offset Bytes from its start.
 * @param value An integer, 0 to 2^53.
 */
export function setUint64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

/**
 * Reads a u64.
 *
 * @param view Where from.
 * @param offset Bytes from its start.
 * @returns The number, exact up to 2^53; Infinity for anything above, which no
 *   field may hold.
 */
export function getUint64(view: DataView, offset: number): number {
  const high = view.getUint32(offset + 4, true);
  const low = view.getUint32(offset, true);
  if (high > 2 ** 21 || (high === 2 ** 21 && low > 0)) return Infinity;
  return high * 2 ** 32 + low;
}

/**
 * The CRC-32 of bytes that hold it themselves.
 *
 * @param bytes All that it covers.
 * @param field Where its own 4 bytes start; they count as zeroes.
 * @returns The checksum, u32.
 */
export function checksumOf(bytes: Uint8Array, field: number): number {
  assert(field + 4 <= bytes.length, "a checksum lies in what it covers");
  const before = crc32(bytes.subarray(0, field));
  return crc32(bytes.subarray(field + 4), crc32(ZEROES, before));
}

/**
 * Whether a stretch holds nothing but zeroes.
 *
 * @param bytes Where.
 * @param start Its first byte.
 * @param end The byte after its last.
 * @returns Whether it does.
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
