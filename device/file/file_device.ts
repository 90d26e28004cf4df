/**
 * A file or a block device of the operating system as a block device: the one
 * access to a descriptor. All that the event loop writes to a disk passes here.
 *
 * Reads and writes are positional, synchronous and go through the page cache:
 * about a microsecond each when the page is there. Only `fdatasync`
 * (`FileSync`), long zeroing, and `readCold` leave the event loop.
 *
 * @module
 */

import fs from "node:fs";
import { inBytes, VirstorError } from "../../errors.ts";
import {
  type BlockDevice,
  type Completion,
  type DeviceCapabilities,
  DeviceDurations,
  DeviceErrors,
  type Extent,
  type WriteOptions,
  type WriteZeroesOptions,
} from "../block/mod.ts";
import { BlankRanges } from "./blank_ranges.ts";
import type { LentDescriptor, SyncLine } from "../leases/mod.ts";
import { CachedReads } from "./cached_reads.ts";
import type { FileClaim } from "./claim.ts";
import { ColdReads } from "./cold_reads.ts";
import type { FileDeviceOptions } from "./file_device_options.ts";
import { FileLength } from "./file_length.ts";
import { FileHoles } from "./file_holes.ts";
import { FileSync, type FlushObserver } from "./file_sync.ts";
import { lossOf, transferError } from "./files.ts";
import { type HostSpace, hostSpaceOf } from "./host_space.ts";
import type { OpenElsewhere } from "../linux/mod.ts";
import { openFile } from "./open_file.ts";
import { readWhole, writeWhole } from "./transfers.ts";
import { zeroByWriting } from "./zero_writes.ts";

/** An open file, or an open block device. */
export class FileDevice implements BlockDevice {
  /** @internal How long the disk takes. */
  readonly durations: DeviceDurations = new DeviceDurations();
  /** @internal How often the disk has failed. */
  readonly errors: DeviceErrors = new DeviceErrors();
  /** The path that it was opened with. */
  readonly path: string;
  /** @internal How much of the file is used. */
  readonly length: FileLength;
  /** Requests may start and end at any byte. */
  readonly blockSize = 1;
  /** Equal for two paths if and only if they lead to the same file. */
  readonly identity: string;
  /** Whether it lies on a rotating disk; false if unknown. */
  readonly rotational: boolean;
  /**
   * @internal Which other user had it open when it was locked exclusively;
   * `unknown` without such a lock, for a block device, or if it is not known.
   */
  readonly openElsewhere: OpenElsewhere;
  readonly #native: boolean;
  readonly #readOnly: boolean;
  #capabilities: DeviceCapabilities | undefined;
  #descriptor: number;
  readonly #claim: FileClaim;
  readonly #sync: FileSync;
  readonly #cachedReads: CachedReads;
  readonly #coldReads: ColdReads;
  /** Set while `close` waits for what is in flight. */
  #closing: Promise<void> | undefined;
  readonly #holes: FileHoles;
  #blanks: BlankRanges | undefined;

