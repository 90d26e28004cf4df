/**
 * A part of a block device as a block device of its own: a partition, or a
 * disk that lies somewhere inside a file.
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
 * A range of another device. Several slices of one device may overlap. A slice
 * lends nothing to other threads: leases are by chunk of the whole device.
 */
export class SliceDevice implements BlockDevice {
  /** Bytes. */
  readonly size: number;
  /** The smallest unit of a request, bytes: that of the whole device. */
  readonly blockSize: number;

  readonly #device: BlockDevice;
  readonly #start: number;
  #open = true;

  /**
   * Creates a device.
   *
   * @param device The whole device. It stays the caller's to close.
   * @param offset The first byte of the range, whole blocks.
   * @param size Bytes of the range, whole blocks; it ends inside the device.
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

  /** What the whole device can do. */
  get capabilities(): DeviceCapabilities {
    return this.#device.capabilities;
  }

  /** Set while the whole device holds as many unfinished writes as it may. */
  get congestion(): Promise<void> | undefined {
    return this.#device.congestion;
  }

  /** How many writes to the whole device have begun to wait for space. */
  get waits(): number | undefined {
    return this.#device.waits;
  }

  /**
   * Fills `target`.
   *
   * @param target Where the bytes go.
   * @param offset The first byte of the slice.
   * @returns As the whole device.
   * @throws {VirstorError} `io` if the slice is closed; as the whole device.
   */
  read(target: Uint8Array, offset: number): Completion {
    return this.#device.read(target, this.#at("read", offset, target.length));
  }

  /**
   * Writes `source`.
   *
   * @param source The bytes.
   * @param offset The first byte of the slice.
   * @param options How.
   * @returns As the whole device.
   * @throws {VirstorError} `io` if the slice is closed; as the whole device.
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
   * Makes earlier writes durable: all those to the whole device.
   *
   * @returns As the whole device.
   * @throws {VirstorError} `io` if the slice is closed; as the whole device.
   */
  flush(): Completion {
    this.#at("flush", 0, 0);
    return this.#device.flush();
  }

  /**
   * Gives the range back, where the whole device can.
   *
   * @param offset The first byte of the slice.
   * @param length How many.
   * @param options How.
   * @returns As the whole device.
   * @throws {VirstorError} `io` if the slice is closed; as the whole device.
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
   * Makes the range read as zeroes.
   *
   * @param offset The first byte of the slice.
   * @param length How many.
   * @param options How.
   * @returns As the whole device.
   * @throws {VirstorError} `io` if the slice is closed; as the whole device.
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
   * Tells what the whole device knows of a range.
   *
   * @param offset The first byte of the slice.
   * @param length How many, above 0.
   * @param limit Runs that are wanted at most; all by default.
   * @returns The runs.
   * @throws {VirstorError} `io` if the slice is closed; as the whole device.
   */
  extents(offset: number, length: number, limit?: number): Extent[] {
    const at = this.#at("look at", offset, length);
    return this.#device.extents(at, length, limit);
  }

  /**
   * Tells how much of a range the whole device knows to be a hole at next to
   * no cost. Never fails.
   *
   * @param offset The first byte of the slice.
   * @param length How many, above 0.
   * @returns As the whole device; 0 if the slice is closed.
   */
  leadingHole(offset: number, length: number): number {
    if (!this.#open || offset + length > this.size) return 0;
    return this.#device.leadingHole?.(this.#start + offset, length) ?? 0;
  }

  /**
   * Closes the slice, and not the whole device.
   *
   * @returns Nothing: it is done.
   */
  close(): Completion {
    this.#open = false;
    return undefined;
  }

  /** Where a range of the slice starts on the whole device. */
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
