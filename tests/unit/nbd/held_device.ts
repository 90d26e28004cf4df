/**
 * A device in memory that finishes what a test tells it to finish, when the
 * test says so: real promises, as a full pool or a cold cache gives them.
 *
 * @module
 */

import type {
  BlockDevice,
  Completion,
  DeviceCapabilities,
  Extent,
  WriteOptions,
  WriteZeroesOptions,
} from "../../../device/block/block_device.ts";
import { MemoryDevice } from "../../../device/block/memory_device.ts";
import { VirstorError } from "../../../errors.ts";

/** An operation that is not finished. */
export interface HeldOperation {
  /** Which one. */
  kind: "read" | "write" | "flush";
  /** Its first byte. */
  offset: number;
  /** Carries it out. */
  finish(): void;
  /** Fails it. */
  fail(error: unknown): void;
}

/** A device whose operations wait where the test holds them. */
export class HeldDevice implements BlockDevice {
  /** Bytes. */
  readonly size: number;
  /** The smallest unit, bytes. */
  readonly blockSize: number;
  /** Those of memory. */
  readonly capabilities: DeviceCapabilities;
  /** Which operations wait; by default none. */
  holds: (
    kind: HeldOperation["kind"],
    offset: number,
  ) => boolean = () => false;
  /** What waits now, in the order of arrival. */
  readonly held: HeldOperation[] = [];
  /** Every call, in order, as `write 0+512 fua`. */
  readonly calls: string[] = [];
  /** Held writes from which on the device is congested. */
  congestedFrom: number = Infinity;

  readonly #memory: MemoryDevice;
  #decongested = Promise.withResolvers<void>();

  /**
   * Creates a device.
   *
   * @param size Bytes.
   * @param blockSize The smallest unit, bytes.
   */
  constructor(size = 1024 * 1024, blockSize = 1) {
    this.#memory = new MemoryDevice(size, { blockSize });
    this.size = size;
    this.blockSize = blockSize;
    this.capabilities = this.#memory.capabilities;
  }

  /** Set while too many writes wait. */
  get congestion(): Promise<void> | undefined {
    return this.#heldWrites() >= this.congestedFrom
      ? this.#decongested.promise
      : undefined;
  }

  /** Reads, now or later. */
  read(target: Uint8Array, offset: number): Completion {
    this.calls.push(`read ${offset}+${target.length}`);
    if (!this.holds("read", offset)) return this.#memory.read(target, offset);
    return this.#hold("read", offset, () => this.#memory.read(target, offset));
  }

  /** Writes, now or later. */
  write(
    source: Uint8Array,
    offset: number,
    options: WriteOptions = {},
  ): Completion {
    const fua = options.fua === true ? " fua" : "";
    this.calls.push(`write ${offset}+${source.length}${fua}`);
    if (!this.holds("write", offset)) return this.#memory.write(source, offset);
    const copy = source.slice();
    const action = () => this.#memory.write(copy, offset);
    return this.#hold("write", offset, action, options.signal);
  }

  /** Flushes, now or later. */
  flush(): Completion {
    this.calls.push("flush");
    if (!this.holds("flush", 0)) return undefined;
    return this.#hold("flush", 0, () => undefined);
  }

  /** Discards. */
  discard(offset: number, length: number, options?: WriteOptions): Completion {
    const fua = options?.fua === true ? " fua" : "";
    this.calls.push(`discard ${offset}+${length}${fua}`);
    return this.#memory.discard(offset, length);
  }

  /** Writes zeroes; `fastOnly` fails in the second half of the device. */
  writeZeroes(
    offset: number,
    length: number,
    options: WriteZeroesOptions = {},
  ): Completion {
    const words = (["fua", "noHole", "fastOnly"] as const)
      .filter((key) => options[key] === true);
    this.calls.push([`zeroes ${offset}+${length}`, ...words].join(" "));
    if (options.fastOnly === true && offset >= this.size / 2) {
      throw new VirstorError("unsupported", "Cannot write zeroes fast");
    }
    return this.#memory.writeZeroes(offset, length);
  }

  /** Everything is data. */
  extents(offset: number, length: number): Extent[] {
    return this.#memory.extents(offset, length);
  }

  /** Closes the memory. */
  close(): Completion {
    return this.#memory.close();
  }

  #heldWrites(): number {
    return this.held.filter(({ kind }) => kind === "write").length;
  }

  #hold(
    kind: HeldOperation["kind"],
    offset: number,
    action: () => Completion,
    signal?: AbortSignal,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const remove = () => {
      const at = this.held.indexOf(operation);
      if (at >= 0) this.held.splice(at, 1);
      if (this.#heldWrites() >= this.congestedFrom) return;
      this.#decongested.resolve();
      this.#decongested = Promise.withResolvers();
    };
    const operation: HeldOperation = {
      kind,
      offset,
      finish() {
        remove();
        action();
        resolve();
      },
      fail(error) {
        remove();
        reject(error);
      },
    };
    this.held.push(operation);
    const cancel = () =>
      operation.fail(new VirstorError("cancelled", "Cannot write: cancelled"));
    if (signal?.aborted === true) cancel();
    else signal?.addEventListener("abort", cancel, { once: true });
    return promise;
  }
}
