/**
 * The part of a device that is leased, as another thread reads and writes it:
 * what can be done at once, and nothing else. The second door to a descriptor,
 * beside `FileDevice`: open for as long as a lease is used.
 *
 * @module
 */

import { CacheWatch } from "./cache_watch.ts";
import { type LeaseMemory, LeaseReader } from "./leases.ts";
import { NativeIo } from "./native_io.ts";

/** What is leased of a device. */
export class LeasedDisk {
  readonly #io: NativeIo;
  readonly #leases: LeaseReader;
  readonly #watch = new CacheWatch();

  /**
   * Takes part, in a thread of its own.
   *
   * @param memory Which chunks are leased.
   * @param thread The number of this thread.
   * @param io What reads and writes, for several of these in one thread.
   */
  constructor(
    memory: LeaseMemory,
    thread: number,
    io: NativeIo = new NativeIo(),
  ) {
    this.#io = io;
    this.#leases = new LeaseReader(memory, thread);
  }

  /**
   * How many bytes from one on can be read or written at once at most.
   *
   * @param offset The byte.
   * @returns Bytes, above 0.
   */
  reach(offset: number): number {
    return this.#leases.restOfChunk(offset);
  }

  /**
   * Reads.
   *
   * @param address Where the bytes go.
   * @param length How many, above 0.
   * @param offset The first byte.
   * @returns Whether all of them are there. If not, the owner of the device
   *   has to be asked, who may also know why.
   */
  read(address: number, length: number, offset: number): boolean {
    const leases = this.#leases;
    if (!leases.use(offset, length)) return false;
    try {
      const { descriptor, tellsCached, at } = leases.lease;
      let done: boolean;
      if (tellsCached && this.#watch.isToLook()) {
        const count = this.#io.readNoWait(descriptor, address, length, at);
        done = count === length;
        if (!done) this.#watch.missed();
      } else {
        done = this.#io.read(descriptor, address, length, at);
      }
      if (done) leases.noteRead(length);
      return done;
    } finally {
      leases.release();
    }
  }

  /**
   * Writes into the page cache.
   *
   * @param address Where the bytes are.
   * @param length How many, above 0.
   * @param offset The first byte.
   * @returns Whether all of them are written. If not, some may be, and the
   *   owner of the device has to be asked.
   */
  write(address: number, length: number, offset: number): boolean {
    const leases = this.#leases;
    if (!leases.isWritable || !leases.use(offset, length)) return false;
    try {
      const { descriptor, at } = leases.lease;
      const done = this.#io.write(descriptor, address, length, at);
      leases.noteWritten(done ? length : 0);
      return done;
    } finally {
      leases.release();
    }
  }
}
