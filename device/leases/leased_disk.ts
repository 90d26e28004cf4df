/**
 * The part of a device that is leased, as another thread reads and writes it:
 * what can be done at once, and nothing else. The second door to a descriptor,
 * beside `FileDevice`: open for as long as a lease is used.
 *
 * @module
 */

import { CacheWatch } from "./cache_watch.ts";
import type { LeaseMemory } from "./lease_layout.ts";
import { LeaseReader } from "./lease_reader.ts";
import { type LentFile, type LentResult, makeDurable } from "./lent_flush.ts";
import { NativeBuffer, NativeIo } from "../linux/mod.ts";

/** Bytes of a page of the page cache, at least; a power of two. */
const PAGE_BYTES = 4096;

/** What is leased of a device. */
export class LeasedDisk {
  readonly #io: NativeIo;
  readonly #leases: LeaseReader;
  readonly #watch = new CacheWatch();
  /** Whether chunks begin at any byte of a page. */
  readonly #isSkewed: boolean;
  readonly #byte = new NativeBuffer(1);

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
    this.#isSkewed = memory.chunkSize % PAGE_BYTES !== 0;
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
    if (!leases.find(offset, length)) return false;
    const { descriptor, tellsCached, at } = leases.lease;
    let done: boolean;
    if (tellsCached && this.#watch.isToLook()) {
      const count = this.#io.readNoWait(descriptor, address, length, at);
      done = count === length;
      if (!done) this.#watch.missed();
    } else {
      // This may wait for the disk; the owner does not wait for this.
      done = this.#io.read(descriptor, address, length, at);
    }
    if (!done || !leases.holds()) return false;
    leases.noteRead(length);
    return true;
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
    if (!leases.isWritable) return false;
    if (this.#isSkewed || ((offset | length) & (PAGE_BYTES - 1)) !== 0) {
      this.#fetchEnds(offset, length);
    }
    if (!leases.use(offset, length)) return false;
    try {
      const { descriptor, at } = leases.lease;
      const done = this.#io.write(descriptor, address, length, at);
      leases.noteWritten(done ? length : 0);
      return done;
    } finally {
      leases.release();
    }
  }

  /**
   * Tells whether a byte lies in a chunk that is leased.
   *
   * @param offset The byte.
   * @returns Whether it can be written to now.
   */
  isLeased(offset: number): boolean {
    return this.#leases.find(offset, 1);
  }

  /**
   * Carries out a flush that the owner has lent. Waits for the disk.
   *
   * @param files What is to be made durable.
   * @returns What became of it.
   */
  flush(files: readonly LentFile[]): LentResult {
    return makeDurable(this.#io, files);
  }

  /**
   * Has the pages of which a write covers a part in the page cache before it
   * begins: the system reads them from the disk, and the owner would wait.
   */
  #fetchEnds(offset: number, length: number): void {
    if (!this.#leases.find(offset, length)) return;
    const { descriptor, at } = this.#leases.lease;
    const { address } = this.#byte;
    const last = at + length - 1;
    const [head, tail] = [at % PAGE_BYTES, (last + 1) % PAGE_BYTES];
    if (head !== 0) this.#io.read(descriptor, address, 1, at);
    const isSamePage = head !== 0 && last - at < PAGE_BYTES - head;
    if (tail === 0 || isSamePage) return;
    this.#io.read(descriptor, address, 1, last);
  }
}
