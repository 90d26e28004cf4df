/**
 * The holes of a file: finding them, and punching them.
 *
 * @module
 */

import type { Extent } from "../block/mod.ts";
import { nextData, nextHole, punchHole, zeroRange } from "../linux/mod.ts";
import type { FileLength } from "./file_length.ts";
import { KnownData, runsOf } from "./file_runs.ts";

/** The holes of one file. */
export class FileHoles {
  readonly #native: boolean;
  readonly #file: FileLength;
  readonly #known = new KnownData();

  /**
   * Starts with nothing known.
   *
   * @param native Whether native calls may be used; without them nothing is
   *   known of holes, and none can be punched.
   * @param file Bytes of the file.
   */
  constructor(native: boolean, file: FileLength) {
    this.#native = native;
    this.#file = file;
  }

  /**
   * Punches a hole.
   *
   * @param descriptor The file.
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @returns Whether the range is a hole now.
   */
  punch(descriptor: number, offset: number, length: number): boolean {
    if (!this.#native) return false;
    this.#known.remove(offset, offset + length);
    return punchHole(descriptor, offset, length);
  }

  /**
   * Zeroes a range and keeps its space.
   *
   * @param descriptor The file.
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @returns Whether the range reads as zeroes now.
   */
  zeroInPlace(descriptor: number, offset: number, length: number): boolean {
    if (!this.#native) return false;
    // The system may report a hole although the range has its space.
    this.#known.remove(offset, offset + length);
    return zeroRange(descriptor, offset, length);
  }

  /**
   * Finds the next byte that is not in a hole.
   *
   * @param descriptor The file.
   * @param offset Where to start.
   * @returns The offset of that byte; the size of the file if there is none;
   *   `offset` if unknown.
   */
  nextData(descriptor: number, offset: number): number {
    if (!this.#native) return offset;
    const data = nextData(descriptor, offset);
    if (data >= 0) return data;
    // No data up to the end, or the system does not report holes.
    return nextHole(descriptor, offset) < 0 ? offset : this.#file.used;
  }

  /**
   * Tells which parts of a range hold data.
   *
   * @param descriptor The file.
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param limit Runs that are wanted at most.
   * @returns `hole` and `data` in turn; all `data` where nothing is known.
   */
  extents(
    descriptor: number,
    offset: number,
    length: number,
    limit: number,
  ): Extent[] {
    const known = this.#known;
    return runsOf(offset, offset + length, limit, {
      nextData: (at) =>
        known.endOf(at) < 0 ? this.nextData(descriptor, at) : at,
      nextHole: (at) => {
        if (!this.#native) return -1;
        const end = known.endOf(at);
        if (end >= 0) return end;
        const hole = nextHole(descriptor, at);
        known.add(at, hole);
        return hole;
      },
    });
  }
}
