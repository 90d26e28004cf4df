/**
 * What the runtime lacks, from the C library of Linux through Deno's FFI:
 * punching and finding holes, reading and writing ahead, the size of a block
 * device, what became of an open file, and small files that Deno keeps to
 * itself (`/proc`).
 *
 * Everything here is an improvement, never a need: without `--allow-ffi`, or
 * on another system, each function says that it could not, and the caller
 * does without.
 *
 * @module
 */

import { LIBC_NAMES, openLibrary } from "./native_library.ts";
import { NativeWords } from "./native_words.ts";

const SYMBOLS = {
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  posix_fadvise: { parameters: ["i32", "i64", "i64", "i32"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  sync_file_range: {
    parameters: ["i32", "i64", "i64", "u32"],
    result: "i32",
    optional: true,
  },
  fstatfs: {
    parameters: ["i32", "buffer"],
    result: "i32",
    optional: true,
  },
  // The same, in a thread of its own.
  fstatfsLater: {
    name: "fstatfs",
    parameters: ["i32", "buffer"],
    result: "i32",
    nonblocking: true,
    optional: true,
  },
  statx: {
    parameters: ["i32", "buffer", "i32", "u32", "buffer"],
    result: "i32",
    // Older C libraries have none.
    optional: true,
  },
} as const;

/** From `linux/falloc.h`: do not change the file's size. */
const FALLOC_FL_KEEP_SIZE = 0x01;
/** From `linux/falloc.h`: give the range back; it reads as zeroes. */
const FALLOC_FL_PUNCH_HOLE = 0x02;
/** From `linux/falloc.h`: the range reads as zeroes and keeps its space. */
const FALLOC_FL_ZERO_RANGE = 0x10;
/** From `linux/fadvise.h`: begin to read it. */
const POSIX_FADV_WILLNEED = 3;
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** From `linux/fs.h`: begin to write what is dirty. */
const SYNC_FILE_RANGE_WRITE = 2;
/** From `linux/fcntl.h`: the descriptor itself, no path. */
const AT_EMPTY_PATH = 0x1000;
/** From `linux/stat.h`: a part of the mode, the names, the size. */
const STATX_TYPE_NLINK_SIZE = 0x1 | 0x4 | 0x200;
/** From `linux/stat.h`: bytes of a `struct statx`. */
const STATX_BYTES = 256;
/** From `asm-generic/statfs.h`: bytes of a `struct statfs`. */
const STATFS_BYTES = 120;
/** From `linux/stat.h`: the type in a mode, and that of a regular file. */
const [S_IFMT, S_IFREG] = [0o170000, 0o100000];
/** The longest small file that is read, bytes. */
const SMALL_FILE_BYTES = 1 << 20;

let library: Deno.DynamicLibrary<typeof SYMBOLS> | null | undefined;

/** The C library, opened at the first use; null if there is none to be had. */
function libc(): Deno.DynamicLibrary<typeof SYMBOLS> | null {
  if (library === undefined) library = openLibrary(LIBC_NAMES, SYMBOLS);
  return library;
}

/**
 * Gives a range of a file back to the file system; it reads as zeroes
 * afterwards. Durable only after `fdatasync`.
 *
 * @param descriptor An open, writable descriptor.
 * @param offset The first byte.
 * @param length Bytes, above 0; parts of blocks are zeroed.
 * @returns Whether it was done. If not, the range is as it was.
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
 * Makes a range of a file read as zeroes and takes real space for it.
 *
 * @param descriptor An open, writable descriptor.
 * @param offset The first byte.
 * @param length Bytes, above 0.
 * @returns Whether it was done. If not, write zeroes.
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
 * The size of a block device, which `fstat` does not tell.
 *
 * @param descriptor An open descriptor. Its cursor is moved; nobody uses it.
 * @returns Bytes, or -1 if it cannot be found out.
 */
export function blockDeviceSize(descriptor: number): number {
  return seek(descriptor, 0, SEEK_END);
}

/**
 * The next byte of a file that is not in a hole.
 *
 * @param descriptor An open descriptor. Its cursor is moved; nobody uses it.
 * @param offset Where to look from.
 * @returns Its offset, or -1 if there is none or it cannot be found out.
 */
export function nextData(descriptor: number, offset: number): number {
  return seek(descriptor, offset, SEEK_DATA);
}

/**
 * The next byte of a file that is in a hole; the end of the file counts as
 * one.
 *
 * @param descriptor An open descriptor. Its cursor is moved; nobody uses it.
 * @param offset Where to look from.
 * @returns Its offset, or -1 if it cannot be found out.
 */
export function nextHole(descriptor: number, offset: number): number {
  return seek(descriptor, offset, SEEK_HOLE);
}

function seek(descriptor: number, offset: number, whence: number): number {
  const symbols = libc()?.symbols;
  return Number(symbols?.lseek(descriptor, BigInt(offset), whence) ?? -1);
}

/** An open file. */
export interface FileState {
  /** Whether it is a regular file. */
  readonly isFile: boolean;
  /** How many names it has. */
  readonly links: number;
  /** Bytes; 0 if it is no regular file. */
  readonly size: number;
}

const NO_PATH = new Uint8Array(1);
const statx = new DataView(new ArrayBuffer(STATX_BYTES));
const statxBytes = new Uint8Array(statx.buffer);

/**
 * What is to be known of an open file, and nothing else. `fstat` asks for its
 * times, too, and the first write after that has to note the exact time, in
 * place of that of the last tick: were it asked at each flush, each flush would
 * write the inode, which takes as long as the data.
 *
 * @param descriptor An open descriptor.
 * @returns It, or undefined if it cannot be found out.
 */
export function fileState(descriptor: number): FileState | undefined {
  const wanted = STATX_TYPE_NLINK_SIZE;
  const call = libc()?.symbols.statx;
  if (call?.(descriptor, NO_PATH, AT_EMPTY_PATH, wanted, statxBytes) !== 0) {
    return undefined;
  }
  // In turn: mask u32, 12 bytes, links u32, 8 bytes, mode u16, 10, size u64.
  if ((statx.getUint32(0, true) & wanted) !== wanted) return undefined;
  return {
    isFile: (statx.getUint16(28, true) & S_IFMT) === S_IFREG,
    links: statx.getUint32(16, true),
    size: statx.getUint32(44, true) * 2 ** 32 + statx.getUint32(40, true),
  };
}

/** The file system that a file is on. */
export interface FileSystem {
  /** What kind it is: the numbers of `linux/magic.h`. */
  readonly kind: number;
  /** Bytes of its blocks. */
  readonly blockBytes: number;
  /** Bytes that it has in all. */
  readonly totalBytes: number;
  /** Bytes that this process may still take. */
  readonly freeBytes: number;
}

/**
 * What file system a file is on. May wait for a disk, or a server.
 *
 * @param descriptor An open descriptor.
 * @returns It, or undefined if it cannot be found out.
 */
export function fileSystem(descriptor: number): FileSystem | undefined {
  const bytes = new Uint8Array(STATFS_BYTES);
  const done = libc()?.symbols.fstatfs?.(descriptor, bytes) === 0;
  return done ? decodeFileSystem(bytes) : undefined;
}

/**
 * What file system a file is on, found out while others go on.
 *
 * @param descriptor A descriptor that stays open until then.
 * @returns It, or undefined if it cannot be found out. Never rejected; pending
 *   for as long as a disk, or a server, does not answer.
 */
export async function fileSystemLater(
  descriptor: number,
): Promise<FileSystem | undefined> {
  const bytes = new Uint8Array(STATFS_BYTES);
  const done = await libc()?.symbols.fstatfsLater?.(descriptor, bytes) === 0;
  return done ? decodeFileSystem(bytes) : undefined;
}

/**
 * In turn, 8 bytes each: kind, block, blocks, free ones, free ones for all; 16
 * bytes, identity 8, longest name 8, then the unit of the blocks.
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

/** The arguments offset and length. */
const range = new NativeWords(2);

/**
 * Begins to read a range into the page cache, and waits for nothing.
 *
 * @param descriptor An open descriptor.
 * @param offset The first byte.
 * @param length Bytes, above 0.
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
 * Begins to write to the disk what is dirty of a file. It does not wait for
 * that, only for a place in the queue of the disk. Nothing is durable by it.
 *
 * @param descriptor An open descriptor.
 */
export function startWriteBack(descriptor: number): void {
  // From the first byte; no bytes mean all.
  const [start, bytes] = [range.signed(0, 0), range.signed(1, 0)];
  const call = libc()?.symbols.sync_file_range;
  call?.(descriptor, start, bytes, SYNC_FILE_RANGE_WRITE);
}

/**
 * The text of a small file that Deno's own calls refuse to open, as those in
 * `/proc` are.
 *
 * @param path An absolute path.
 * @returns Its text, or "" if it cannot be read.
 */
export function readSmallFile(path: string): string {
  const symbols = libc()?.symbols;
  if (symbols === undefined) return "";
  const descriptor = symbols.open(new TextEncoder().encode(path + "\0"), 0);
  if (descriptor < 0) return "";
  const buffer = new Uint8Array(SMALL_FILE_BYTES);
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
