/**
 * Calls of Linux that the runtime lacks: punch and find holes, read ahead and
 * start write-back, the size of a block device, the state of an open file, file
 * systems, and small files that Deno refuses to read (`/proc`). They use the C
 * library through Deno's FFI.
 *
 * Every call is optional: without `--allow-ffi`, or on another system, each
 * function returns the value that its documentation names for that case, and
 * the caller works without the call.
 *
 * @module
 */

import {
  LIBC_NAMES,
  openLibrary,
  STATX,
  STATX_BYTES,
} from "./native_library.ts";
import { NativeWords } from "./native_words.ts";

const SYMBOLS = {
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  // The same function, off the event loop.
  fallocateLater: {
    name: "fallocate",
    parameters: ["i32", "i32", "i64", "i64"],
    result: "i32",
    nonblocking: true,
  },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  posix_fadvise: { parameters: ["i32", "i64", "i64", "i32"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  fstatfs: {
    parameters: ["i32", "buffer"],
    result: "i32",
    optional: true,
  },
  // The same function, off the event loop.
  fstatfsLater: {
    name: "fstatfs",
    parameters: ["i32", "buffer"],
    result: "i32",
    nonblocking: true,
    optional: true,
  },
  statx: STATX,
} as const;

/** From `linux/falloc.h`: do not change the file's size. */
const FALLOC_FL_KEEP_SIZE = 0x01;
/** From `linux/falloc.h`: deallocate the range; it reads as zeroes. */
const FALLOC_FL_PUNCH_HOLE = 0x02;
/** From `linux/falloc.h`: zero the range and allocate it. */
const FALLOC_FL_ZERO_RANGE = 0x10;
/** From `linux/fadvise.h`: start reading the range into the page cache. */
const POSIX_FADV_WILLNEED = 3;
/** From `linux/fs.h`: seek to the end; to the next data; to the next hole. */
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** From `linux/fcntl.h`: use the descriptor itself; there is no path. */
const AT_EMPTY_PATH = 0x1000;
/** From `linux/stat.h`: request the file type, the link count, the size. */
const STATX_TYPE_NLINK_SIZE = 0x1 | 0x4 | 0x200;
/** From `linux/stat.h`: request the space; do not ask a file server for it. */
const [STATX_BLOCKS, AT_STATX_DONT_SYNC] = [0x400, 0x4000];
/** From `linux/stat.h`: bytes of a block. */
const STATX_BLOCK_BYTES = 512;
/** From `asm-generic/statfs.h`: bytes of a `struct statfs`. */
const STATFS_BYTES = 120;
/** From `linux/stat.h`: mask of the type in a mode; type of a regular file. */
const [S_IFMT, S_IFREG] = [0o170000, 0o100000];
/** Bytes of a small file that are read at most. */
const SMALL_FILE_BYTES = 1 << 20;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | null | undefined;

/** The C library, opened at the first use; null if it cannot be opened. */
function libc(): Deno.DynamicLibrary<typeof SYMBOLS> | null {
  if (library === undefined) library = openLibrary(LIBC_NAMES, SYMBOLS);
  return library;
}

/**
 * Punches a hole: deallocates a range of a file, which then reads as zeroes.
 * The kernel zeroes blocks that the range covers only in part. The hole is
 * durable after `fdatasync`.
 *
 * @param descriptor A descriptor open for writing.
 * @param offset First byte of the range.
 * @param length Bytes of the range, above 0.
 * @returns Whether the hole was punched. If not, the range is unchanged.
 */
export function punchHole(
  descriptor: number,
  offset: number,
  length: number,
): boolean {
  const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  return fallocate(descriptor, mode, offset, length);
}

/**
 * Makes a range of a file read as zeroes and allocates it.
 *
 * @param descriptor A descriptor open for writing.
 * @param offset First byte of the range.
 * @param length Bytes of the range, above 0.
 * @returns Whether the range was zeroed. If not, the caller writes zeroes.
 */
export function zeroRange(
  descriptor: number,
  offset: number,
  length: number,
): boolean {
  const mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  return fallocate(descriptor, mode, offset, length);
}

function fallocate(
  descriptor: number,
  mode: number,
  offset: number,
  length: number,
): boolean {
  const range = [BigInt(offset), BigInt(length)] as const;
  return libc()?.symbols.fallocate(descriptor, mode, ...range) === 0;
}

/**
 * Allocates a range of a file, off the event loop. What it holds stays.
 *
 * *Requires:* the descriptor stays open until the promise is fulfilled.
 *
 * @param descriptor A descriptor open for writing.
 * @param offset First byte of the range.
 * @param length Bytes of the range, above 0.
 * @returns Whether the range has its space now.
 */
export async function allocateLater(
  descriptor: number,
  offset: number,
  length: number,
): Promise<boolean> {
  const call = libc()?.symbols.fallocateLater;
  const range = [BigInt(offset), BigInt(length)] as const;
  return await call?.(descriptor, FALLOC_FL_KEEP_SIZE, ...range) === 0;
}

/**
 * Determines the size of a block device, which `fstat` does not report.
 *
 * @param descriptor Descriptor of the device. The call moves its cursor, which
 *   no caller uses.
 * @returns Bytes; -1 if the call fails or is not available.
 */
export function blockDeviceSize(descriptor: number): number {
  return seek(descriptor, 0, SEEK_END);
}

/**
 * Finds the next byte of a file that is not in a hole.
 *
 * @param descriptor Descriptor of the file. The call moves its cursor, which no
 *   caller uses.
 * @param offset Byte to search from.
 * @returns Offset of the byte; -1 if there is no data up to the end, or the
 *   call fails or is not available.
 */
export function nextData(descriptor: number, offset: number): number {
  return seek(descriptor, offset, SEEK_DATA);
}

/**
 * Finds the next byte of a file that is in a hole. The end of the file counts
 * as a hole.
 *
 * @param descriptor Descriptor of the file. The call moves its cursor, which no
 *   caller uses.
 * @param offset Byte to search from.
 * @returns Offset of the byte; -1 if the call fails or is not available.
 */
export function nextHole(descriptor: number, offset: number): number {
  return seek(descriptor, offset, SEEK_HOLE);
}

function seek(descriptor: number, offset: number, whence: number): number {
  const symbols = libc()?.symbols;
  return Number(symbols?.lseek(descriptor, BigInt(offset), whence) ?? -1);
}

/** The state of an open file. */
export interface FileState {
  /** Whether the file is a regular file. */
  readonly isFile: boolean;
  /** Number of hard links; 0 after the file was deleted. */
  readonly links: number;
  /** Size of a regular file, bytes; 0 for a block device. */
  readonly size: number;
}

const NO_PATH = new Uint8Array(1);
const statx = new DataView(new ArrayBuffer(STATX_BYTES));
const statxBytes = new Uint8Array(statx.buffer);

/**
 * Determines the state of an open file without its times. `fstat` asks for the
 * times, too; the next write must then record an exact time stamp instead of
 * the one of the last tick. With an `fstat` at each flush, each flush would
 * write the inode, which takes as long as the data.
 *
 * @param descriptor Descriptor of the file.
 * @returns The state; `undefined` if the call fails or is not available.
 */
export function fileState(descriptor: number): FileState | undefined {
  const wanted = STATX_TYPE_NLINK_SIZE;
  const call = libc()?.symbols.statx;
  if (call?.(descriptor, NO_PATH, AT_EMPTY_PATH, wanted, statxBytes) !== 0) {
    return undefined;
  }
  // `struct statx`: mask u32 at 0, links u32 at 16, mode u16 at 28, size u64 at
  // 40.
  if ((statx.getUint32(0, true) & wanted) !== wanted) return undefined;
  return {
    isFile: (statx.getUint16(28, true) & S_IFMT) === S_IFREG,
    links: statx.getUint32(16, true),
    size: statx.getUint32(44, true) * 2 ** 32 + statx.getUint32(40, true),
  };
}

/** The space of a file. */
export interface FileUsage {
  /** The device of its file system. */
  readonly device: string;
  /** Bytes that are allocated for the file. */
  readonly allocatedBytes: number;
}

/**
 * Determines how much space a file has, without waiting for a file server.
 *
 * @param descriptor Descriptor of the file.
 * @returns The space; `undefined` if the call fails or is not available.
 */
export function fileUsage(descriptor: number): FileUsage | undefined {
  const flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  const call = libc()?.symbols.statx;
  const result = call?.(descriptor, NO_PATH, flags, STATX_BLOCKS, statxBytes);
  if (result !== 0 || (statx.getUint32(0, true) & STATX_BLOCKS) === 0) {
    return undefined;
  }
  // `struct statx`: blocks u64 at 48, major and minor number u32 at 136, 140.
  const blocks = Number(statx.getBigUint64(48, true));
  const [major, minor] = [136, 140].map((at) => statx.getUint32(at, true));
  return {
    device: `${major}:${minor}`,
    allocatedBytes: blocks * STATX_BLOCK_BYTES,
  };
}

/** The file system that stores a file. */
export interface FileSystem {
  /** Kind of the file system: a magic number of `linux/magic.h`. */
  readonly kind: number;
  /** Block size, bytes. */
  readonly blockBytes: number;
  /** Total size, bytes. */
  readonly totalBytes: number;
  /** Bytes that this process may still allocate. */
  readonly freeBytes: number;
}

/**
 * Determines the file system that stores a file. The call may wait for a disk
 * or a file server, and blocks the event loop meanwhile.
 *
 * @param descriptor Descriptor of the file.
 * @returns The file system; `undefined` if the call fails or is not available.
 */
export function fileSystem(descriptor: number): FileSystem | undefined {
  const bytes = new Uint8Array(STATFS_BYTES);
  const done = libc()?.symbols.fstatfs?.(descriptor, bytes) === 0;
  return done ? decodeFileSystem(bytes) : undefined;
}

/**
 * Determines the file system that stores a file, off the event loop.
 *
 * *Requires:* the descriptor stays open until the promise is fulfilled.
 *
 * @param descriptor Descriptor of the file.
 * @returns The file system; `undefined` if the call fails or is not available.
 *   The promise never rejects. It is pending while a disk or a file server does
 *   not respond.
 */
export async function fileSystemLater(
  descriptor: number,
): Promise<FileSystem | undefined> {
  const bytes = new Uint8Array(STATFS_BYTES);
  const done = await libc()?.symbols.fstatfsLater?.(descriptor, bytes) === 0;
  return done ? decodeFileSystem(bytes) : undefined;
}

/**
 * Decodes a `struct statfs`, fields of 8 bytes: kind at 0, block size at 8,
 * blocks at 16, free blocks for users at 32, fragment size (the unit of the
 * block counts) at 72.
 */
function decodeFileSystem({ buffer }: Uint8Array): FileSystem {
  const view = new DataView(buffer);
  const number = (at: number) => Number(view.getBigUint64(at, true));
  const blockBytes = number(8);
  const unit = number(72) || blockBytes;
  return {
    kind: number(0),
    blockBytes,
    totalBytes: number(16) * unit,
    freeBytes: number(32) * unit,
  };
}

/** The arguments offset and length of a call. */
const range = new NativeWords(2);

/**
 * Starts reading a range into the page cache, without waiting.
 *
 * @param descriptor Descriptor of the file.
 * @param offset First byte of the range.
 * @param length Bytes of the range, above 0.
 */
export function readAhead(
  descriptor: number,
  offset: number,
  length: number,
): void {
  const [start, bytes] = [range.signed(0, offset), range.signed(1, length)];
  libc()?.symbols.posix_fadvise(descriptor, start, bytes, POSIX_FADV_WILLNEED);
}

/**
 * Reads a small file that Deno refuses to open, such as one in `/proc`.
 *
 * @param path Absolute path of the file.
 * @param limit Bytes to read at most; default 1 MiB.
 * @returns The text; "" if the file cannot be read.
 */
export function readSmallFile(
  path: string,
  limit: number = SMALL_FILE_BYTES,
): string {
  const symbols = libc()?.symbols;
  if (symbols === undefined) return "";
  const descriptor = symbols.open(new TextEncoder().encode(path + "\0"), 0);
  if (descriptor < 0) return "";
  const buffer = new Uint8Array(limit);
  let length = 0;
  while (length < buffer.length) {
    const rest = buffer.subarray(length);
    const count = Number(symbols.read(descriptor, rest, BigInt(rest.length)));
    if (count <= 0) break;
    length += count;
  }
  symbols.close(descriptor);
  return new TextDecoder().decode(buffer.subarray(0, length));
}
