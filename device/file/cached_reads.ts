/**
 * Reads of one file that do not wait for the disk, where the system reports
 * what is in the page cache.
 *
 * @module
 */

import { CacheWatch } from "../leases/mod.ts";
import { readNoWait } from "../linux/mod.ts";

/** Tries to find out whether the system reports what is in the page cache. */
const TELL_TRIES = 3;

/** Reads that take from the page cache only. */
export class CachedReads {
  readonly #read: (target: Uint8Array, offset: number) => void;
  readonly #watch = new CacheWatch();
  /** Undefined until it is known. */
  #tells: boolean | undefined;

  /**
   * Starts with the behaviour of the system unknown.
   *
   * @param native Whether native calls may be used; without them every read
   *   may wait.
   * @param read Reads, and waits for the disk.
   */
  constructor(
    native: boolean,
    read: (target: Uint8Array, offset: number) => void,
  ) {
    this.#read = read;
    this.#tells = native ? undefined : false;
  }

  /** Whether the system reports what is cached, or may still turn out to. */
  get mayTell(): boolean {
    return this.#tells !== false;
  }

  /**
   * Fills the start of `target` with what is in the page cache. Still waits for
   * the disk where the system does not report what is cached, and now and then
   * after many reads that were all cached.
   *
   * @param descriptor The file.
   * @param target The buffer to fill from its start; not empty.
   * @param offset The offset of the first byte.
   * @returns Bytes that were read.
   */
  read(descriptor: number, target: Uint8Array, offset: number): number {
    if (this.#tells === false || !this.#watch.isToLook()) {
      this.#read(target, offset);
      return target.length;
    }
    const count = readNoWait(descriptor, target, offset);
    if (count < target.length) {
      this.#tells ??= this.#findOut(descriptor, offset);
      if (!this.#tells) return this.read(descriptor, target, offset);
      this.#watch.missed();
    }
    return Math.max(0, count);
  }

  /** A byte that was just read is cached, unless the system dropped it. */
  #findOut(descriptor: number, offset: number): boolean {
    const byte = new Uint8Array(1);
    for (let tries = 0; tries < TELL_TRIES; tries++) {
      this.#read(byte, offset);
      if (readNoWait(descriptor, byte, offset) > 0) return true;
    }
    return false;
  }
}
