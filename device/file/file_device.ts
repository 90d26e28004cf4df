/**
 * A file or a block device of the operating system as a block device: the one
 * door to a descriptor. Whoever wants to know what reaches the disk reads this
 * file.
 *
 * Reads and writes are positional, synchronous and go through the page cache:
 * about a microsecond each when the page is there. Only `fdatasync`
 * (`FileSync`), zeroes written at length, and `readCold` leave the event loop.
 *
 * @module
 */

import fs from "node:fs";
import { inBytes, VirstorError } from "../../errors.ts";
import {
  type BlockDevice,
  type Completion,
  type DeviceCapabilities,
  type Extent,
  turns,
  type WriteOptions,
  type WriteZeroesOptions,
} from "../block/mod.ts";
import { BlankRanges } from "./blank_ranges.ts";
import { CacheWatch, type LentDescriptor } from "../leases/mod.ts";
import { FileClaim } from "./claim.ts";
import { ColdReads } from "./cold_reads.ts";
import { KnownData, runsOf } from "./file_runs.ts";
import type { FileDeviceOptions } from "./file_device_options.ts";
import { FileSync, type FlushObserver, type LentSync } from "./file_sync.ts";
import {
  assertIsDisk,
  attempt,
  identityOf,
  isRotational,
  transferError,
} from "./files.ts";
import {
  blockDeviceSize,
  fileSystemLater,
  nextData,
  nextHole,
  type OpenElsewhere,
  punchHole,
  readNoWait,
  zeroRange,
} from "../linux/mod.ts";
import { readWhole, writeWhole } from "./transfers.ts";

/** Zeroes are written in pieces of this many bytes. */
const ZERO_PIECE_BYTES = 1 << 20;
/** So many zero bytes are written in a turn of the event loop. */
const ZERO_TURN_BYTES = 4 << 20;

/** So often it is tried to find out whether the system tells what is cached. */
const TELL_TRIES = 3;
const zeroes = new Uint8Array(ZERO_PIECE_BYTES);

/** A file or a block device, open. */
export class FileDevice implements BlockDevice {
  /** Where it was found. */
  readonly path: string;
  /** Bytes at the time of opening. */
  readonly size: number;
  /** Requests may start and end at any byte. */
  readonly blockSize = 1;
  /** The same for two paths if and only if they lead to the same file. */
  readonly identity: string;
  /** Whether it is on a disk that turns; false where that is not known. */
  readonly rotational: boolean;
  /**
   * What else had it open when it was locked exclusively; `unknown` if it was
   * not, for a block device, and where the system does not tell.
   */
  readonly openElsewhere: OpenElsewhere;
  readonly #native: boolean;
  readonly #readOnly: boolean;
  #capabilities: DeviceCapabilities | undefined;
  #descriptor: number;
  readonly #claim: FileClaim;
  readonly #sync: FileSync;
  readonly #coldReads: ColdReads;
  /** Set while it waits for what is under way, and then releases all. */
  #closing: Promise<void> | undefined;
  readonly #watch = new CacheWatch();
  readonly #known = new KnownData();
  /** Whether it can be told what is in the page cache, once that is known. */
  #tellsCached: boolean | undefined;
  #blanks: BlankRanges | undefined;

