/**
 * Calls of Linux about files that the runtime lacks: exact inode numbers, what
 * else has a file open, directories that Deno refuses to read (`/proc`,
 * `/sys`). They use Deno's FFI; without it each function returns the value that
 * its documentation names for that case.
 *
 * @module
 */

import {
  LIBC_NAMES,
  openLibrary,
  STATX,
  STATX_BYTES,
} from "./native_library.ts";

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  close: { parameters: ["i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // The same function with an integer as its last argument.
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
    // Older C libraries lack the symbol.
    optional: true,
  },
  statx: STATX,
} as const;

/** From `linux/fcntl.h`: flags of `open`. */
const [O_RDONLY, O_EXCL, O_CLOEXEC] = [0, 0o200, 0o2000000];
/** From `linux/fcntl.h`: path relative to the working directory; no path. */
const [AT_FDCWD, AT_EMPTY_PATH] = [-100, 0x1000];
/** From `linux/fcntl.h`: use cached attributes, ask no file server. */
const AT_STATX_DONT_SYNC = 0x4000;
/** From `linux/stat.h`: request the file type and the inode number. */
const STATX_TYPE_INO = 0x1 | 0x100;
/** From `linux/stat.h`: mask of the type in a mode; type of a block device. */
const [S_IFMT, S_IFBLK] = [0o170000, 0o060000];
/** From `linux/fcntl.h`: commands of `fcntl`. */
const [F_SETSIG, F_OFD_GETLK, F_SETLEASE] = [10, 36, 1024];
/** From `linux/fcntl.h`: kinds of locks and leases. */
const [F_RDLCK, F_WRLCK, F_UNLCK] = [0, 1, 2];
/** From `linux/fcntl.h`: operations of `flock`. */
const [LOCK_SH, LOCK_EX, LOCK_NB] = [1, 2, 4];
/** From `signal.h`: a signal whose default action is to do nothing. */
const SIGURG = 23;
/** From `asm-generic/errno-base.h`. */
const [EAGAIN, EBUSY] = [11, 16];
/** Bytes of the buffer for directory entries. */
const ENTRIES_BYTES = 32_768;
/** From `linux/limits.h`: bytes of the longest target of a link. */
const PATH_BYTES = 4096;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let library: Libc | null | undefined;

/** The C library, opened at the first use; null if it cannot be opened. */
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
 * Identifies a file, also one with an inode number above 2^53. The call uses
 * cached attributes, so a file server that hangs does not block it.
 *
 * @param file A path, or an open descriptor.
 * @returns `device MAJOR:MINOR` for a block device, else
 *   `file MAJOR:MINOR:INODE`, in decimal; `undefined` if the call fails or is
 *   not available.
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
  // `struct statx`: mode u16 at 28, inode u64 at 32, rdev at 128 and dev at
  // 136, each as two u32 (major, minor).
  const numbersAt = (at: number) =>
    `${statx.getUint32(at, true)}:${statx.getUint32(at + 4, true)}`;
  return (statx.getUint16(28, true) & S_IFMT) === S_IFBLK
    ? `device ${numbersAt(128)}`
    : `file ${numbersAt(136)}:${statx.getBigUint64(32, true)}`;
}

/**
 * Locks a file with `flock`, without waiting. Closing the descriptor releases
 * the lock.
 *
 * @param descriptor Descriptor of the file.
 * @param isExclusive True for an exclusive lock, false for a shared one.
 * @returns 0 if the file is locked, else the `errno`; `undefined` if the call
 *   is not available.
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
  | "no" // no other descriptor
  | "reading" // other descriptors, none of them for writing
  | "writing" // a descriptor for writing, or an exclusive lock
  | "locked" // a lock; whether for writing is not known
  | "unknown"; // not known

/**
 * Finds out whether another descriptor of a file is open: in a process of this
 * or another container, or in the kernel (loop devices, swap). It asks the
 * kernel for a file lease, which the kernel refuses then, and gives the lease
 * back.
 *
 * *Requires:* the file is a regular file, the descriptor is open for reading
 * only, and this process has no other descriptor of the file.
 *
 * @param descriptor Descriptor of the file.
 * @returns The other use. `locked` or `unknown` for a file of another user, on
 *   a file system without leases, and without native calls.
 */
export function openElsewhere(descriptor: number): OpenElsewhere {
  const native = libc();
  if (native === null) return "unknown";
  if (isLocked(native, descriptor, F_RDLCK)) return "writing";
  // The answer where the kernel refuses a lease for another reason: only the
  // file's owner gets one.
  const unknown = isLocked(native, descriptor, F_WRLCK) ? "locked" : "unknown";
  // If another process opens the file while the lease is held, the kernel sends
  // a signal. The default, SIGIO, would end this process.
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

/** Whether another descriptor has a lock that conflicts with a lock of `kind`. */
function isLocked(symbols: Libc, descriptor: number, kind: number): boolean {
  // A `struct flock`: type and whence i16 each, start and length i64, pid i32.
  const lock = new DataView(new ArrayBuffer(32));
  lock.setInt16(0, kind, true);
  const bytes = new Uint8Array(lock.buffer);
  if (symbols.fcntl(descriptor, F_OFD_GETLK, bytes) !== 0) return false;
  return lock.getInt16(0, true) !== F_UNLCK;
}

/**
 * Claims a block device (O_EXCL). While the claim is open, the kernel refuses
 * mounts, swap and further claims of the device and of its partitions.
 *
 * @param path Path of a block device.
 * @returns The claim's descriptor, for {@linkcode closeNative}; `busy` if the
 *   device, or a partition of it, is claimed already; `undefined` if the call
 *   fails otherwise or is not available.
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
 * Closes a descriptor that {@linkcode claimBlockDevice} opened.
 *
 * @param descriptor The descriptor.
 */
export function closeNative(descriptor: number): void {
  libc()?.close(descriptor);
}

/**
 * Lists the names in a directory, also in `/proc` and `/sys`.
 *
 * @param path Absolute path of the directory.
 * @returns The names without `.` and `..`; none if the directory cannot be
 *   read.
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
    // `struct linux_dirent64`: inode u64, offset i64, length of the entry u16,
    // type u8, name, NUL.
    for (let at = 0; at < length; at += view.getUint16(at + 16, true)) {
      const name = bytes.subarray(at + 19, bytes.indexOf(0, at + 19));
      names.push(new TextDecoder().decode(name));
    }
  }
  symbols.close(descriptor);
  return names.filter((name) => name !== "." && name !== "..");
}

/**
 * Reads the target of a symbolic link, also in `/proc` and `/sys`.
 *
 * @param path Absolute path of the link.
 * @returns The target; "" if the link cannot be read.
 */
export function linkTarget(path: string): string {
  const buffer = new Uint8Array(PATH_BYTES);
  const size = BigInt(buffer.length);
  const length = libc()?.readlink(zeroEnded(path), buffer, size) ?? -1;
  return new TextDecoder().decode(
    buffer.subarray(0, Math.max(0, Number(length))),
  );
}
