/**
 * Bytes as numbers.
 *
 * @module
 */

/**
 * The same bytes, to be read and written as numbers.
 *
 * @param bytes Any part of a buffer.
 * @returns A view of just these bytes.
 */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
