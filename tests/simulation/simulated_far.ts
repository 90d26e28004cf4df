/**
 * A far side on a simulated machine: requests take turns of the event loop, and
 * end in any order.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type {
  Completion,
  KeptBytes,
  WriteZeroesOptions,
} from "../../device/mod.ts";
import type { ComponentDevice } from "../../pool/core/mod.ts";
import type { FarDisk, FarWriteOptions } from "../../pool/remote/mod.ts";
import type { Random } from "./random.ts";
import type { SimulatedDisk } from "./simulated_disk.ts";
import { turn } from "./turns.ts";

/** A write whose bytes are kept elsewhere. */
interface Written {
  readonly kept: KeptBytes;
  readonly bytes: Uint8Array;
  readonly offset: number;
}

/** A disk on another machine, which is always connected. */
export class SimulatedFar implements FarDisk {
  readonly size: number;
  readonly #device: ComponentDevice;
  readonly #random: Random;
  readonly #disk: SimulatedDisk | undefined;
  /** What was written since the last flush, and is kept elsewhere. */
  readonly #kept: Written[] = [];
  #closed = false;

  /**
   * Connects to a disk.
   *
   * @param device The disk, open on its machine.
   * @param random Decides how long requests take.
   * @param disk Its machine, if a test looks at it at once.
   */
  constructor(device: ComponentDevice, random: Random, disk?: SimulatedDisk) {
    this.#disk = disk;
    this.size = device.size;
    this.#device = device;
    this.#random = random;
  }

  read(target: Uint8Array, offset: number): Completion {
    return this.#disk?.isPeeking === true
      ? this.#device.read(target, offset)
      : this.#readLate(target, offset);
  }

  async #readLate(target: Uint8Array, offset: number): Promise<void> {
    await this.#travel();
    this.#device.read(target, offset);
  }

  async write(
    source: Uint8Array,
    offset: number,
    options?: FarWriteOptions,
  ): Promise<void> {
    const bytes = source.slice();
    const kept = options?.kept;
    await this.#travel();
    // What is kept is the caller's again only at the end.
    this.#device.write(kept === undefined ? bytes : source, offset);
    await this.#travel();
    if (kept !== undefined) this.#kept.push({ kept, bytes, offset });
  }

  async writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Promise<void> {
    await this.#travel();
    this.#device.writeZeroes(offset, length, options);
    await this.#travel();
  }

  async flush(): Promise<void> {
    const { length } = this.#kept;
    await this.#travel();
    await this.#device.flush();
    await this.#travel();
    for (const { kept, bytes, offset } of this.#kept.splice(0, length)) {
      // Not all of it: newer writes may have overwritten the rest.
      const from = this.#random.below(bytes.length);
      const target = new Uint8Array(bytes.length - from);
      await kept.read(target, offset + from);
      assertEquals(target, bytes.slice(from), `what was kept at ${offset}`);
    }
  }

  close(): Completion {
    this.#closed = true;
    return this.#device.close();
  }

  async #travel(): Promise<void> {
    // Now and then a request hangs for a while.
    const most = this.#disk !== undefined && this.#random.chance(8) ? 40 : 3;
    for (let i = this.#random.below(most); i > 0 && !this.#closed; i--) {
      // A request that is on its way is no rest.
      if (this.#disk !== undefined) this.#disk.operations++;
      await turn();
    }
    if (this.#closed) throw new Error("The far side is closed");
  }
}