  /**
   * Opens a file or a block device.
   *
   * @param path Where it is.
   * @param options How.
   * @throws {VirstorError} `not-found`; `invalid` if it is neither a file nor
   *   a block device; `busy` if the lock is taken, naming the holder; `io`.
   */
  constructor(path: string, options: FileDeviceOptions = {}) {
    const readOnly = options.readOnly ?? false;
    this.path = path;
    this.#native = options.native ?? true;
    this.#tellsCached = this.#native ? undefined : false;
    this.#coldReads = new ColdReads(
      this.#native,
      (length, offset, cause) => this.#failure("read", length, offset, cause),
    );
    this.#readOnly = readOnly;
    // A look before the open: opening a FIFO would wait for ever.
    const seen = attempt(path, () => fs.statSync(path));
    assertIsDisk(path, seen);
    const { lock = "none" } = options;
    const native = this.#native;
    // Before it is open for writing, so that only others can be found writing.
    this.#claim = new FileClaim(path, seen, { lock, readOnly, native });
    this.openElsewhere = this.#claim.openElsewhere;
    this.#descriptor = -1;
    try {
      this.#descriptor = attempt(
        path,
        () => fs.openSync(path, readOnly ? "r" : "r+"),
      );
      const descriptor = this.#descriptor;
      const stat = attempt(path, () => fs.fstatSync(descriptor));
      assertIsDisk(path, stat);
      const isFile = stat.isFile();
      this.identity = identityOf(descriptor, stat);
      if (this.identity !== this.#claim.identity) {
        throw new VirstorError(
          "busy",
          `Cannot open "${path}": another file was put in its place just now, ` +
            "try again",
        );
      }
      this.rotational = this.#native && isRotational(stat);
      this.size = isFile ? stat.size : blockDeviceSize(this.#descriptor);
      if (this.size < 0) {
        throw new VirstorError(
          "unsupported",
          `Cannot open "${path}": the size of a block device is known on ` +
            "Linux with --allow-ffi only",
        );
      }
      // There may be something at first: what a process that was killed has
      // written is in the page cache only.
      this.#sync = new FileSync(
        { path, size: this.size, native: this.#native },
        !readOnly,
      );
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Told of each `fdatasync`. */
  get observer(): FlushObserver | undefined {
    return this.#sync.observer;
  }

  set observer(observer: FlushObserver | undefined) {
    this.#sync.observer = observer;
  }

  /**
   * What it can do. Found out when first asked, since trying to punch a hole
   * changes the time of the file, if nothing else: past its end.
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
   * Lends the descriptor to other threads, until it is closed.
   *
   * @returns It, or undefined if it is to do without native calls.
   */
  lend(): LentDescriptor | undefined {
    const descriptor = this.#descriptor;
    // Also unknown counts as told: a miss is asked of this thread then.
    const tellsCached = this.#tellsCached !== false;
    return this.#native ? { descriptor, tellsCached } : undefined;
  }

  /** Notes that another thread has written. */
  touched(): void {
    this.#sync.wrote();
  }

  /** Whether another thread may run the next `fdatasync`. */
  get maySyncElsewhere(): boolean {
    return this.#descriptor >= 0 && this.#closing === undefined &&
      this.#sync.maySyncElsewhere;
  }

  /**
   * Begins an `fdatasync` that another thread runs; `close` waits for it.
   *
   * *Requires*: {@linkcode maySyncElsewhere}.
   *
   * @returns The `fdatasync`; undefined if nothing was written since the last
   *   one.
   */
  syncElsewhere(): LentSync | undefined {
    return this.#sync.syncElsewhere(this.#descriptor);
  }

  /**
   * Fills `target`.
   *
   * @param target Where the bytes go.
   * @param offset The first byte.
   * @returns Nothing: it is done.
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
   * Fills the beginning of `target` with what is in the page cache. It may
   * wait for the disk all the same: where the system does not tell, and at
   * times, after many reads that did not have to.
   *
   * @param target Where the bytes go; not empty.
   * @param offset The first byte.
   * @returns Bytes; the rest is for {@linkcode readCold}.
   * @throws {VirstorError} `io`.
   */
  readCached(target: Uint8Array, offset: number): number {
    if (this.#tellsCached === false || !this.#watch.isToLook()) {
      this.read(target, offset);
      return target.length;
    }
    const count = readNoWait(this.#descriptor, target, offset);
    if (count < target.length) {
      this.#tellsCached ??= this.#findOutTells(offset);
      if (!this.#tellsCached) return this.readCached(target, offset);
      this.#watch.missed();
    }
    return Math.max(0, count);
  }

  /**
   * Whether the file system tells what is in the page cache: what was just read
   * is there, unless it was dropped at once.
   */
  #findOutTells(offset: number): boolean {
    const byte = new Uint8Array(1);
    for (let tries = 0; tries < TELL_TRIES; tries++) {
      this.read(byte, offset);
      if (readNoWait(this.#descriptor, byte, offset) > 0) return true;
    }
    return false;
  }

  /**
   * Fills `target`, off the event loop. {@linkcode close} waits for it.
   *
   * @param target Where the bytes go; nobody else's until then.
   * @param offset The first byte.
   * @param done Bytes of the beginning that {@linkcode readCached} has read.
   * @returns Rejected with `io`.
   */
  readCold(target: Uint8Array, offset: number, done = 0): Promise<void> {
    // A read that began now could outlive its descriptor.
    if (this.#closing !== undefined || this.#descriptor < 0) {
      const { length } = target;
      return Promise.reject(
        this.#failure("read", length, offset, "it is closed"),
      );
    }
    return this.#coldReads.read(this.#descriptor, target, offset, done);
  }

  /**
   * Writes `source` into the page cache.
   *
   * @param source The bytes.
   * @param offset The first byte.
   * @param options How.
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
   * @throws {VirstorError} `io`, for ever after the first failure; also if the
   *   file was deleted or cut off meanwhile.
   */
  flush(): Completion {
    return this.#sync.flush(this.#descriptor);
  }

  /**
   * Gives the range back to the file system, where that can be done.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param options How.
   * @returns A promise only with `fua`.
   */
  discard(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion {
    if (length > 0 && this.#punch(offset, length)) {
      this.#sync.wrote();
    }
    return options?.fua === true ? this.flush() : undefined;
  }

  /**
   * Makes the range read as zeroes: a hole if it may be one and can, else
   * zeroes written.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param options How.
   * @returns A promise with `fua`, or if zeroes are written at length.
   * @throws {VirstorError} `unsupported` with `fastOnly`; `io`.
   */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Completion {
    if (length === 0) return undefined;
    this.#sync.wrote();
    const done = options?.noHole === true
      ? this.#zeroInPlace(offset, length)
      : this.#punch(offset, length);
    if (!done) {
      if (options?.fastOnly === true) {
        throw new VirstorError(
          "unsupported",
          `Cannot zero ${inBytes(length)} of "${this.path}" fast`,
        );
      }
      if (length > ZERO_TURN_BYTES) {
        return this.#writeZeroesAtLength(offset, length, options);
      }
      this.#writeZeroPieces(offset, length);
    }
    return options?.fua === true ? this.flush() : undefined;
  }

  /**
   * The next byte that is in no hole, where the system tells.
   *
   * @param offset Where to look from.
   * @returns Its offset; the size if there is none, `offset` if unknown.
   */
  nextData(offset: number): number {
    if (!this.#native) return offset;
    const data = nextData(this.#descriptor, offset);
    if (data >= 0) return data;
    // No data up to the end, or no way to know.
    return nextHole(this.#descriptor, offset) < 0 ? offset : this.size;
  }

  /**
   * Tells data and holes apart, where the system does.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param limit Runs that are wanted at most.
   * @returns `hole` and `data` in turn; all `data` where nothing is known.
   */
  extents(offset: number, length: number, limit = Infinity): Extent[] {
    const known = this.#known;
    return runsOf(offset, offset + length, limit, {
      nextData: (at) => known.endOf(at) < 0 ? this.nextData(at) : at,
      nextHole: (at) => {
        if (!this.#native) return -1;
        const end = known.endOf(at);
        if (end >= 0) return end;
        const hole = nextHole(this.#descriptor, at);
        known.add(at, hole);
        return hole;
      },
    });
  }

  /**
   * What of it holds no data, if it is a file of which that can be told.
   *
   * @returns For use until it is closed; undefined otherwise.
   */
  get blanks(): BlankRanges | undefined {
    if (!this.capabilities.discard || this.#descriptor < 0) return undefined;
    this.#blanks ??= new BlankRanges(this.#descriptor);
    return this.#blanks;
  }

  /**
   * How much room the file system has on which this file is, found out while
   * others go on.
   *
   * @returns Bytes that this process may take; undefined for a block device,
   *   or if it is not known. Pending for as long as the file system is silent.
   */
  async hostFree(): Promise<number | undefined> {
    const isFile = this.identity.startsWith("file");
    if (!isFile || !this.#native || this.#descriptor < 0) return undefined;
    return (await fileSystemLater(this.#descriptor))?.freeBytes;
  }

  /**
   * Closes and unlocks. What was written but not flushed stays in the page
   * cache.
   *
   * @returns A promise while an `fdatasync` or a cold read runs.
   */
  close(): Completion {
    if (this.#closing !== undefined) return this.#closing;
    const syncing = this.#sync.pending;
    if (syncing === undefined && this.#coldReads.count === 0) {
      return this.#release();
    }
    const pending = [syncing, this.#coldReads.settle()];
    this.#closing = Promise.allSettled(pending).then(() => this.#release());
    return this.#closing;
  }

  #release(): undefined {
    if (this.#descriptor >= 0) fs.closeSync(this.#descriptor);
    // A stale number could be another file's by now.
    this.#descriptor = -1;
    this.#claim.release();
  }

  #punch(offset: number, length: number): boolean {
    if (!this.#native) return false;
    this.#known.remove(offset, offset + length);
    return punchHole(this.#descriptor, offset, length);
  }

  #zeroInPlace(offset: number, length: number): boolean {
    if (!this.#native) return false;
    // The system may take it for a hole although it has its space.
    this.#known.remove(offset, offset + length);
    return zeroRange(this.#descriptor, offset, length);
  }

  #writeZeroPieces(offset: number, length: number): void {
    for (let done = 0; done < length; done += ZERO_PIECE_BYTES) {
      const piece = Math.min(ZERO_PIECE_BYTES, length - done);
      this.write(zeroes.subarray(0, piece), offset + done);
    }
  }

  async #writeZeroesAtLength(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Promise<void> {
    for (let done = 0; done < length; done += ZERO_TURN_BYTES) {
      const piece = Math.min(ZERO_TURN_BYTES, length - done);
      this.#writeZeroPieces(offset + done, piece);
      await turns.next(this);
    }
    if (options?.fua === true) await this.flush();
  }

  #failure(
    action: string,
    length: number,
    offset: number,
    cause: unknown,
  ): VirstorError {
    const what = `${action} ${inBytes(length)} at ${offset} of "${this.path}"`;
    return transferError(what, this.#descriptor < 0, cause);
  }
}
