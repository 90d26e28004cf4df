/**
 * The space of the file system under a file: what is free, and what the file
 * may still take of it.
 *
 * @module
 */

import fs from "node:fs";
import { inBytes, VirstorError } from "../../errors.ts";
import { allocateLater, fileSystemLater, fileUsage } from "../linux/mod.ts";
import { attempt } from "./files.ts";

/** The space of the file system under a file. */
export interface HostSpace {
  /** Equal for two files of the same file system. */
  readonly fileSystem: string;
  /** Bytes that this process may still allocate. */
  readonly freeBytes: number;
  /** Bytes of the file system. */
  readonly totalBytes: number;
  /** Bytes of the file that have no space yet. */
  readonly promisedBytes: number;
}

/** Bytes that are allocated in one call. */
const PIECE_BYTES = 2 ** 30;

/**
 * Asks for the space of a file system, without blocking the event loop.
 *
 * *Requires:* the descriptor stays open until the promise is fulfilled.
 *
 * @param descriptor A file.
 * @param file Its size, bytes, and its identity.
 * @returns The space; undefined for a block device, or if unknown. Never
 *   rejects.
 */
export async function hostSpaceOf(
  descriptor: number,
  { size, identity }: { readonly size: number; readonly identity: string },
): Promise<HostSpace | undefined> {
  if (!identity.startsWith("file")) return undefined;
  const found = await fileSystemLater(descriptor);
  const usage = fileUsage(descriptor);
  // File systems that do not count their space (some of FUSE) report zeroes.
  if (found === undefined || found.totalBytes === 0) return undefined;
  if (usage === undefined) return undefined;
  return {
    fileSystem: usage.device,
    freeBytes: found.freeBytes,
    totalBytes: found.totalBytes,
    promisedBytes: Math.max(0, size - usage.allocatedBytes),
  };
}

/**
 * Asks for the space of the file system of a directory.
 *
 * @param directory The directory.
 * @returns The space; undefined if unknown.
 * @throws {VirstorError} `not-found`, `io`.
 */
export async function hostSpaceAt(
  directory: string,
): Promise<HostSpace | undefined> {
  const descriptor = attempt(directory, () => fs.openSync(directory, "r"));
  try {
    return await hostSpaceOf(descriptor, { size: 0, identity: "file" });
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * Allocates the space of a whole file, durably. What the file holds stays.
 *
 * @param path The file.
 * @throws {VirstorError} `no-space` if the file system has less; `unsupported`
 *   if it allocates nothing ahead, and without native calls.
 */
export async function allocateFile(path: string): Promise<void> {
  const descriptor = attempt(path, () => fs.openSync(path, "r+"));
  try {
    const { size } = fs.fstatSync(descriptor);
    const file = { size, identity: "file" };
    const space = await hostSpaceOf(descriptor, file);
    if (space !== undefined && space.promisedBytes > space.freeBytes) {
      throw noSpace(path, space.promisedBytes, space.freeBytes);
    }
    for (let at = 0; at < size; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, size - at);
      if (await allocateLater(descriptor, at, length)) continue;
      const left = await hostSpaceOf(descriptor, file);
      if (left !== undefined && left.freeBytes < length) {
        throw noSpace(path, left.promisedBytes, left.freeBytes);
      }
      throw new VirstorError(
        "unsupported",
        `Cannot allocate "${path}": its file system cannot set space aside, ` +
          "leave out --preallocate",
      );
    }
    attempt(path, () => fs.fsyncSync(descriptor));
  } finally {
    fs.closeSync(descriptor);
  }
}

function noSpace(path: string, needed: number, free: number): VirstorError {
  return new VirstorError(
    "no-space",
    `Cannot allocate "${path}": it needs ${inBytes(needed)} and its file ` +
      `system has ${inBytes(free)} free`,
  );
}
