/**
 * The leased part of a device, as another thread reads and writes it. It does
 * only what finishes inline; the thread hands all else to the owner. Besides
 * `FileDevice`, this is the only class that reads and writes its descriptor,
 * and only under a lease.
 *
 * @module
 */

import { CacheWatch } from "./cache_watch.ts";
import type { LeaseMemory } from "./lease_layout.ts";
import { LeaseReader } from "./lease_reader.ts";
import { LeasedFlush } from "./leased_flush.ts";
import { makeDurable } from "./make_durable.ts";
import { NativeBuffer, NativeIo } from "../linux/mod.ts";

/** Bytes of the smallest page of the page cache; a power of two. */
const PAGE_BYTES = 4096;

/** Reads and writes the leased chunks of a device. */
export class LeasedDisk {
  readonly #io: NativeIo;
  readonly #leases: LeaseReader;
  readonly #flushes: LeasedFlush;
  readonly #watch = new CacheWatch();
  /** Whether chunks may begin inside a page. */
  readonly #isSkewed: boolean;
  readonly #byte = new NativeBuffer(1);

  /**
   * Attaches this thread to a lease table.
   *
   * @param memory The memory of the lease table.
   * @param thread Number of this thread, from `Leases.join`.
   * @param io Native calls; several disks of one thread may share them. By
   *   default the disk has its own.
   */
  constructor(
    memory: LeaseMemory,
    thread: number,
    io: NativeIo = new NativeIo(),
  ) {
    this.#io = io;
    this.#leases = new LeaseReader(memory, thread);
    this.#flushes = new LeasedFlush(memory, thread);
    this.#isSkewed = memory.chunkSize % PAGE_BYTES !== 0;
  }

  /**
   * Limits the length of a read or write: to the end of the chunk.
   *
   * @param offset First byte of the request.
   * @returns Bytes, above 0.
   */
  reach(offset: number): number {
    return this.#leases.restOfChunk(offset);
  }

  /**
   * Reads a range of one chunk.
   *
   * @param address Address of the buffer that receives the bytes.
   * @param length Bytes of the range, above 0.
   * @param offset First byte of the range.
   * @returns Whether the buffer holds the whole range. If not, the caller must
   *   hand the read to the owner of the device.
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
      // This read may wait for the disk. The owner never waits for a read.
      done = this.#io.read(descriptor, address, length, at);
    }
    if (!done || !leases.holds()) return false;
    leases.noteRead(length);
    return true;
  }

  /**
   * Writes a range of one chunk into the page cache.
   *
   * @param address Address of the bytes.
   * @param length Bytes of the range, above 0.
   * @param offset First byte of the range.
   * @returns Whether the whole range is written. If not, a part may be written,
   *   and the caller must hand the write to the owner of the device.
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
   * Tells whether a byte lies in a chunk whose lease allows writes.
   *
   * @param offset The byte.
   * @returns Whether the thread can write to the chunk now.
   */
  isLeased(offset: number): boolean {
    return this.#leases.find(offset, 1) && !this.#leases.lease.isReadOnly;
  }

  /**
   * Makes durable what was written to the volume before. Waits for the disk.
   *
   * @returns Whether it is durable. If not, the caller must hand the flush to
   *   the owner of the device.
   */
  flush(): boolean {
    const files = this.#flushes.begin();
    if (typeof files === "string") return false;
    const start = files.length > 0 ? performance.now() : 0;
    let done = 0;
    let isDone = false;
    try {
      done = makeDurable(this.#io, files);
    } finally {
      isDone = this.#flushes.end(done, performance.now() - start);
    }
    if (isDone) this.#leases.noteFlushed();
    return isDone;
  }

  /**
   * Reads the pages that a write covers only in part into the page cache. Else
   * the kernel would read them from the disk during the write, and the owner
   * would wait for that if it withdrew the lease.
   */
  #fetchEnds(offset: number, length: number): void {
    if (!this.#leases.find(offset, length)) return;
    const { descriptor, at, isReadOnly } = this.#leases.lease;
    if (isReadOnly) return;
    const { address } = this.#byte;
    const last = at + length - 1;
    const [head, tail] = [at % PAGE_BYTES, (last + 1) % PAGE_BYTES];
    if (head !== 0) this.#io.read(descriptor, address, 1, at);
    const isSamePage = head !== 0 && last - at < PAGE_BYTES - head;
    if (tail === 0 || isSamePage) return;
    this.#io.read(descriptor, address, 1, last);
  }
}
