/**
 * Comparing bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/**
 * Compares bytes; as fast as memory where they are equal.
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
