/**
 * Reads and writes descriptors: calls the C library of Linux through Deno's
 * FFI. Unlike Node's calls these can read from the page cache only, accept
 * descriptors that another thread has opened, and are faster. They allocate
 * nothing.
 *
 * @module
 */

import { NativeWords } from "./native_words.ts";

const SYMBOLS = {
  // Results are below 2^31; a 64-bit type would be returned as a BigInt.
  pread: { parameters: ["i32", "usize", "usize", "i64"], result: "i32" },
  pwrite: { parameters: ["i32", "usize", "usize", "i64"], result: "i32" },
  preadv2: {
    parameters: ["i32", "buffer", "i32", "i64", "i32"],
    result: "i32",
  },
  fdatasync: { parameters: ["i32"], result: "i32" },
  sync_file_range: { parameters: ["i32", "i64", "i64", "u32"], result: "i32" },
} as const;

/** From `linux/fs.h`: fail instead of waiting for a disk. */
const RWF_NOWAIT = 0x08;

/** From `linux/fs.h`: start writing dirty pages, without waiting for them. */
const SYNC_FILE_RANGE_WRITE = 2;

/** A buffer with a known address. */
export class NativeBuffer {
  /** The whole buffer. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** A view of the whole buffer. */
  readonly view: DataView;
  /**
   * Address of the buffer. It is valid only while this object is reachable: an
   * address does not keep the memory alive.
   */
  readonly address: number;

  /**
   * Allocates a buffer of zeroes. The system provides its memory when it is
   * first written.
   *
   * @param size Bytes, above 0.
   */
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.address = addressOf(this.bytes);
  }
}

/** Reads and writes descriptors of this process. One object for each thread. */
export class NativeIo {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  /** The arguments address, length and offset of a call. */
  readonly #args = new NativeWords(3);
  /** A `struct iovec`: u64 address, u64 length. */
  readonly #vector = new NativeWords(2);

  /**
   * Opens the C library.
   *
   * @throws {Error} If Deno cannot open it, or may not (`--allow-ffi`).
   */
  constructor() {
    this.#libc = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  }

  /**
   * Reads a range of a file.
   *
   * @param descriptor Descriptor of the file.
   * @param address Address of the buffer that receives the bytes.
   * @param length Bytes of the range.
   * @param offset First byte of the range.
   * @returns Whether the buffer holds the whole range; false after an error and
   *   at the end of the file.
   */
  read(
    descriptor: number,
    address: number,
    length: number,
    offset: number,
  ): boolean {
    const count = this.#libc.pread(
      descriptor,
      this.#args.unsigned(0, address),
      this.#args.unsigned(1, length),
      this.#args.signed(2, offset),
    );
    return count === length || count > 0 &&
        this.read(descriptor, address + count, length - count, offset + count);
  }

  /**
   * Reads the part of a range that needs no wait for a disk (RWF_NOWAIT).
   *
   * @param descriptor Descriptor of the file.
   * @param address Address of the buffer that receives the bytes.
   * @param length Bytes of the range.
   * @param offset First byte of the range.
   * @returns Number of bytes read, from `offset` on; -1 if the first byte is
   *   not in the page cache, or the file system does not support the call.
   */
  readNoWait(
    descriptor: number,
    address: number,
    length: number,
    offset: number,
  ): number {
    const vector = this.#vector;
    vector.unsigned(0, address);
    vector.unsigned(1, length);
    const at = this.#args.signed(2, offset);
    return this.#libc.preadv2(descriptor, vector.bytes, 1, at, RWF_NOWAIT);
  }

