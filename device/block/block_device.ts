/**
 * The one interface that carries the system: a file, memory, a slice, a pool
 * and a remote disk are all block devices, and the NBD server serves any of
 * them without knowing which.
 *
 * Every method finishes at once (`undefined`) or later (a promise), and fails
 * by throwing or by rejecting. The caller writes
 *
 * ```ts ignore
 * const pending = device.read(target, offset);
 * if (pending !== undefined) await pending;
 * ```
 *
 * because a hit in the page cache costs about a microsecond, and a needless
 * `await` as much again. This union is allowed here and nowhere else.
 *
 * @module
 */

import type { Leases } from "../leases/mod.ts";

/** Done already, or done when the promise is. */
export type Completion = undefined | Promise<void>;

/**
 * Nobody waits for a completion any more, and nobody is told if it fails:
 * another error is on its way already.
 *
 * @param pending What is not waited for.
 */
export function abandon(pending: Completion): void {
  pending?.catch(() => {});
}

/** What a device can do; fixed while it is open. */
export interface DeviceCapabilities {
  /** Writes, discards and zeroes are refused with code `read-only`. */
  readonly readOnly: boolean;
  /** `discard` gives space back. */
  readonly discard: boolean;
  /** `writeZeroes` with `fastOnly` can succeed. */
  readonly fastZeroes: boolean;
}

/** How a write is to be done. */
export interface WriteOptions {
  /** Force unit access: durable before it is done. */
  readonly fua?: boolean;
  /**
   * Aborted when the one who asked is gone. A write that is still waiting
   * then fails with code `cancelled` and writes no more; one that is under
   * way may be done or not.
   */
  readonly signal?: AbortSignal;
}

/** How zeroes are to be written. */
export interface WriteZeroesOptions extends WriteOptions {
  /** Keep (or take) real space for the range, so that later writes fit. */
  readonly noHole?: boolean;
  /** Fail with code `unsupported` if it is no faster than writing. */
  readonly fastOnly?: boolean;
}

/** What is known of a run of bytes. `data` is always a legal answer. */
export type ExtentKind =
  | "data" // may hold anything, and has its space
  | "hole" // reads as zeroes, and has no space of its own yet
  | "zero"; // reads as zeroes, and has its space

/** A run of bytes of one kind. */
export interface Extent {
  /** Bytes, above 0. */
  readonly length: number;
  /** What is known of them. */
  readonly kind: ExtentKind;
}

/**
 * A disk: `size` bytes, addressed by byte offset.
 *
 * Offsets and lengths are bytes, whole numbers up to 2^53 - 1, multiples of
 * `blockSize`, and inside `size`: whoever takes requests from outside checks
 * them once (in NBD: the request gate); below, they are asserted.
 *
 * Two writes that overlap and are under way at once end in some order, block
 * by block.
 */
export interface BlockDevice {
  /** Bytes. */
  readonly size: number;
  /** The smallest unit of a request, bytes, a power of two. */
  readonly blockSize: number;
  /** What it can do. */
  readonly capabilities: DeviceCapabilities;
  /**
   * Set while the device holds as many writes that wait for space as it may. A
   * client whose write has begun to wait (see `waits`) should send no more
   * until this promise resolves; it never rejects.
   */
  readonly congestion?: Promise<void> | undefined;
  /**
   * How many writes have begun to wait for space since the device was opened.
   * It differs before and after a call whose request waits. Absent where that
   * is not counted: then every promise of `write` counts as such a wait.
   */
  readonly waits?: number | undefined;

  /**
   * Fills the whole of `target`, or fails; never short.
   *
   * @param target Where the bytes go; its length is the length of the read.
   *   The device may write to it until it is done.
   * @param offset The first byte.
   */
  read(target: Uint8Array, offset: number): Completion;

  /**
   * Writes the whole of `source`, or fails; then some of it may be written.
   *
   * @param source The bytes. They are the caller's again as soon as the call
   *   returns, also when it returns a promise: a device that cannot finish at
   *   once takes a copy.
   * @param offset The first byte.
   * @param options How.
   */
  write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion;

  /** Makes durable every write that was done before this call. */
  flush(): Completion;

  /**
   * Tells that the bytes are no longer needed. An indication, not a request:
   * afterwards they read as they did, or as zeroes.
   *
   * @param offset The first byte.
   * @param length How many, any number.
   * @param options How.
   */
  discard(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion;

  /**
   * Makes the bytes read as zeroes. Binding.
   *
   * @param offset The first byte.
   * @param length How many, any number.
   * @param options How.
   */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Completion;

  /**
   * What is known of a range, in order and without gaps.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param limit Runs that are wanted at most; there may be more.
   * @returns At least one run; together they are `length` long, unless the
   *   limit cut them off.
   */
  extents(offset: number, length: number, limit?: number): Extent[];

  /**
   * Whether a range starts with a hole, if that can be told at next to no
   * cost: asked before reads, so that zeroes need not be sent. It allocates
   * nothing, looks at no file, and never fails, also when the device is closed.
   *
   * @param offset The first byte.
   * @param length How many, above 0.
   * @returns Bytes from `offset` on that are a hole: read as zeroes, and have
   *   no space of their own; more than `length` means all of them, 0 that they
   *   are data or that nothing is known.
   */
  leadingHole?(offset: number, length: number): number;

  /** What other threads may do by themselves, if that can be. */
  readonly leases?: Leases | undefined;

  /** Gives everything back. May be called again; all else fails afterwards. */
  close(): Completion;
}
