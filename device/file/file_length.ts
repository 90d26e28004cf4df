/**
 * How many bytes of an open file or block device are used. It may grow while it
 * is open.
 *
 * @module
 */

import { sizeOf } from "./open_file.ts";

/** The length of an open file. */
export class FileLength {
  readonly #descriptor: number;
  #used: number;

  /**
   * Begins with the size at the time of opening.
   *
   * @param descriptor The file.
   * @param size Its size, bytes.
   * @param most The most bytes to use of it; all unless given.
   */
  constructor(descriptor: number, size: number, most: number = size) {
    this.#descriptor = descriptor;
    this.#used = Math.min(size, most);
  }

  /** Bytes that are used. */
  get used(): number {
    return this.#used;
  }

  /**
   * Asks how large the file is by now.
   *
   * *Requires*: the file is open.
   *
   * @returns Bytes.
   */
  now(): number {
    return sizeOf(this.#descriptor);
  }

  /**
   * Sets how many bytes are used from now on.
   *
   * @param size Bytes, at most {@linkcode now}.
   */
  use(size: number): void {
    this.#used = size;
  }
}
