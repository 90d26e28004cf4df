/**
 * Ranges of a file that hold no data: found by its holes, and by the bytes of
 * blocks that only a part of a range shares.
 *
 * The caller gives the space away, so an answer is given only where the file
 * system is known to count data that are in the page cache, and not yet on the
 * disk, as data.
 *
 * @module
 */

import {
  fileSystem,
  nextData,
  nextHole,
  readNatively,
  readNoWait,
} from "../linux/mod.ts";

/** From `linux/magic.h`: file systems whose holes can be believed. */
const BELIEVED: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x5846_5342, // XFS
  0x9123_683e, // Btrfs
  0xf2f5_2010, // F2FS
  0x794c_7630, // overlayfs
]);
/** From `linux/magic.h`: tmpfs, which can be believed, too. */
const TMPFS = 0x0102_1994;
/** Blocks that are larger are not looked at. */
const BLOCK_BYTES_MAX = 65_536;

/** A range of a file. */
export interface FileRange {
  /** The first byte. */
  readonly offset: number;
  /** Bytes, above 0. */
  readonly length: number;
}

const words = new Uint32Array(BLOCK_BYTES_MAX / 4);
const bytes = new Uint8Array(words.buffer);

/** What holds no data of one file. */
export class BlankRanges {
  readonly #descriptor: number;
  readonly #isMemory: boolean;
  /** Bytes of the blocks that space comes in; 0 if unknown. */
  readonly #block: number;

  /**
   * Looks at the file system. May wait for the disk.
   *
   * @param descriptor A regular file, open while this is used.
   */
  constructor(descriptor: number) {
    const found = fileSystem(descriptor);
    const { kind = 0, blockBytes = 0 } = found ?? {};
    this.#descriptor = descriptor;
    this.#isMemory = kind === TMPFS;
    const isKnown = (this.#isMemory || BELIEVED.has(kind)) &&
      blockBytes >= 512 && blockBytes <= BLOCK_BYTES_MAX;
    this.#block = isKnown ? blockBytes : 0;
  }

  /**
   * Whether a range is known to read as zeroes and to have no data, but for
   * zeroes in blocks that it shares with what lies beside it.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns False also where the answer would have to wait for the disk.
   */
  isBlank(offset: number, length: number): boolean {
    const block = this.#block;
    if (block === 0) return false;
    const end = offset + length;
    const first = Math.min(Math.ceil(offset / block) * block, end);
    const last = Math.max(Math.floor(end / block) * block, first);
    if (first < last && !this.#isHole(first, last - first)) return false;
    return this.#isZero(offset, first - offset, this.#isMemory) &&
      this.#isZero(last, end - last, this.#isMemory);
  }

  /**
   * A range that was punched, with the blocks of which only a part is in it, if
   * all the rest of them reads as zeroes: to be punched, so that they become
   * holes, too.
   *
   * @param offset The first byte.
   * @param length How many, above 0.
   * @param limits What the range must not leave.
   * @returns The range, or undefined if it would be no larger.
   */
  widen(
    offset: number,
    length: number,
    limits: FileRange,
  ): FileRange | undefined {
    const block = this.#block;
    if (block === 0) return undefined;
    const end = offset + length;
    const limit = limits.offset + limits.length;
    const isBlank = (at: number) =>
      at >= limits.offset && at + block <= limit && !this.#isHole(at, block) &&
      // To punch a part of a block, the kernel has just read all of it.
      this.#isZero(at, block, true);
    const first = Math.floor(offset / block) * block;
    const last = Math.floor(end / block) * block;
    const from = first < offset && isBlank(first) ? first : offset;
    const isOne = first === last && first < offset;
    const isWider = isOne ? from < offset : last < end && isBlank(last);
    const to = isWider ? last + block : end;
    return from === offset && to === end
      ? undefined
      : { offset: from, length: to - from };
  }

  #isHole(offset: number, length: number): boolean {
    const data = nextData(this.#descriptor, offset);
    if (data >= 0) return data >= offset + length;
    // None up to the end of the file, or it cannot be found out.
    return nextHole(this.#descriptor, offset) >= 0;
  }

  /** Whether bytes are zeroes, and in the page cache unless it may wait. */
  #isZero(offset: number, length: number, mayWait: boolean): boolean {
    if (length === 0) return true;
    const target = bytes.subarray(0, length);
    const descriptor = this.#descriptor;
    if (
      readNoWait(descriptor, target, offset) !== length &&
      !(mayWait && readNatively(descriptor, target, offset))
    ) return false;
    const whole = length >> 2;
    for (let i = 0; i < whole; i++) if (words[i] !== 0) return false;
    for (let i = whole * 4; i < length; i++) if (bytes[i] !== 0) return false;
    return true;
  }
}