  /**
   * Opens a file or a block device.
   *
   * @param path The path of the file.
   * @param options How to open and lock it.
   * @throws {VirstorError} `not-found`; `invalid` if it is neither a file nor
   *   a block device; `busy` if the lock is taken, naming the holder; `io`.
   */
  constructor(path: string, options: FileDeviceOptions = {}) {
    const { readOnly = false, native = true } = options;
    const file = openFile(path, options);
    const { claim, descriptor, identity, rotational, size } = file;
    [this.path, this.identity, this.rotational] = [path, identity, rotational];
    this.length = new FileLength(descriptor, size, options.size);
    this.openElsewhere = claim.openElsewhere;
    [this.#claim, this.#descriptor] = [claim, descriptor];
    [this.#native, this.#readOnly] = [native, readOnly];
    this.#cachedReads = new CachedReads(
      native,
      (target, offset) => this.read(target, offset),
    );
    this.#holes = new FileHoles(native, this.length);
    this.#coldReads = new ColdReads(
      native,
      (length, offset, cause) => this.#failure("read", length, offset, cause),
      this.durations.reads,
    );
    // Flush once at first: the page cache may hold writes of a killed process.
    this.#sync = new FileSync(
      {
        path,
        size: this.size,
        sync: (ended) => fs.fdatasync(descriptor, ended),
        loss: () => lossOf(descriptor, this.size, native),
      },
      !readOnly,
      this.durations.flushes,
      this.errors,
    );
  }

  /** Bytes that are used of it. */
  get size(): number {
    return this.length.used;
  }

  /** @internal Receives the beginning and the end of each `fdatasync`. */
  get observer(): FlushObserver | undefined {
    return this.#sync.observer;
  }

  set observer(observer: FlushObserver | undefined) {
    this.#sync.observer = observer;
  }

  /**
   * The capabilities of the file. The first use finds them out, by punching a
   * hole past the end: that changes nothing but the time of the file.
   */
  get capabilities(): DeviceCapabilities {
    if (this.#capabilities === undefined) {
      const readOnly = this.#readOnly;
      const isFile = this.identity.startsWith("file");
      const punches = !readOnly && isFile && this.#punch(this.size, 512);
      this.#capabilities = { readOnly, discard: punches, fastZeroes: punches };
    }
    return this.#capabilities;
  }

  /**
   * Lends the descriptor to other threads, until the file is closed.
   *
   * @internal
   * @returns The descriptor; undefined without native calls.
   */
  lend(): LentDescriptor | undefined {
    const descriptor = this.#descriptor;
    // If true by mistake, the thread hands its misses to this device.
    const { mayTell: tellsCached } = this.#cachedReads;
    return this.#native ? { descriptor, tellsCached } : undefined;
  }

  /** Notes that another thread has written. */
  touched(): void {
    this.#sync.wrote();
  }

  /**
   * Lets other threads make the file durable, too, until it is closed.
   *
   * @internal
   * @param line What they and this device share.
   * @returns Whether they may: not without native calls.
   */
  shareSync(line: SyncLine): boolean {
    const isOpen = this.#descriptor >= 0 && this.#closing === undefined;
    return this.#native && isOpen && this.#sync.share(line, this.#descriptor);
  }

  /**
   * Fills `target`.
   *
   * @param target The buffer to fill.
   * @param offset The offset of the first byte.
   * @returns Undefined: the read is done.
   * @throws {VirstorError} `io`, also if the file has become shorter.
   */
  read(target: Uint8Array, offset: number): undefined {
    try {
      readWhole(this.#descriptor, target, offset, this.#native);
    } catch (error) {
      throw this.#failure("read", target.length, offset, error);
    }
  }

  /**
   * Fills the start of `target` with what is in the page cache. Still waits for
   * the disk where the system does not report what is cached, and now and then
   * after many reads that were all cached.
   *
   * @param target The buffer to fill from its start; not empty.
   * @param offset The offset of the first byte.
   * @returns Bytes that were read; {@linkcode readCold} reads the rest.
   * @throws {VirstorError} `io`.
   */
  readCached(target: Uint8Array, offset: number): number {
    return this.#cachedReads.read(this.#descriptor, target, offset);
  }

  /**
   * Fills `target` without blocking the event loop. {@linkcode close} waits for
   * it.
   *
   * @param target The buffer to fill; the caller leaves it alone until then.
   * @param offset The offset of the first byte.
   * @param done Bytes at the start of `target` that {@linkcode readCached} has
   *   read.
   * @returns Rejects with `io`.
   */
  readCold(target: Uint8Array, offset: number, done = 0): Promise<void> {
    // A read that began now could outlive its descriptor.
    if (this.#closing !== undefined || this.#descriptor < 0) {
      const { length } = target;
      return Promise.reject(this.#failure("read", length, offset, "closed"));
    }
    return this.#coldReads.read(this.#descriptor, target, offset, done);
  }

  /**
   * Writes `source` into the page cache.
   *
   * @param source The bytes; the caller's again when the call returns.
   * @param offset The offset of the first byte.
   * @param options Whether the write is durable before it is done.
   * @returns A promise only with `fua`.
   * @throws {VirstorError} `io`; `no-space` if the file system is full.
   */
  write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion {
    this.#sync.wrote();
    try {
      writeWhole(this.#descriptor, source, offset, this.#native);
    } catch (error) {
      throw this.#failure("write", source.length, offset, error);
    }
    return options?.fua === true ? this.flush() : undefined;
  }

  /**
   * Makes earlier writes durable, off the event loop.
   *
   * @returns A promise if there is anything to wait for.
   * @throws {VirstorError} `io`, at every call after the first failure; also if
   *   the file was deleted or cut meanwhile.
   */
  flush(): Completion {
    return this.#sync.flush();
  }

  /**
   * Gives the space of a range back to the file system, where that is possible.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param options Whether the discard is durable before it is done.
   * @returns A promise only with `fua`.
   */
  discard(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion {
    if (length > 0 && this.#punch(offset, length)) this.#sync.wrote();
    return options?.fua === true ? this.flush() : undefined;
  }

  /**
   * Zeroes a range: punches a hole where that is allowed and possible, else
   * writes zeroes.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param options Whether the range keeps its space, whether slow zeroing is
   *   refused, and whether the zeroes are durable before the call is done.
   * @returns A promise with `fua`, or while a long range is written.
   * @throws {VirstorError} `unsupported` with `fastOnly`; `io`.
   */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Completion {
    if (length === 0) return undefined;
    const isDurable = options?.fua === true;
    this.#sync.wrote();
    const done = options?.noHole === true
      ? this.#holes.zeroInPlace(this.#descriptor, offset, length)
      : this.#punch(offset, length);
    if (!done) {
      if (options?.fastOnly === true) {
        throw new VirstorError(
          "unsupported",
          `Cannot zero ${inBytes(length)} of "${this.path}" fast`,
        );
      }
      const pending = zeroByWriting(this, offset, length);
      if (pending !== undefined) {
        return isDurable ? pending.then(() => this.flush()) : pending;
      }
    }
    return isDurable ? this.flush() : undefined;
  }

  /**
   * Finds the next byte that is not in a hole, where the system reports holes.
   *
   * @param offset Where to start.
   * @returns The offset of that byte; the size if there is none; `offset` if
   *   unknown.
   */
  nextData(offset: number): number {
    return this.#holes.nextData(this.#descriptor, offset);
  }

  /**
   * Tells which parts of a range hold data, where the system reports holes.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @param limit Runs that are wanted at most; all unless given.
   * @returns `hole` and `data` in turn; all `data` where nothing is known.
   */
  extents(offset: number, length: number, limit = Infinity): Extent[] {
    return this.#holes.extents(this.#descriptor, offset, length, limit);
  }

  /**
   * The ranges of a file that hold no data, for use until it is closed;
   * undefined for a block device, or if unknown.
   *
   * @internal
   */
  get blanks(): BlankRanges | undefined {
    if (!this.capabilities.discard || this.#descriptor < 0) return undefined;
    this.#blanks ??= new BlankRanges(this.#descriptor);
    return this.#blanks;
  }

  /**
   * Asks the file system for its space, without blocking the event loop.
   *
   * @internal
   * @returns The space; undefined for a block device, or if unknown.
   */
  async hostSpace(): Promise<HostSpace | undefined> {
    const isKnown = this.#native && this.#descriptor >= 0;
    return isKnown ? await hostSpaceOf(this.#descriptor, this) : undefined;
  }

  /**
   * Closes and unlocks the file. Unflushed writes stay in the page cache.
   *
   * @returns A promise while an `fdatasync` or a cold read runs.
   */
  close(): Completion {
    if (this.#closing !== undefined) return this.#closing;
    const syncing = this.#sync.end();
    if (syncing === undefined && this.#coldReads.count === 0) {
      return this.#release();
    }
    const pending = [syncing, this.#coldReads.settle()];
    this.#closing = Promise.allSettled(pending).then(() => this.#release());
    return this.#closing;
  }

  /** Closes the file, at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #release(): undefined {
    if (this.#descriptor >= 0) fs.closeSync(this.#descriptor);
    // Another file could get the same number.
    this.#descriptor = -1;
    this.#claim.release();
  }

  #punch(offset: number, length: number): boolean {
    return this.#holes.punch(this.#descriptor, offset, length);
  }

  #failure(
    action: "read" | "write",
    length: number,
    offset: number,
    cause: unknown,
  ): VirstorError {
    const what = `${action} ${inBytes(length)} at ${offset} of "${this.path}"`;
    const isClosed = this.#descriptor < 0 || this.#closing !== undefined;
    const error = transferError(what, isClosed, cause);
    if (!isClosed && error.code === "io") this.errors[`${action}s`]++;
    return error;
  }
}
