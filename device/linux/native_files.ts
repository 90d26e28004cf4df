/**
 * What Linux tells of files that the runtime does not: inode numbers in full,
 * what else has a file open, directories that Deno keeps to itself (`/proc`,
 * `/sys`). Through Deno's FFI; where that is not to be had, each function says
 * that it could not.
 *
 * @module
 */

import { LIBC_NAMES, openLibrary } from "./native_library.ts";

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  close: { parameters: ["i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // The same function, with a number for its last argument.
  fcntlNumber: {
    name: "fcntl",
    parameters: ["i32", "i32", "i64"],
    result: "i32",
  },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  readlink: { parameters: ["buffer", "buffer", "usize"], result: "isize" },
  getdents64: {
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    // Older C libraries have none.
    optional: true,
  },
  statx: {
    parameters: ["i32", "buffer", "i32", "u32", "buffer"],
    result: "i32",
    optional: true,
  },
} as const;

/** From `linux/fcntl.h`: flags of `open`. */
const [O_RDONLY, O_EXCL, O_CLOEXEC] = [0, 0o200, 0o2000000];
/** From `linux/fcntl.h`: the working directory; the descriptor itself. */
const [AT_FDCWD, AT_EMPTY_PATH] = [-100, 0x1000];
/** From `linux/fcntl.h`: what is known will do, no server is asked. */
const AT_STATX_DONT_SYNC = 0x4000;
/** From `linux/stat.h`: type and inode number. */
const STATX_TYPE_INO = 0x1 | 0x100;
const STATX_BYTES = 256;
/** From `linux/stat.h`: the type in a mode, and that of a block device. */
const [S_IFMT, S_IFBLK] = [0o170000, 0o060000];
/** From `linux/fcntl.h`: commands of `fcntl`. */
const [F_SETSIG, F_OFD_GETLK, F_SETLEASE] = [10, 36, 1024];
/** From `linux/fcntl.h`: kinds of locks and leases. */
const [F_RDLCK, F_WRLCK, F_UNLCK] = [0, 1, 2];
/** From `linux/fcntl.h`: operations of `flock`. */
const [LOCK_SH, LOCK_EX, LOCK_NB] = [1, 2, 4];
/** A signal that nothing happens by unless it is asked for. */
const SIGURG = 23;
const [EAGAIN, EBUSY] = [11, 16];
/** Bytes of entries that are read of a directory at a time. */
const ENTRIES_BYTES = 32_768;
/** The longest path that links hold, bytes. */
const PATH_BYTES = 4096;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let library: Libc | null | undefined;

/** The C library, opened at the first use; null if there is none to be had. */
function libc(): Libc | null {
  if (library === undefined) {
    library = openLibrary(LIBC_NAMES, SYMBOLS)?.symbols ?? null;
  }
  return library;
}

function errno(symbols: Libc): number {
  const address = symbols.__errno_location();
  return address === null ? 0 : new Deno.UnsafePointerView(address).getInt32();
}

function zeroEnded(path: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(path + "\0");
}

const statx = new DataView(new ArrayBuffer(STATX_BYTES));
const statxBytes = new Uint8Array(statx.buffer);
const NO_PATH = new Uint8Array(1);

/**
 * Tells files apart, inode numbers above 2^53 too.
 *
 * @param file A path, or an open descriptor. No server is asked anew, so a
 *   file system that hangs does not make this hang.
 * @returns `device MAJOR:MINOR` for a block device, else
 *   `file MAJOR:MINOR:INODE`, in decimal; undefined if it cannot be found out.
 */
export function nativeIdentity(file: string | number): string | undefined {
  const call = libc()?.statx;
  const [at, path, flags] = typeof file === "string"
    ? [AT_FDCWD, zeroEnded(file), AT_STATX_DONT_SYNC] as const
    : [file, NO_PATH, AT_STATX_DONT_SYNC | AT_EMPTY_PATH] as const;
  if (call?.(at, path, flags, STATX_TYPE_INO, statxBytes) !== 0) {
    return undefined;
  }
  const mask = statx.getUint32(0, true);
  if ((mask & STATX_TYPE_INO) !== STATX_TYPE_INO) return undefined;
  // mode u16 at 28, inode u64 at 32, rdev at 128 and dev at 136: two u32 each.
  const numbersAt = (at: number) =>
    `${statx.getUint32(at, true)}:${statx.getUint32(at + 4, true)}`;
  return (statx.getUint16(28, true) & S_IFMT) === S_IFBLK
    ? `device ${numbersAt(128)}`
    : `file ${numbersAt(136)}:${statx.getBigUint64(32, true)}`;
}

/**
 * Locks a file with `flock`, at once or not at all.
 *
 * @param descriptor The file; the lock ends when it is closed.
 * @param isExclusive Whether no other lock may be on it.
 * @returns 0, or the number of the system's error; undefined if it cannot be
 *   done this way.
 */
export function lockNative(
  descriptor: number,
  isExclusive: boolean,
): number | undefined {
  const symbols = libc();
  if (symbols === null) return undefined;
  const operation = (isExclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
  return symbols.flock(descriptor, operation) === 0 ? 0 : errno(symbols);
}

/** How other open descriptors use a file. */
export type OpenElsewhere =
  | "no" // nothing else has it open
  | "reading" // something has it open, but not for writing
  | "writing" // something has it open for writing, or an exclusive lock on it
  | "locked" // something has a lock on it; more cannot be found out this way
  | "unknown"; // it cannot be found out this way

/**
 * Finds out whether anything else has a file open: any process, of this
 * container or another one, or the kernel (loop devices, swap). The kernel
 * grants a lease only if nothing has.
 *
 * @param descriptor A regular file, open for reading only, and the only one
 *   that this process has of it.
 * @returns How; `locked` or `unknown` also for the file of another user, and on
 *   a file system without leases.
 */
export function openElsewhere(descriptor: number): OpenElsewhere {
  const native = libc();
  if (native === null) return "unknown";
  if (isLocked(native, descriptor, F_RDLCK)) return "writing";
  // To which a lease is refused: its owner alone gets one.
  const unknown = isLocked(native, descriptor, F_WRLCK) ? "locked" : "unknown";
  // Should another process open it in this moment, a signal comes that must
  // not be the usual one, which would end this process.
  native.fcntlNumber(descriptor, F_SETSIG, BigInt(SIGURG));
  const grants = (kind: number): boolean | undefined => {
    const result = native.fcntlNumber(descriptor, F_SETLEASE, BigInt(kind));
    const code = result === 0 ? 0 : errno(native);
    if (result === 0) native.fcntlNumber(descriptor, F_SETLEASE, UNLOCK);
    return code === 0 ? true : code === EAGAIN ? false : undefined;
  };
  const isAlone = grants(F_WRLCK);
  if (isAlone === undefined) return unknown;
  if (isAlone) return "no";
  const isUnwritten = grants(F_RDLCK);
  if (isUnwritten === undefined) return unknown;
  return isUnwritten ? "reading" : "writing";
}

const UNLOCK = BigInt(F_UNLCK);

/** Whether another open file has a lock that excludes one of a kind. */
function isLocked(symbols: Libc, descriptor: number, kind: number): boolean {
  // A `struct flock`: type and whence i16 each, start and length i64, pid i32.
  const lock = new DataView(new ArrayBuffer(32));
  lock.setInt16(0, kind, true);
  const bytes = new Uint8Array(lock.buffer);
  if (symbols.fcntl(descriptor, F_OFD_GETLK, bytes) !== 0) return false;
  return lock.getInt16(0, true) !== F_UNLCK;
}

/**
 * Claims a block device: as long as the claim is open, nothing else that
 * claims it (a mount, swap, another claim) gets it or a part of it.
 *
 * @param path A block device.
 * @returns The claim's descriptor; `busy` if it, or a partition of it, is
 *   claimed; undefined if it cannot be found out.
 */
export function claimBlockDevice(path: string): number | "busy" | undefined {
  const symbols = libc();
  if (symbols === null) return undefined;
  const flags = O_RDONLY | O_EXCL | O_CLOEXEC;
  const descriptor = symbols.open(zeroEnded(path), flags);
  if (descriptor >= 0) return descriptor;
  return errno(symbols) === EBUSY ? "busy" : undefined;
}

/**
 * Closes a descriptor that a function of this module has opened.
 *
 * @param descriptor Which.
 */
export function closeNative(descriptor: number): void {
  libc()?.close(descriptor);
}

/**
 * The names in a directory, of `/proc` and `/sys` too.
 *
 * @param path An absolute path.
 * @returns The names without `.` and `..`; none if it cannot be read.
 */
export function listNames(path: string): string[] {
  const symbols = libc();
  const getdents = symbols?.getdents64;
  if (symbols === null || !getdents) return [];
  const descriptor = symbols.open(zeroEnded(path), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return [];
  const names: string[] = [];
  const bytes = new Uint8Array(ENTRIES_BYTES);
  const view = new DataView(bytes.buffer);
  for (;;) {
    const size = BigInt(bytes.length);
    const length = Number(getdents(descriptor, bytes, size));
    if (length <= 0) break;
    // An entry: inode u64, offset i64, its length u16, type u8, name, zero.
    for (let at = 0; at < length; at += view.getUint16(at + 16, true)) {
      const name = bytes.subarray(at + 19, bytes.indexOf(0, at + 19));
      names.push(new TextDecoder().decode(name));
    }
  }
  symbols.close(descriptor);
  return names.filter((name) => name !== "." && name !== "..");
}

/**
 * Where a symbolic link leads, of `/proc` and `/sys` too.
 *
 * @param path An absolute path.
 * @returns What it holds, or "" if it cannot be read.
 */
export function linkTarget(path: string): string {
  const buffer = new Uint8Array(PATH_BYTES);
  const size = BigInt(buffer.length);
  const length = libc()?.readlink(zeroEnded(path), buffer, size) ?? -1;
  return new TextDecoder().decode(
    buffer.subarray(0, Math.max(0, Number(length))),
  );
}
