/**
 * What the headers of a journal and the owner block of a component begin with:
 * magic, checksum, version, and where the block lies.
 *
 * @module
 */

import { viewOf } from "../../device/block/mod.ts";
import { areZeroes, checksumOf, getUint64, setUint64 } from "../common/mod.ts";

/** The offset of each of these fields, bytes from the start of the block. */
const BLOCK_START = { magic: 0, checksum: 16, version: 20, position: 24 };

/** A kind of block. */
export interface BlockKind {
  /** The first 16 bytes. */
  readonly magic: Uint8Array;
  /** The version that the code writes, and the highest that it reads. */
  readonly version: number;
  /** The lowest version that the code reads. Default: `version`. */
  readonly oldest?: number;
  /** What is said of a block of zeroes. */
  readonly never: string;
  /** What is said of a block that begins otherwise. */
  readonly other: string;
}

/**
 * Writes these fields but the checksum.
 *
 * @param bytes The block, zeroes.
 * @param kind The kind of block.
 * @param position Where the block will lie, bytes.
 */
export function beginBlock(
  bytes: Uint8Array,
  { magic, version }: BlockKind,
  position: number,
): void {
  const view = viewOf(bytes);
  bytes.set(magic, BLOCK_START.magic);
  view.setUint32(BLOCK_START.version, version, true);
  setUint64(view, BLOCK_START.position, position);
}

/**
 * Writes the checksum of a block whose other fields are written.
 *
 * @param bytes The block.
 */
export function sealBlock(bytes: Uint8Array): void {
  const { checksum } = BLOCK_START;
  viewOf(bytes).setUint32(checksum, checksumOf(bytes, checksum), true);
}

/**
 * The version of a block.
 *
 * @param bytes The block; it is sound.
 * @returns The version.
 */
export function blockVersion(bytes: Uint8Array): number {
  return viewOf(bytes).getUint32(BLOCK_START.version, true);
}

/**
 * Checks these fields.
 *
 * @param bytes The block.
 * @param kind The kind of block.
 * @param position Where the block lies, bytes.
 * @returns What is wrong; "" if nothing is.
 */
export function blockFault(
  bytes: Uint8Array,
  { magic, version: wanted, oldest = wanted, never, other }: BlockKind,
  position: number,
): string {
  const view = viewOf(bytes);
  if (!magic.every((byte, i) => bytes[BLOCK_START.magic + i] === byte)) {
    return areZeroes(bytes, 0, bytes.length) ? never : other;
  }
  const { checksum } = BLOCK_START;
  if (view.getUint32(checksum, true) !== checksumOf(bytes, checksum)) {
    return "its checksum is wrong";
  }
  const version = blockVersion(bytes);
  if (version < oldest || version > wanted) {
    return `it has version ${version}, not ${wanted}`;
  }
  const home = getUint64(view, BLOCK_START.position);
  return home === position ? "" : `it belongs at byte ${home}`;
}
