/**
 * UTF-8 of short texts. Calls of the runtime's encoder cost more than a
 * microsecond each, and a superblock may hold thousands of names.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";

const ENCODER = new TextEncoder();
/** A byte order mark is a character of a text like any other. */
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
/** Texts of more characters are left to the runtime. */
const SHORT = 256;

/**
 * The size of a text in UTF-8.
 *
 * @param text A well-formed text.
 * @returns Bytes.
 */
export function utf8Size(text: string): number {
  const { length } = text;
  let size = length;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // Each half of a surrogate pair counts for two of its four bytes.
    const isHalf = unit >= 0xd800 && unit < 0xe000;
    size += unit < 0x800 || isHalf ? 1 : 2;
  }
  return size;
}

/**
 * Writes a text as UTF-8.
 *
 * @param text A well-formed text.
 * @param bytes Where to.
 * @param start The first byte; {@linkcode utf8Size} bytes fit from there on.
 * @returns Bytes that were written.
 */
export function putUtf8(
  text: string,
  bytes: Uint8Array,
  start: number,
): number {
  const { length } = text;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) {
      return ENCODER.encodeInto(text, bytes.subarray(start)).written;
    }
    bytes[start + i] = unit;
  }
  return length;
}

/**
 * Reads a text.
 *
 * @param bytes The bytes, all of them.
 * @returns The text; undefined if they are not UTF-8.
 */
export function getUtf8(bytes: Uint8Array): string | undefined {
  const isAscii = bytes.length <= SHORT && bytes.every((byte) => byte < 0x80);
  if (isAscii) return String.fromCharCode(...bytes);
  return isUtf8(bytes) ? DECODER.decode(bytes) : undefined;
}
