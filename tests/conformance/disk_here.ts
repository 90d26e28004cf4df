/**
 * A device in this process, as the conformance battery sees it.
 *
 * @module
 */

import type {
  BlockDevice,
  WriteOptions,
  WriteZeroesOptions,
} from "../../device/mod.ts";
import type { LocalDisk } from "./battery.ts";

/** What ends with a device. */
export interface Closable {
  /** Ends it. */
  close(): void | Promise<void>;
}

/** A device in this process. */
export class DiskHere implements LocalDisk {
  readonly device: BlockDevice;
  readonly #below: Closable | undefined;
  readonly size: number;

  /** `below` is closed, too, in the end. */
  constructor(device: BlockDevice, below?: Closable) {
    this.device = device;
    this.#below = below;
    this.size = device.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const target = new Uint8Array(length).fill(0xaa);
    await this.device.read(target, offset);
    return target;
  }

  async write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Promise<void> {
    await this.device.write(source, offset, options);
  }

  async flush(): Promise<void> {
    await this.device.flush();
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.device.discard(offset, length);
  }

  async writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Promise<void> {
    await this.device.writeZeroes(offset, length, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.device.close();
    await this.#below?.close();
  }
}
