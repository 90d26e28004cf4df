/**
 * Reads and writes of descriptors that another thread has opened, from the C
 * library of Linux through Deno's FFI: Node's calls know only descriptors of
 * their own thread. Nothing is allocated by a call.
 *
 * @module
 */

const SYMBOLS = {
  // Counts stay below 2^31; a longer type would come back as a BigInt.
  pread: { parameters: ["i32", "usize", "usize", "i64"], result: "i32" },
  pwrite: { parameters: ["i32", "usize", "usize", "i64"], result: "i32" },
  preadv2: {
    parameters: ["i32", "buffer", "i32", "i64", "i32"],
    result: "i32",
  },
} as const;

/** From `linux/fs.h`: fail instead of waiting for a disk. */
const RWF_NOWAIT = 0x08;

/**
 * A 64-bit argument for which nothing is allocated: the runtime takes numbers
 * as well, which its types do not know.
 *
 * @param value A whole number below 2^53.
 * @returns The same number.
 */
export function plain(value: number): bigint {
  return value as unknown as bigint;
}

/** Memory whose address is known. */
export class NativeBuffer {
  /** All of it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The same. */
  readonly view: DataView;
  /** Where it is; it does not move as long as it is in use. */
  readonly address: number;

  /**
   * Takes memory; what is never written to costs nothing.
   *
   * @param size Bytes, above 0.
   */
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
    const pointer = Deno.UnsafePointer.of(this.bytes);
    // At most 2^57 on any system there is, in steps of 16: exact.
    this.address = Number(Deno.UnsafePointer.value(pointer));
  }
}

/** Reads and writes of any descriptor, whole or not at all. */
export class NativeIo {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  // A `struct iovec`: u64 address, u64 length.
  readonly #vector = new Uint8Array(16);
  readonly #vectorView: DataView = new DataView(this.#vector.buffer);

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
    let done = 0;
    while (done < length) {
      const count = pread(
        descriptor,
        plain(address + done),
        plain(length - done),
        plain(offset + done),
      );
      if (count <= 0) return false;
      done += count;
    }
    return true;
  }

  /**
   * Reads what is in the page cache, or nothing.
   *
   * @param descriptor Whose.
   * @param address Where the bytes go.
   * @param length How many.
   * @param offset The first byte.
   * @returns Whether all of them are there.
   */
  readNoWait(
    descriptor: number,
    address: number,
    length: number,
    offset: number,
  ): boolean {
    const view = this.#vectorView;
    view.setUint32(0, address >>> 0, true);
    view.setUint32(4, Math.floor(address / 2 ** 32), true);
    view.setUint32(8, length, true);
    const at = plain(offset);
    const { preadv2 } = this.#libc;
    const count = preadv2(descriptor, this.#vector, 1, at, RWF_NOWAIT);
    return count === length;
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
    let done = 0;
    while (done < length) {
      const count = pwrite(
        descriptor,
        plain(address + done),
        plain(length - done),
        plain(offset + done),
      );
      if (count <= 0) return false;
      done += count;
    }
    return true;
  }
}
