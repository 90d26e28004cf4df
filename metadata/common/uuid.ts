/**
 * UUIDs (RFC 9562). On disk, 16 bytes in the order of their digits; in memory,
 * `8-4-4-4-12` lower-case digits, ready to compare and to show.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/** Bytes of a UUID. */
export const UUID_SIZE = 16;
/** The nil UUID, all zeroes, which identifies nothing. */
export const NIL_UUID = "00000000-0000-0000-0000-000000000000";

/**
 * Whether a text is a UUID in lower case, with hyphens.
 *
 * @param text Any text.
 * @returns Whether it is one.
 */
export function isUuid(text: string): boolean {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(text);
}

/**
 * Writes a UUID into a buffer.
 *
 * @param uuid A UUID for which {@linkcode isUuid} holds.
 * @param target The buffer.
 * @param offset Where to write in it, bytes.
 */
export function encodeUuid(
  uuid: string,
  target: Uint8Array,
  offset: number,
): void {
  assert(isUuid(uuid), "a UUID is written in lower case, with hyphens");
  const field = target.subarray(offset, offset + UUID_SIZE);
  assert(field.length === UUID_SIZE, "a UUID has 16 bytes");
  field.setFromHex(uuid.replaceAll("-", ""));
}

/**
 * Reads a UUID from a buffer.
 *
 * @param source The buffer.
 * @param offset Where to read in it, bytes.
 * @returns The UUID; {@linkcode NIL_UUID} for zeroes.
 */
export function decodeUuid(source: Uint8Array, offset: number): string {
  const hex = source.subarray(offset, offset + UUID_SIZE).toHex();
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ];
  return parts.join("-");
}
