/**
 * Comparing bytes, as fast as memory.
 *
 * @module
 */

import { Buffer } from "node:buffer";

const ZEROES = new Uint8Array(64 * 1024);

/**
 * Compares bytes.
 *
 * @param wanted All of these are compared.
 * @param found Bytes behind those that are wanted do not count.
 * @returns The index of the first byte that differs or is missing; -1 if none.
 */
export function firstDifference(wanted: Uint8Array, found: Uint8Array): number {
  const start = found.subarray(0, wanted.length);
  if (Buffer.compare(wanted, start) === 0) return -1;
  return wanted.findIndex((byte, i) => byte !== found[i]);
}

/**
 * Whether all bytes are zeroes.
 *
 * @param bytes The bytes.
 * @returns Whether they are.
 */
export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROES.length) {
    const part = bytes.subarray(at, at + ZEROES.length);
    const zeroes = ZEROES.subarray(0, part.length);
    if (Buffer.compare(part, zeroes) !== 0) return false;
  }
  return true;
}
