/**
 * Reads and writes of descriptors, from the C library of Linux through Deno's
 * FFI: of the page cache only; of what another thread has opened, since Node's
 * calls know only descriptors of their own thread; and at less cost than those.
 * Nothing is allocated by a call.
 *
 * @module
 */

import { NativeWords } from "./native_words.ts";

const SYMBOLS = {
  // Counts stay below 2^31; a longer type would come back as a BigInt.
  pread: { parameters: ["i32", "usize", "usize", "i64"], result: "i32" },
  pwrite: { parameters: ["i32", "usize", "usize", "i64"], result: "i32" },
  preadv2: {
    parameters: ["i32", "buffer", "i32", "i64", "i32"],
    result: "i32",
  },
  fdatasync: { parameters: ["i32"], result: "i32" },
} as const;

/** From `linux/fs.h`: fail instead of waiting for a disk. */
const RWF_NOWAIT = 0x08;

/** Memory whose address is known. */
export class NativeBuffer {
  /** All of it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same. */
  readonly view: DataView;
  /** Where it is, as long as this buffer is kept: an address keeps nothing. */
  readonly address: number;

  /**
   * Takes memory; what is never written to costs nothing.
   *
   * @param size Bytes, above 0.
   */
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    this.address = addressOf(this.bytes);
  }
}

/** Reads and writes of any descriptor. */
export class NativeIo {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  /** The arguments address, length and offset. */
  readonly #args = new NativeWords(3);
  /** A `struct iovec`: u64 address, u64 length. */
  readonly #vector = new NativeWords(2);

  /** Opens the C library; throws where there is none to be had. */
  constructor() {
    this.#libc = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  }

  /**
   * Reads.
   *
   * @param descriptor Whose.
   * @param address Where the bytes go.
   * @param length How many.
   * @param offset The first byte.
   * @returns Whether all of them are there.
   */
  read(
    descriptor: number,
    address: number,
    length: number,
    offset: number,
  ): boolean {
    const { pread } = this.#libc;
    const args = this.#args;
    let done = 0;
    while (done < length) {
      const count = pread(
        descriptor,
        args.unsigned(0, address + done),
        args.unsigned(1, length - done),
        args.signed(2, offset + done),
      );
      if (count <= 0) return false;
      done += count;
    }
    return true;
  }

  /**
   * Reads what needs no waiting for a disk.
   *
   * @param descriptor Whose.
   * @param address Where the bytes go.
   * @param length How many.
   * @param offset The first byte.
   * @returns Bytes, from the first one on; or -1 if not even that one is in
   *   the page cache, or the system does not tell.
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
   * Writes.
   *
   * @param descriptor Whose.
   * @param address Where the bytes are.
   * @param length How many.
   * @param offset The first byte.
   * @returns Whether all of them are written; if not, some may be.
   */
  write(
    descriptor: number,
    address: number,
    length: number,
    offset: number,
  ): boolean {
    const { pwrite } = this.#libc;
    const args = this.#args;
    let done = 0;
    while (done < length) {
      const count = pwrite(
        descriptor,
        args.unsigned(0, address + done),
        args.unsigned(1, length - done),
        args.signed(2, offset + done),
      );
      if (count <= 0) return false;
      done += count;
    }
    return true;
  }

  /**
   * Makes all that was written to a file durable. Waits for the disk.
   *
   * @param descriptor The file.
   * @returns Whether it was done; if not, nothing is known of any of it.
   */
  makeDurable(descriptor: number): boolean {
    return this.#libc.fdatasync(descriptor) === 0;
  }
}

/** For this thread, made at the first use; null if there is none to be had. */
let ownIo: NativeIo | null | undefined;

function native(): NativeIo | null {
  if (ownIo !== undefined) return ownIo;
  ownIo = null;
  try {
    if (Deno.build.os === "linux") ownIo = new NativeIo();
  } catch {
    // Not permitted, or another C library: the portable ways remain.
  }
  return ownIo;
}

/** Where memory is, for the little of it that is used for transfers. */
const addresses = new WeakMap<ArrayBufferLike, number>();

/**
 * Where bytes are. They do not move as long as they are in use.
 *
 * @param bytes The bytes.
 * @returns The address of the first one.
 */
export function addressOf({ buffer, byteOffset }: Uint8Array): number {
  let address = addresses.get(buffer);
  if (address === undefined) {
    const pointer = Deno.UnsafePointer.of(new Uint8Array(buffer));
    // At most 2^57 on any system there is, in steps of 16: exact.
    address = Number(Deno.UnsafePointer.value(pointer));
    addresses.set(buffer, address);
  }
  return address + byteOffset;
}

/**
 * Reads what needs no waiting for a disk.
 *
 * @param descriptor An open descriptor.
 * @param target Where the bytes go; not empty.
 * @param offset The first byte.
 * @returns Bytes, from the first one on; or -1 if not even that one is in the
 *   page cache, or it cannot be found out.
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
 * Reads.
 *
 * @param descriptor An open descriptor.
 * @param target Where the bytes go; not empty.
 * @param offset The first byte.
 * @returns Whether all of them are there; if not, another way tells why.
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
 * Writes.
 *
 * @param descriptor An open descriptor.
 * @param source The bytes; not empty.
 * @param offset The first byte.
 * @returns Whether all of them are written; if not, some may be, and another
 *   way tells why.
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
