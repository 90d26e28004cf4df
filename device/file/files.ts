/**
 * Files of the operating system by name: telling them apart, making them, and
 * errors in one line.
 *
 * @module
 */

import fs from "node:fs";
import { isFaithfulName, messageOf, VirstorError } from "../../errors.ts";
import { missingDirectory } from "./missing_directory.ts";
import {
  type FileState,
  fileState,
  nativeIdentity,
  readSmallFile,
} from "../linux/mod.ts";

/**
 * Tells files apart whatever they are called.
 *
 * @param path Where a file or a block device is.
 * @returns The `identity` that a {@linkcode FileDevice} on it has.
 * @throws {VirstorError} `not-found`, `io`.
 */
export function fileIdentity(path: string): string {
  return identityOf(path, attempt(path, () => fs.statSync(path)));
}

/**
 * Makes a sparse file, durably: the file and its directory entry.
 *
 * @param path Where; nothing may be there.
 * @param size Bytes.
 * @throws {VirstorError} `exists`, `not-found`, `io`.
 */
export function createSparseFile(path: string, size: number): void {
  const missing = missingDirectory(path);
  if (missing !== "") {
    throw new VirstorError(
      "not-found",
      `Cannot create "${path}": ${missing}, only files are made`,
    );
  }
  const descriptor = attempt(path, () => fs.openSync(path, "wx"));
  try {
    attempt(path, () => {
      fs.ftruncateSync(descriptor, size);
      fs.fsyncSync(descriptor);
    });
    const slash = path.lastIndexOf("/");
    syncDirectory(slash < 0 ? "." : path.slice(0, slash) || "/");
  } catch (error) {
    removeFile(path);
    throw error;
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * Gives a file another size. Bytes beyond the new end are gone, new ones read
 * as zeroes. At the end of a symbolic link, the file behind it changes.
 *
 * @param path The file.
 * @param size Bytes.
 * @throws {VirstorError} `not-found`, `io`.
 */
export function setFileSize(path: string, size: number): void {
  attempt(path, () => fs.truncateSync(path, size));
}

/**
 * Removes a file that was made in vain. That it cannot be removed is no news
 * beside what went wrong before.
 *
 * @param path The file.
 */
export function removeFile(path: string): void {
  try {
    fs.unlinkSync(path);
  } catch {
    // It stays, empty.
  }
}

/**
 * Gives a file another name beside its own, durably: `NAME.aside`, or with a
 * number behind it if that exists.
 *
 * @param path The file.
 * @returns The new path.
 * @throws {VirstorError} `not-found`, `io`.
 */
export function putFileAside(path: string): string {
  for (let number = 1;; number++) {
    const aside = `${path}.aside${number === 1 ? "" : `-${number}`}`;
    try {
      // Unlike a rename, this never replaces a file.
      attempt(aside, () => fs.linkSync(path, aside));
    } catch (error) {
      if (error instanceof VirstorError && error.code === "exists") continue;
      throw error;
    }
    attempt(path, () => fs.unlinkSync(path));
    const slash = path.lastIndexOf("/");
    syncDirectory(slash < 0 ? "." : path.slice(0, slash) || "/");
    return aside;
  }
}

function syncDirectory(directory: string): void {
  const descriptor = attempt(directory, () => fs.openSync(directory, "r"));
  try {
    fs.fsyncSync(descriptor);
  } catch (error) {
    // Some file systems make entries durable at once, and know no such call.
    const code = error instanceof Error && "code" in error ? error.code : "";
    if (code === "EINVAL" || code === "ENOTSUP" || code === "ENOSYS") return;
    attempt(directory, () => {
      throw error;
    });
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * Tells files apart by what the system says of them. The runtime rounds inode
 * numbers above 2^53, which overlayfs, FUSE and 9p have; so its word counts
 * only where there are no native calls.
 *
 * @param file The file's path, or its descriptor.
 * @param stat What the runtime says of it.
 * @returns The same for two files if and only if they are the same.
 */
export function identityOf(file: string | number, stat: fs.Stats): string {
  return nativeIdentity(file) ??
    (stat.isBlockDevice()
      ? `device ${deviceNumber(stat.rdev)}`
      : `file ${deviceNumber(stat.dev)}:${stat.ino}`);
}

/** `MAJOR:MINOR`, as `gnu_dev_major` and `gnu_dev_minor` take it apart. */
function deviceNumber(device: number): string {
  const high = Math.floor(device / 2 ** 32);
  const major = ((device >>> 8) & 0xfff) | (high & ~0xfff);
  const minor = (device & 0xff) | ((device >>> 12) & ~0xff);
  return `${major}:${minor}`;
}

/**
 * Refuses what cannot be a disk.
 *
 * @param path Where it is.
 * @param stat What the system says of it.
 * @throws {VirstorError} `invalid` if it is neither a file nor a block device.
 */
export function assertIsDisk(path: string, stat: fs.Stats): void {
  if (stat.isFile() || stat.isBlockDevice()) return;
  throw new VirstorError(
    "invalid",
    `Cannot use "${path}": it is ${
      stat.isDirectory() ? "a directory" : "neither a file nor a block device"
    }`,
  );
}

/**
 * Runs a call of the system and says in one line what it was about.
 *
 * @param path The file.
 * @param call What to do.
 * @returns What it returns.
 * @throws {VirstorError} `invalid` if the path cannot be written as UTF-8,
 *   `not-found`, `exists`, `read-only`, `unsupported`, `io`.
 */
export function attempt<T>(path: string, call: () => T): T {
  refuseUnfaithful(path);
  try {
    return call();
  } catch (error) {
    throw translate(path, error);
  }
}

function refuseUnfaithful(path: string): void {
  if (isFaithfulName(path)) return;
  throw new VirstorError(
    "invalid",
    `Cannot use "${path}": its name is not UTF-8 (or holds U+FFFD, which ` +
      "stands for that), rename it or give it a link with another name",
  );
}

function translate(path: string, error: unknown): VirstorError {
  const options = { cause: error };
  if (error instanceof Deno.errors.NotCapable) {
    return new VirstorError(
      "unsupported",
      `Cannot open "${path}": ${messageOf(error)}`,
      options,
    );
  }
  const code = error instanceof Error && "code" in error ? error.code : "";
  if (code === "ENOENT" || code === "ENOTDIR") {
    const reason = missingDirectory(path) || "there is no such file";
    const message = `Cannot open "${path}": ${reason}`;
    return new VirstorError("not-found", message, options);
  }
  if (code === "EEXIST") {
    const message = `Cannot create "${path}": it exists already`;
    return new VirstorError("exists", message, options);
  }
  if (code === "EROFS") {
    const message = `Cannot write to "${path}": it is on a file system, or a ` +
      "device, that is read-only";
    return new VirstorError("read-only", message, options);
  }
  const message = `Cannot open "${path}": ${messageOf(error)}`;
  return new VirstorError("io", message, options);
}

/**
 * Refuses a block device that takes no writes: the system lets it be opened for
 * writing all the same, and each write would fail.
 *
 * @param path Where it is.
 * @param stat What the system says of it.
 * @throws {VirstorError} `read-only`.
 */
export function assertTakesWrites(path: string, stat: fs.Stats): void {
  if (!stat.isBlockDevice()) return;
  const place = `/sys/dev/block/${deviceNumber(stat.rdev)}/ro`;
  if (!readSmallFile(place).startsWith("1")) return;
  throw new VirstorError(
    "read-only",
    `Cannot open "${path}": the device is read-only, make it take writes ` +
      "(blockdev --setrw)",
  );
}

/**
 * The error of a failed read or write.
 *
 * @param what What could not be done.
 * @param isClosed Whether the file is closed.
 * @param cause What the system said.
 * @returns `no-space` if the file system is full, else `io`.
 */
export function transferError(
  what: string,
  isClosed: boolean,
  cause: unknown,
): VirstorError {
  const code = cause instanceof Error && "code" in cause ? cause.code : "";
  return new VirstorError(
    code === "ENOSPC" || code === "EDQUOT" ? "no-space" : "io",
    `Cannot ${what}: ${isClosed ? "it is closed" : messageOf(cause)}`,
    { cause },
  );
}

/**
 * What happened to an open file meanwhile: data written to a file that was
 * deleted or truncated are not safe, however durable.
 *
 * @param descriptor The file, or a block device.
 * @param size Its bytes when it was opened.
 * @param native Whether to ask at the least cost.
 * @returns What was done, or "".
 */
export function lossOf(
  descriptor: number,
  size: number,
  native: boolean,
): string {
  let state = native ? fileState(descriptor) : undefined;
  try {
    state ??= stateOf(fs.fstatSync(descriptor));
  } catch (error) {
    return `its state cannot be read (${messageOf(error)})`;
  }
  if (state.links === 0) return "the file was deleted";
  const isCut = state.isFile && state.size < size;
  return isCut ? "the file was made shorter" : "";
}

function stateOf(stat: fs.Stats): FileState {
  return { isFile: stat.isFile(), links: stat.nlink, size: stat.size };
}

/**
 * Whether a file is on a disk that turns, as Linux has it.
 *
 * @param stat What the system says of the file, or the block device.
 * @returns False also where that is not known.
 */
export function isRotational(stat: fs.Stats): boolean {
  const device = stat.isBlockDevice() ? stat.rdev : stat.dev;
  const directory = `/sys/dev/block/${deviceNumber(device)}`;
  // A partition is in the directory of its disk.
  return [`${directory}/queue`, `${directory}/../queue`].some((queue) =>
    readSmallFile(`${queue}/rotational`).startsWith("1")
  );
}