  /**
   * Writes a range of a file.
   *
   * @param descriptor Descriptor of the file.
   * @param address Address of the bytes.
   * @param length Bytes of the range.
   * @param offset First byte of the range.
   * @returns Whether the whole range is written; if not, a part may be.
   */
  write(
    descriptor: number,
    address: number,
    length: number,
    offset: number,
  ): boolean {
    const count = this.#libc.pwrite(
      descriptor,
      this.#args.unsigned(0, address),
      this.#args.unsigned(1, length),
      this.#args.signed(2, offset),
    );
    return count === length || count > 0 &&
        this.write(descriptor, address + count, length - count, offset + count);
  }

  /**
   * Starts writing the dirty pages of a file to its disk. Makes nothing
   * durable.
   *
   * @param descriptor The file.
   */
  startWriteBack(descriptor: number): void {
    const args = this.#args;
    // From the first byte; a length of 0 means all.
    const start = args.signed(1, 0);
    const all = args.signed(2, 0);
    const flags = SYNC_FILE_RANGE_WRITE;
    this.#libc.sync_file_range(descriptor, start, all, flags);
  }

  /**
   * Makes all writes to a file durable. Waits for the disk.
   *
   * @param descriptor The file.
   * @returns Whether they are durable; if not, any of them may be lost.
   */
  makeDurable(descriptor: number): boolean {
    return this.#libc.fdatasync(descriptor) === 0;
  }
}

/** The calls of this thread, opened at the first use; null if unavailable. */
let ownIo: NativeIo | null | undefined;

function native(): NativeIo | null {
  if (ownIo !== undefined) return ownIo;
  ownIo = null;
  try {
    if (Deno.build.os === "linux") ownIo = new NativeIo();
  } catch {
    // Not permitted, or another C library: callers use Node's calls.
  }
  return ownIo;
}

/** Addresses of the buffers that transfers use; there are few of them. */
const addresses = new WeakMap<ArrayBufferLike, number>();

/**
 * Determines the address of bytes. It is valid while their buffer is reachable:
 * the runtime does not move buffers.
 *
 * @param bytes The bytes.
 * @returns Address of the first byte.
 */
export function addressOf({ buffer, byteOffset }: Uint8Array): number {
  let address = addresses.get(buffer);
  if (address === undefined) {
    const pointer = Deno.UnsafePointer.of(new Uint8Array(buffer));
    // Addresses are below 2^57 and multiples of 16, so a number is exact.
    address = Number(Deno.UnsafePointer.value(pointer));
    addresses.set(buffer, address);
  }
  return address + byteOffset;
}

/**
 * Reads the part of a range that needs no wait for a disk.
 *
 * @param descriptor Descriptor of the file.
 * @param target Buffer that receives the range; not empty.
 * @param offset First byte of the range.
 * @returns Number of bytes read, from `offset` on; -1 if the first byte is not
 *   in the page cache, or the call is not supported.
 */
export function readNoWait(
  descriptor: number,
  target: Uint8Array,
  offset: number,
): number {
  const io = native();
  if (io === null) return -1;
  return io.readNoWait(descriptor, addressOf(target), target.length, offset);
}

/**
 * Reads a range of a file with a native call.
 *
 * @param descriptor Descriptor of the file.
 * @param target Buffer that receives the range; not empty.
 * @param offset First byte of the range.
 * @returns Whether `target` holds the whole range. If not, Node's call gives
 *   the error.
 */
export function readNatively(
  descriptor: number,
  target: Uint8Array,
  offset: number,
): boolean {
  const io = native();
  if (io === null) return false;
  return io.read(descriptor, addressOf(target), target.length, offset);
}

/**
 * Writes a range of a file with a native call.
 *
 * @param descriptor Descriptor of the file.
 * @param source The bytes; not empty.
 * @param offset First byte of the range.
 * @returns Whether the whole range is written. If not, a part may be, and
 *   Node's call gives the error.
 */
export function writeNatively(
  descriptor: number,
  source: Uint8Array,
  offset: number,
): boolean {
  const io = native();
  if (io === null) return false;
  return io.write(descriptor, addressOf(source), source.length, offset);
}

/**
 * Starts writing the dirty pages of a file to its disk, so that a flush finds
 * less to wait for. Does nothing where there are no native calls.
 *
 * @param descriptor Descriptor of the file.
 */
export function startWriteBack(descriptor: number): void {
  native()?.startWriteBack(descriptor);
}
