/**
 * Opening and locking a file or a block device.
 *
 * @module
 */

import fs from "node:fs";
import { VirstorError } from "../../errors.ts";
import { blockDeviceSize } from "../linux/mod.ts";
import { FileClaim } from "./claim.ts";
import type { FileDeviceOptions } from "./file_device_options.ts";
import {
  assertIsDisk,
  assertTakesWrites,
  attempt,
  identityOf,
  isRotational,
} from "./files.ts";

/** An open file, or an open block device. */
export interface OpenFile {
  /** The lock; its holder releases it. */
  readonly claim: FileClaim;
  /** The descriptor; its holder closes it. */
  readonly descriptor: number;
  /** Equal for two paths if and only if they lead to the same file. */
  readonly identity: string;
  /** Whether it lies on a rotating disk; false if unknown. */
  readonly rotational: boolean;
  /** Bytes. */
  readonly size: number;
}

/**
 * Opens and locks a file or a block device.
 *
 * @param path The path of the file.
 * @param options How to open and lock it.
 * @returns The open file.
 * @throws {VirstorError} `not-found`; `invalid` if it is neither a file nor a
 *   block device; `read-only`; `busy` if the lock is taken, naming the holder;
 *   `io`.
 */
export function openFile(path: string, options: FileDeviceOptions): OpenFile {
  const { readOnly = false, native = true, lock = "none" } = options;
  // Look before the open: opening a FIFO would wait for ever.
  const seen = attempt(path, () => fs.statSync(path));
  assertIsDisk(path, seen);
  // Lock before the open for writing: so only other processes are found
  // writing.
  const claim = new FileClaim(path, seen, { lock, readOnly, native });
  let descriptor = -1;
  try {
    // After the lock: that a device is mounted matters more.
    if (!readOnly) assertTakesWrites(path, seen);
    descriptor = attempt(
      path,
      () => fs.openSync(path, readOnly ? "r" : "r+"),
    );
    return { claim, descriptor, ...examine(path, descriptor, claim, native) };
  } catch (error) {
    if (descriptor >= 0) fs.closeSync(descriptor);
    claim.release();
    throw error;
  }
}

/**
 * The size of an open file or block device.
 *
 * @param descriptor The descriptor.
 * @param stat What `fstat` says of it, if that is known.
 * @returns Bytes; below 0 for a block device whose size is not known.
 */
export function sizeOf(
  descriptor: number,
  stat: fs.Stats = fs.fstatSync(descriptor),
): number {
  return stat.isFile() ? stat.size : blockDeviceSize(descriptor);
}

function examine(
  path: string,
  descriptor: number,
  claim: FileClaim,
  native: boolean,
): Pick<OpenFile, "identity" | "rotational" | "size"> {
  const stat = attempt(path, () => fs.fstatSync(descriptor));
  assertIsDisk(path, stat);
  const identity = identityOf(descriptor, stat);
  if (identity !== claim.identity) {
    throw new VirstorError(
      "busy",
      `Cannot open "${path}": another file was put in its place just now, ` +
        "try again",
    );
  }
  const size = sizeOf(descriptor, stat);
  if (size < 0) {
    throw new VirstorError(
      "unsupported",
      `Cannot open "${path}": the size of a block device is known on ` +
        "Linux with --allow-ffi only",
    );
  }
  return { identity, rotational: native && isRotational(stat), size };
}
