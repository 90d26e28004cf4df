/**
 * A device in memory that knows where it has holes, as a pool does: unit by
 * unit, what was never written to is one.
 *
 * @module
 */

import type {
  Completion,
  Extent,
  ExtentKind,
} from "../../../device/block/block_device.ts";
import { MemoryDevice } from "../../../device/block/memory_device.ts";

/** A device with holes. */
export class SparseDevice extends MemoryDevice {
  /** Every read, as `offset+length`. */
  readonly reads: string[] = [];
  /** What is known of units that are no holes; `data` if not mentioned. */
  readonly kinds = new Map<number, ExtentKind>();
  readonly #unit: number;

  /**
   * Creates a device that is one hole.
   *
   * @param size Bytes.
   * @param unit Bytes that are a hole together, or not at all.
   * @param blockSize The smallest unit of requests, bytes.
   */
  constructor(size: number, unit: number = 64 * 1024, blockSize = 1) {
    super(size, { blockSize });
    this.#unit = unit;
  }

  /** Reads, and records that. */
  override read(target: Uint8Array, offset: number): Completion {
    this.reads.push(`${offset}+${target.length}`);
    return super.read(target, offset);
  }

  /** Writes; what is touched is a hole no more. */
  override write(source: Uint8Array, offset: number): Completion {
    const last = Math.floor((offset + source.length - 1) / this.#unit);
    for (let i = Math.floor(offset / this.#unit); i <= last; i++) {
      if (!this.kinds.has(i)) this.kinds.set(i, "data");
    }
    return super.write(source, offset);
  }

  /** Tells what is known, one run a unit. */
  override extents(offset: number, length: number, limit?: number): Extent[] {
    const runs: Extent[] = [];
    const end = offset + length;
    for (let at = offset; at < end && runs.length < (limit ?? Infinity);) {
      const unit = Math.floor(at / this.#unit);
      const stop = Math.min((unit + 1) * this.#unit, end);
      const kind = this.kinds.get(unit) ?? "hole";
      runs.push({ length: stop - at, kind });
      at = stop;
    }
    return runs;
  }

  /** Tells how much is a hole, up to the end of the device. */
  leadingHole(offset: number): number {
    let unit = Math.floor(offset / this.#unit);
    while (!this.kinds.has(unit) && unit * this.#unit < this.size) unit++;
    return Math.max(0, Math.min(unit * this.#unit, this.size) - offset);
  }
}
