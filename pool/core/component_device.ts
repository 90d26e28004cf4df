/**
 * What a component is kept on: a block device with what the pool needs beside.
 *
 * @module
 */

import {
  type BlankRanges,
  FileDevice,
  type FileDeviceOptions,
  type FlushObserver,
} from "../../device/file/mod.ts";
import type { BlockDevice, Completion } from "../../device/block/mod.ts";
import type { LentDescriptor } from "../../device/leases/mod.ts";
import type { OpenElsewhere } from "../../device/linux/mod.ts";
import { assert } from "../../errors.ts";

/** What a component is kept on. */
export interface ComponentDevice extends BlockDevice {
  /** Where it was found. */
  readonly path: string;
  /** The same for two devices if and only if they are the same file. */
  readonly identity: string;
  /** Whether it is on a disk that turns, if that is known. */
  readonly rotational?: boolean;
  /**
   * What else had it open when it was locked exclusively; absent if nothing can
   * have.
   */
  readonly openElsewhere?: OpenElsewhere;
  /** Told when what was written becomes durable. */
  observer: FlushObserver | undefined;
  /**
   * The next byte that is in no hole, where the system tells.
   *
   * @param offset Where to look from.
   * @returns Its offset; the size if there is none, `offset` if unknown.
   */
  nextData?(offset: number): number;
  /**
   * Fills the beginning of `target` with what is there without waiting.
   *
   * @param target Where the bytes go; not empty.
   * @param offset The first byte.
   * @returns Bytes; the rest is for `readCold`, which is there too then.
   */
  readCached?(target: Uint8Array, offset: number): number;
  /**
   * Fills `target`, while others go on. `close` waits for it.
   *
   * @param target Where the bytes go.
   * @param offset The first byte.
   * @param done Bytes of the beginning that `readCached` has read.
   * @returns Rejected with `io`.
   */
  readCold?(target: Uint8Array, offset: number, done?: number): Promise<void>;
  /**
   * Lends its descriptor to other threads, who use it as long as they have
   * leases.
   *
   * @returns It, if there is one.
   */
  lend?(): LentDescriptor | undefined;
  /** Others have written to what was lent: there is something to flush. */
  touched?(): void;
  /**
   * How much room its file system has, found out while others go on.
   *
   * @returns Bytes, or undefined if that is not known.
   */
  hostFree?(): Promise<number | undefined>;
  /** What of it holds no data, where that can be told. */
  readonly blanks?: Blanks | undefined;
}

/** What of a device holds no data. */
export type Blanks = Pick<BlankRanges, "isBlank" | "widen">;

/** What is done to chunks: each request lies inside one of them. */
export type ChunkDevice = Pick<
  BlockDevice,
  "read" | "write" | "discard" | "writeZeroes"
>;

/** Opens what a component is kept on; tests put faulty devices here. */
export type OpenDevice = (
  path: string,
  options: FileDeviceOptions,
) => ComponentDevice;

/**
 * The usual {@linkcode OpenDevice}: a file or a block device.
 *
 * @param path Where it is.
 * @param options How to open and lock it.
 * @returns The open device.
 */
export function openFileDevice(
  path: string,
  options: FileDeviceOptions,
): ComponentDevice {
  return new FileDevice(path, options);
}

/**
 * Asserts that a component has finished a short request at once: the write path
 * is synchronous.
 *
 * @param pending What the component's device returned.
 */
export function finished(pending: Completion): void {
  assert(pending === undefined, "components finish short requests at once");
}
