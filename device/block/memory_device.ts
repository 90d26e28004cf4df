/**
 * A block device in memory, for tests and experiments. Every request finishes
 * inline. Nothing is durable.
 *
 * @module
 */

import { assert, VirstorError } from "../../errors.ts";
import type {
  BlockDevice,
  Completion,
  DeviceCapabilities,
  Extent,
} from "./block_device.ts";

/** Options of a device in memory. */
export interface MemoryDeviceOptions {
  /** Smallest unit of a request, bytes, a power of two. Default: 1. */
  readonly blockSize?: number;
  /** Whether the device refuses writes. Default: false. */
  readonly readOnly?: boolean;
}

/** A block device over bytes in memory. */
export class MemoryDevice implements BlockDevice {
  /** Size of the device, bytes. */
  readonly size: number;
  /** Smallest unit of a request, bytes. */
  readonly blockSize: number;
  /** Unless read-only: discards zero the range, and zeroes are fast. */
  readonly capabilities: DeviceCapabilities;

  readonly #bytes: Uint8Array;
  #open = true;

  /**
   * Creates a device.
   *
   * *Requires:* the size is a multiple of the block size.
   *
   * @param content The content, used in place; or a size in bytes, for a device
   *   of zeroes.
   * @param options Options of the device.
   */
  constructor(
    content: Uint8Array | number,
    options: MemoryDeviceOptions = {},
  ) {
    const { blockSize = 1, readOnly = false } = options;
    this.#bytes = typeof content === "number"
      ? new Uint8Array(content)
      : content;
    this.size = this.#bytes.length;
    this.blockSize = blockSize;
    this.capabilities = {
      readOnly,
      discard: !readOnly,
      fastZeroes: !readOnly,
    };
    assert(
      Number.isInteger(Math.log2(blockSize)),
      "the block size of a memory device is a power of two",
    );
    assert(
      this.size % blockSize === 0,
      "the size of a memory device is whole blocks",
    );
  }

  /**
   * Fills `target`.
   *
   * @param target Buffer that receives the bytes.
   * @param offset First byte of the range.
   * @throws {VirstorError} With code `io` if the device is closed.
   */
  read(target: Uint8Array, offset: number): Completion {
    this.#check("read", offset, target.length);
    target.set(this.#bytes.subarray(offset, offset + target.length));
    return undefined;
  }

  /**
   * Writes `source`.
   *
   * @param source The bytes.
   * @param offset First byte of the range.
   * @throws {VirstorError} With code `read-only`, or `io` if the device is
   *   closed.
   */
  write(source: Uint8Array, offset: number): Completion {
    this.#checkWrite("write", offset, source.length);
    this.#bytes.set(source, offset);
    return undefined;
  }

  /**
   * Does nothing, because memory is never durable.
   *
   * @throws {VirstorError} With code `io` if the device is closed.
   */
  flush(): Completion {
    this.#check("flush", 0, 0);
    return undefined;
  }

  /**
   * Makes the bytes read as zeroes.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @throws {VirstorError} With code `read-only`, or `io` if the device is
   *   closed.
   */
  discard(offset: number, length: number): Completion {
    this.#checkWrite("discard", offset, length);
    this.#bytes.fill(0, offset, offset + length);
    return undefined;
  }

  /**
   * Makes the bytes read as zeroes.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range.
   * @throws {VirstorError} With code `read-only`, or `io` if the device is
   *   closed.
   */
  writeZeroes(offset: number, length: number): Completion {
    this.#checkWrite("write zeroes", offset, length);
    this.#bytes.fill(0, offset, offset + length);
    return undefined;
  }

  /**
   * Describes the whole range as data.
   *
   * @param offset First byte of the range.
   * @param length Bytes of the range, above 0.
   * @returns One run.
   * @throws {VirstorError} With code `io` if the device is closed.
   */
  extents(offset: number, length: number): Extent[] {
    this.#check("look at", offset, length);
    return [{ length, kind: "data" }];
  }

  /** Closes the device. Idempotent. */
  close(): Completion {
    this.#open = false;
    return undefined;
  }

  /** Closes the device, at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkWrite(action: string, offset: number, length: number): void {
    this.#check(action, offset, length);
    if (!this.capabilities.readOnly) return;
    throw new VirstorError(
      "read-only",
      `Cannot ${action} memory device: it is read-only`,
    );
  }

  #check(action: string, offset: number, length: number): void {
    if (!this.#open) {
      throw new VirstorError(
        "io",
        `Cannot ${action} memory device: it is closed`,
      );
    }
    assert(
      Number.isSafeInteger(offset) && offset >= 0 && length >= 0 &&
        length <= this.size - offset,
      "a request lies inside the memory device",
    );
    assert(
      offset % this.blockSize === 0 && length % this.blockSize === 0,
      "a request to the memory device is whole blocks",
    );
  }
}
