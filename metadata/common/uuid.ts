/**
 * UUIDs (RFC 9562): 16 bytes on disk in the order in which they are written,
 * `8-4-4-4-12` lower-case digits in memory, where they are compared and shown.
 *
 * @module
 */

import { assert } from "../../errors.ts";

/** Bytes of a UUID. */
export const UUID_SIZE = 16;
/** The UUID that nothing has: all zeroes. */
export const NIL_UUID = "00000000-0000-0000-0000-000000000000";

/**
 * Whether a text is a UUID as this module writes it, upper case not included.
 *
 * @param text Any text.
 * @returns Whether it is.
 */
export function isUuid(text: string): boolean {
  return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(text);
}

/**
 * Writes a UUID.
 *
 * @param uuid For which {@linkcode isUuid} holds.
 * @param target Where to.
 * @param offset Bytes from its start.
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
 * Reads a UUID.
 *
 * @param source Where from.
 * @param offset Bytes from its start.
 * @returns The UUID; {@linkcode NIL_UUID} if there are zeroes.
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
