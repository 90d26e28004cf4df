/**
 * A range of a block device as a block device: for instance a partition, or a
 * disk inside a file.
 *
 * @module
 */

import { assert, VirstorError } from "../../errors.ts";
import type {
  BlockDevice,
  Completion,
  DeviceCapabilities,
  Extent,
  WriteOptions,
  WriteZeroesOptions,
} from "./block_device.ts";

/**
 * A range of a base device. Several slices of one device may overlap. A slice
 * offers no leases: those are for chunks of the base device.
 */
export class SliceDevice implements BlockDevice {
  /** Size of the slice, bytes. */
  readonly size: number;
  /** Smallest unit of a request, bytes: that of the base device. */
  readonly blockSize: number;

  readonly #device: BlockDevice;
  readonly #start: number;
  #open = true;

  /**
   * Creates a slice.
   *
   * *Requires:* the range lies inside the device; offset and size are multiples
   * of its block size.
   *
   * @param device The base device. The slice never closes it.
   * @param offset First byte of the range.
   * @param size Bytes of the range.
   */
  constructor(device: BlockDevice, offset: number, size: number) {
    const { blockSize } = device;
    assert(
      Number.isSafeInteger(offset) && offset >= 0 &&
        Number.isSafeInteger(size) && size >= 0 &&
        size <= device.size - offset,
      "a slice lies inside its device",
    );
    assert(
      offset % blockSize === 0 && size % blockSize === 0,
      "a slice is whole blocks of its device",
    );
    this.size = size;
    this.blockSize = blockSize;
    this.#device = device;
    this.#start = offset;
  }

  /** The capabilities of the base device. */
  get capabilities(): DeviceCapabilities {
    return this.#device.capabilities;
  }

  /** The congestion of the base device. */
  get congestion(): Promise<void> | undefined {
    return this.#device.congestion;
  }

  /** Number of delayed writes of the base device. */
  get waits(): number | undefined {
    return this.#device.waits;
  }

  /**
   * Fills `target`.
   *
   * @param target Buffer that receives the bytes.
   * @param offset First byte of the range, in the slice.
   * @returns The completion of the base device.
   * @throws {VirstorError} `io` if the slice is closed, or the error of the base
   *   device.
   */
  read(target: Uint8Array, offset: number): Completion {
    return this.#device.read(target, this.#at("read", offset, target.length));
  }

  /**
   * Writes `source`.
   *
   * @param source The bytes.
   * @param offset First byte of the range, in the slice.
   * @param options Options of the write.
   * @returns The completion of the base device.
   * @throws {VirstorError} `io` if the slice is closed, or the error of the base
   *   device.
   */
  write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion {
    const at = this.#at("write", offset, source.length);
    return this.#device.write(source, at, options);
  }

  /**
   * Makes earlier writes durable: all writes to the base device.
   *
   * @returns The completion of the base device.
   * @throws {VirstorError} `io` if the slice is closed, or the error of the base
   *   device.
   */
  flush(): Completion {
    this.#at("flush", 0, 0);
    return this.#device.flush();
  }

  /**
   * Discards a range.
   *
   * @param offset First byte of the range, in the slice.
   * @param length Bytes of the range.
   * @param options Options of the write.
   * @returns The completion of the base device.
   * @throws {VirstorError} `io` if the slice is closed, or the error of the base
   *   device.
   */
  discard(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion {
    const at = this.#at("discard", offset, length);
    return this.#device.discard(at, length, options);
  }

  /**
   * Makes a range read as zeroes.
   *
   * @param offset First byte of the range, in the slice.
   * @param length Bytes of the range.
   * @param options Options of the write of zeroes.
   * @returns The completion of the base device.
   * @throws {VirstorError} `io` if the slice is closed, or the error of the base
   *   device.
   */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Completion {
    const at = this.#at("write zeroes to", offset, length);
    return this.#device.writeZeroes(at, length, options);
  }

  /**
   * Divides a range into runs of one kind.
   *
   * @param offset First byte of the range, in the slice.
   * @param length Bytes of the range, above 0.
   * @param limit Runs that the caller can use; no limit by default.
   * @returns The runs, as the base device returns them.
   * @throws {VirstorError} `io` if the slice is closed, or the error of the base
   *   device.
   */
  extents(offset: number, length: number, limit?: number): Extent[] {
    const at = this.#at("look at", offset, length);
    return this.#device.extents(at, length, limit);
  }

  /**
   * Tells whether a range starts with a hole. Never fails.
   *
   * @param offset First byte of the range, in the slice.
   * @param length Bytes of the range, above 0.
   * @returns As the base device; 0 if the slice is closed, or the range ends
   *   past its end.
   */
  leadingHole(offset: number, length: number): number {
    if (!this.#open || offset + length > this.size) return 0;
    return this.#device.leadingHole?.(this.#start + offset, length) ?? 0;
  }

  /**
   * Closes the slice, but not the base device.
   *
   * @returns `undefined`: the slice is closed.
   */
  close(): Completion {
    this.#open = false;
    return undefined;
  }

  /** Closes the slice, at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @returns First byte, on the base device, of a range of the slice. */
  #at(action: string, offset: number, length: number): number {
    if (!this.#open) {
      throw new VirstorError("io", `Cannot ${action} a slice: it is closed`);
    }
    assert(
      Number.isSafeInteger(offset) && offset >= 0 && length >= 0 &&
        length <= this.size - offset,
      "a request lies inside the slice",
    );
    return this.#start + offset;
  }
}
