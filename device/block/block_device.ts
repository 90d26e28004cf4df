/**
 * The block device: the interface of files, memory, slices, volumes of pools
 * and remote disks. The NBD server serves any block device and knows none of
 * these kinds.
 *
 * A method either finishes before it returns, and returns `undefined`, or
 * returns a promise. It fails by throwing or by rejecting. The caller writes
 *
 * ```ts ignore
 * const pending = device.read(target, offset);
 * if (pending !== undefined) await pending;
 * ```
 *
 * because a read from the page cache takes about a microsecond, and a needless
 * `await` takes as long again. Only this interface may return such a union.
 *
 * @module
 */

import type { Leases } from "../leases/mod.ts";

/** The end of a request: `undefined` if it is done, else a promise of it. */
export type Completion = undefined | Promise<void>;

/**
 * Drops a completion and its error, because the caller already reports another
 * error. No rejection stays unhandled.
 *
 * @param pending The completion that the caller does not wait for.
 */
export function abandon(pending: Completion): void {
  pending?.catch(() => {});
}

/** The capabilities of a device; fixed while the device is open. */
export interface DeviceCapabilities {
  /** Whether writes, discards and zeroes fail with code `read-only`. */
  readonly readOnly: boolean;
  /** Whether `discard` frees space. */
  readonly discard: boolean;
  /** Whether `writeZeroes` with `fastOnly` can succeed. */
  readonly fastZeroes: boolean;
}

/** Options of a write. */
export interface WriteOptions {
  /**
   * Force unit access: the write is durable before it is done. Default: false.
   */
  readonly fua?: boolean;
  /**
   * Cancels the write, for instance when its client disconnects. A write that
   * waits for space then fails with code `cancelled` and writes no more; a
   * write in flight may be done or not.
   */
  readonly signal?: AbortSignal;
}

/** Bytes that were written, where they can be read again. */
export interface KeptBytes {
  /**
   * Reads some of them.
   *
   * @param target The buffer to fill.
   * @param offset Where the first byte was written.
   * @returns The end of the read.
   * @throws {VirstorError} `io`.
   */
  read(target: Uint8Array, offset: number): Completion;
}

/** Options of a write of zeroes. */
export interface WriteZeroesOptions extends WriteOptions {
  /** Whether to keep or allocate space for the range. Default: false. */
  readonly noHole?: boolean;
  /**
   * Whether to fail with code `unsupported` if the device cannot zero the range
   * faster than a write would. Default: false.
   */
  readonly fastOnly?: boolean;
}

/** The kind of a run of bytes. `data` is always a valid answer. */
export type ExtentKind =
  | "data" // allocated; may hold any bytes
  | "hole" // not allocated; reads as zeroes
  | "zero"; // allocated; reads as zeroes

/** A run of bytes of one kind. */
export interface Extent {
  /** Bytes, above 0. */
  readonly length: number;
  /** Kind of the run. */
  readonly kind: ExtentKind;
}

/**
 * A disk: `size` bytes, addressed by byte offset.
 *
 * *Requires:* offsets and lengths are whole numbers of bytes up to 2^53 - 1,
 * multiples of `blockSize`, and inside `size`. The layer that takes requests
 * from outside checks this once (in NBD: the request gate); devices assert it.
 *
 * *Ensures:* two overlapping writes that are in flight at once take effect in
 * some order, block by block.
 */
export interface BlockDevice {
  /** Size of the device, bytes. */
  readonly size: number;
  /** Smallest unit of a request, bytes, a power of two. */
  readonly blockSize: number;
  /** The capabilities of the device. */
  readonly capabilities: DeviceCapabilities;
  /**
   * Backpressure: a promise while the device holds as many delayed writes as it
   * may, else `undefined`. A client whose write is delayed (see `waits`) should
   * send no further requests until the promise resolves. It never rejects.
   */
  readonly congestion?: Promise<void> | undefined;
  /**
   * Number of writes that were delayed for lack of space since the device was
   * opened. A call increases it if its request is delayed. A device without
   * this counter may delay any write for which it returns a promise.
   */
  readonly waits?: number | undefined;

  /**
   * Fills the whole of `target`, or fails; never short.
   *
   * *Requires:* the caller leaves `target` alone until the read is done, because
   * the device may write to it.
   *
   * @param target Buffer that receives the bytes; its length is the length of
   *   the read.
   * @param offset First byte of the range.
   * @returns The end of the read.
   */
  read(target: Uint8Array, offset: number): Completion;

  /**
   * Writes the whole of `source`, or fails; then a part may be written.
   *
   * @param source The bytes. The caller may reuse the buffer when the call
   *   returns, even if it returns a promise: a device that does not finish
   *   inline copies the bytes.
   * @param offset First byte of the range.
   * @param options Options of the write.
   * @returns The end of the write.
   */
  write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion;

  /**
   * Makes every write durable that was done before this call.
   *
   * @returns The end of the flush.
   */
  flush(): Completion;

  /**
   * Indicates that the bytes are no longer needed. The device may ignore this:
   * afterwards each block reads as before, or as zeroes.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, any number.
   * @param options Options of the write.
   * @returns The end of the discard.
   */
  discard(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion;

  /**
   * Makes the bytes read as zeroes, or fails.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, any number.
   * @param options Options of the write of zeroes.
   * @returns The end of the write.
   */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Completion;

  /**
   * Divides a range into runs of one kind, in ascending order and without gaps.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, above 0.
   * @param limit Runs that the caller can use; the device may return more, or
   *   stop after that many. Default: no limit.
   * @returns At least one run. The runs cover the whole range, unless the limit
   *   cut them off.
   */
  extents(offset: number, length: number, limit?: number): Extent[];

  /**
   * Tells whether a range starts with a hole, at hardly any cost. The server
   * asks before each READ, so as to describe holes instead of sending zeroes.
   * The call allocates nothing, accesses no file and never fails, not even on a
   * closed device.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, above 0.
   * @returns Length of the hole at `offset`, bytes; `length` or more if the
   *   whole range is a hole; 0 if the range starts with data or this is not
   *   known.
   */
  leadingHole?(offset: number, length: number): number;

  /**
   * Leases for other threads; `undefined` if the device offers none.
   *
   * @internal
   */
  readonly leases?: Leases | undefined;

  /**
   * Closes the device and releases its resources. Idempotent; all other calls
   * fail afterwards.
   *
   * @returns The end of the close.
   */
  close(): Completion;
}
