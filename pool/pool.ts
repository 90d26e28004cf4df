/**
 * An open pool: a block device whose chunks are mapped, when first written,
 * onto components.
 *
 * The way of a write: look the virtual chunk up in the forward map; if it is
 * mapped, write to its component, and that is all. Else it goes the way of
 * {@linkcode FirstWrites}, which takes a free chunk, or waits for one.
 *
 * Everything here is synchronous but flushing, zeroing at length, and changes
 * of membership: no mutation spans an `await`.
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
} from "../device/mod.ts";
import { abandon, both } from "../device/mod.ts";
import { assert, messageOf, VirstorError } from "../errors.ts";
import type { Finding } from "./findings.ts";
import { FirstWrites } from "./first_writes.ts";
import type { ForwardMap } from "./forward_map.ts";
import { eachMapped } from "./mapped_ranges.ts";
import type { AddOptions, AddResult } from "./membership.ts";
import { addComponents, removeComponents } from "./membership.ts";
import type { PoolFormat } from "./pool_format.ts";
import type { PoolEvent, PoolSettings } from "./settings.ts";
import type { PoolCounters, PoolStatus } from "./status.ts";
import { describePool, newCounters } from "./status.ts";

/** A pool that is open, with its components locked. */
export class Pool implements BlockDevice {
  /** Bytes of the virtual disk. */
  readonly size: number;
  /** Requests may start and end at any byte. */
  readonly blockSize = 1;
  /** What it can do. */
  readonly capabilities: DeviceCapabilities;
  /** Its fixed settings. */
  readonly settings: PoolSettings;

  readonly #format: PoolFormat;
  readonly #map: ForwardMap;
  readonly #firstWrites: FirstWrites;
  readonly #counters: PoolCounters;
  readonly #chunkSize: number;
  #failure: VirstorError | undefined;
  #closed: Promise<void> | undefined;
  /** One change of membership at a time. */
  #changing: Promise<unknown> = Promise.resolve();

  /**
   * Takes over what {@linkcode openPool} has read and put right.
   *
   * @internal
   * @param settings What does not change.
   * @param format The format, with the components.
   * @param map Where each virtual chunk is.
   */
  constructor(settings: PoolSettings, format: PoolFormat, map: ForwardMap) {
    this.settings = settings;
    this.size = settings.virtualSize;
    this.#chunkSize = settings.chunkSize;
    this.#format = format;
    this.#map = map;
    this.#counters = newCounters();
    const devices = format.members.map((one) => one.device);
    this.capabilities = {
      readOnly: settings.readOnly,
      discard: devices.some((one) => one.capabilities.discard),
      fastZeroes: devices.every((one) => one.capabilities.fastZeroes),
    };
    this.#firstWrites = new FirstWrites(
      settings,
      format,
      map,
      (cause) => this.#fail(cause),
    );
  }

  /**
   * Makes the first free chunks ready, where that costs nothing, so that the
   * first write does not wait for it.
   */
  prepare(): Promise<void> {
    return this.#firstWrites.prepare();
  }

  /** Its name. */
  get name(): string {
    return this.settings.name;
  }

  /** Its random number. */
  get id(): number {
    return this.settings.id;
  }

  /** Set while more bytes wait for space than should. */
  get congestion(): Promise<void> | undefined {
    return this.#firstWrites.delayed.congestion;
  }

  /**
   * Reads; what is not mapped reads as zeroes.
   *
   * @param target Where the bytes go.
   * @param offset The first byte.
   * @returns A promise only if a component needs one.
   * @throws {VirstorError} `io`, `shutdown`.
   */
  read(target: Uint8Array, offset: number): Completion {
    const length = target.length;
    this.#assertRange(offset, length);
    if (this.#closed !== undefined) throw this.#closedError();
    this.#counters.reads++;
    this.#counters.readBytes += length;
    const chunkSize = this.#chunkSize;
    const chunk = Math.floor(offset / chunkSize);
    const within = offset - chunk * chunkSize;
    if (within + length <= chunkSize) {
      return this.#readPiece(target, chunk, within);
    }
    const head = chunkSize - within;
    const pending = this.#readPiece(target.subarray(0, head), chunk, within);
    let rest: Completion;
    let v = chunk;
    for (let done = head; done < length; done += chunkSize) {
      const piece = target.subarray(done, done + chunkSize);
      rest = both(rest, this.#readPiece(piece, ++v, 0));
    }
    return both(pending, rest);
  }

  /**
   * Writes. A write to mapped chunks is in the page cache at return; one that
   * needs a chunk when none is free waits, or fails if that is the policy.
   *
   * @param source The bytes.
   * @param offset The first byte.
   * @param options How.
   * @returns A promise if it waits, or with `fua`.
   * @throws {VirstorError} `no-space`, `io`, `failed`, `read-only`,
   *   `cancelled`, `shutdown`.
   */
  write(
    source: Uint8Array,
    offset: number,
    options?: WriteOptions,
  ): Completion {
    const length = source.length;
    this.#assertRange(offset, length);
    this.#assertWritable();
    this.#counters.writes++;
    this.#counters.writtenBytes += length;
    const chunkSize = this.#chunkSize;
    const chunk = Math.floor(offset / chunkSize);
    const within = offset - chunk * chunkSize;
    const component = this.#map.component(chunk);
    if (component !== undefined && within + length <= chunkSize) {
      const at = this.#map.chunk(chunk) * chunkSize + within;
      const pending = component.device.write(source, at);
      return options?.fua === true ? this.#thenFlush(pending) : pending;
    }
    const pending = this.#firstWrites.write(
      source,
      offset,
      length,
      options?.signal,
    );
    return options?.fua === true ? this.#thenFlush(pending) : pending;
  }

  /**
   * Makes durable, on every component, data and map of all writes that were
   * done before.
   *
   * @returns A promise if there is anything to make durable.
   * @throws {VirstorError} `failed` from the first failure on.
   */
  flush(): Completion {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed !== undefined) throw this.#closedError();
    this.#counters.flushes++;
    return this.#flushMembers();
  }

  /**
   * Gives back the space of a range inside mapped chunks, where the file
   * system can. Nothing is unmapped: in format 1 a chunk stays where it is.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param options How.
   * @returns A promise only with `fua`.
   */
  discard(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion {
    this.#assertRange(offset, length);
    this.#assertWritable();
    this.#counters.discards++;
    const pending = eachMapped(
      this.#map,
      this.#chunkSize,
      offset,
      length,
      (device, at, count) => device.discard(at, count),
    );
    return options?.fua === true ? this.#thenFlush(pending) : pending;
  }

  /**
   * Makes a range read as zeroes. What is not mapped does already, and gets a
   * chunk only with `noHole`.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param options How.
   * @returns A promise if a component needs one, if it waits, or with `fua`.
   * @throws {VirstorError} As {@linkcode write}; `unsupported` with
   *   `fastOnly`.
   */
  writeZeroes(
    offset: number,
    length: number,
    options: WriteZeroesOptions = {},
  ): Completion {
    this.#assertRange(offset, length);
    this.#assertWritable();
    this.#counters.zeroes++;
    const how = {
      noHole: options.noHole === true,
      fastOnly: options.fastOnly === true,
    };
    let pending = eachMapped(
      this.#map,
      this.#chunkSize,
      offset,
      length,
      (device, at, count) => device.writeZeroes(at, count, how),
    );
    if (how.noHole) {
      pending = both(
        pending,
        this.#firstWrites.write(undefined, offset, length, options.signal),
      );
    }
    return options.fua === true ? this.#thenFlush(pending) : pending;
  }

  /**
   * Which parts are mapped.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns `data` where a chunk is mapped, `hole` where none is.
   */
  extents(offset: number, length: number): Extent[] {
    this.#assertRange(offset, length);
    const runs: { length: number; kind: "data" | "hole" }[] = [];
    const end = Math.ceil((offset + length) / this.#chunkSize);
    for (let at = offset; at < offset + length;) {
      const v = Math.floor(at / this.#chunkSize);
      const isMapped = this.#map.component(v) !== undefined;
      const next = isMapped ? v + 1 : this.#map.nextMapped(v, end);
      const stop = Math.min(next * this.#chunkSize, offset + length);
      const kind = isMapped ? "data" : "hole";
      const last = runs[runs.length - 1];
      if (last?.kind === kind) last.length += stop - at;
      else runs.push({ length: stop - at, kind });
      at = stop;
    }
    return runs;
  }

  /**
   * What there is to tell of the pool.
   *
   * @returns A snapshot.
   */
  status(): PoolStatus {
    return describePool({
      settings: this.settings,
      format: this.#format,
      mapped: this.#map.mapped,
      delayed: this.#firstWrites.delayed,
      counters: { ...this.#counters, firstWrites: this.#firstWrites.count },
      state: this.#failure !== undefined
        ? "failed"
        : this.#closed !== undefined
        ? "closed"
        : "open",
      reason: this.#failure?.message ?? "",
    });
  }

  /**
   * Adds components, in one atomic step, and lets waiting writes go on.
   *
   * @param paths Where they are.
   * @param options How.
   * @returns What was added.
   * @throws {VirstorError} `invalid`, `exists`, `not-found`, `busy`: nothing
   *   has changed then. `failed`: no more writes are taken.
   */
  add(paths: readonly string[], options: AddOptions = {}): Promise<AddResult> {
    return this.#change(async () => {
      const result = await addComponents(this.#format, this.settings, {
        ...options,
        paths,
        onCommit: () => this.#membersChanged(),
      });
      this.#emit("added", `Added ${result.components.length} components`);
      return result;
    });
  }

  /**
   * Removes components that hold no chunk, in one atomic step.
   *
   * @param paths Which ones.
   * @returns Which ones were removed.
   * @throws {VirstorError} `invalid` if one is no member, holds chunks or has
   *   to stay: nothing has changed then. `failed`: no more writes are taken.
   */
  remove(paths: readonly string[]): Promise<{ removed: string[] }> {
    return this.#change(async () => {
      const result = await removeComponents(this.#format, this.settings, {
        paths,
        settle: () => this.#firstWrites.settle(),
        onCommit: () => this.#membersChanged(),
      });
      this.#emit("removed", `Removed ${result.removed.join(", ")}`);
      return result;
    });
  }

  /**
   * Holds what is on disk against what is in memory, while I/O goes on.
   *
   * @returns What does not agree.
   */
  check(): Promise<Finding[]> {
    return this.#change(() => this.#format.check(this.#map), { reading: true });
  }

  /**
   * Stops: waiting writes fail with `shutdown`, everything else is made
   * durable, the labels are brought up to date, the components are unlocked.
   *
   * @throws {VirstorError} `io` if not everything could be made durable; the
   *   components are unlocked all the same.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /**
   * Stops, at the end of an `await using` block.
   *
   * @returns As {@linkcode close}.
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#firstWrites.end(this.#closedError());
    await this.#changing;
    await this.#firstWrites.settle();
    try {
      if (this.#failure === undefined && !this.settings.readOnly) {
        this.#format.recordStop();
        await this.#flushMembers();
      }
    } finally {
      for (const { device } of this.#format.members) await device.close();
    }
  }

  #readPiece(target: Uint8Array, chunk: number, within: number): Completion {
    const component = this.#map.component(chunk);
    if (component === undefined) {
      target.fill(0);
      return undefined;
    }
    const at = this.#map.chunk(chunk) * this.#chunkSize + within;
    return component.device.read(target, at);
  }

  #flushMembers(): Completion {
    let pending: Completion;
    try {
      for (const { device } of this.#format.members) {
        pending = both(pending, device.flush());
      }
    } catch (error) {
      abandon(pending);
      throw this.#fail(error);
    }
    return pending?.catch((error) => {
      throw this.#fail(error);
    });
  }

  #thenFlush(pending: Completion): Completion {
    return pending === undefined
      ? this.#flushMembers()
      : pending.then(() => this.#flushMembers());
  }

  /** One change at a time; a failure that leaves doubt stops the writes. */
  #change<T>(
    change: () => Promise<T>,
    { reading = false } = {},
  ): Promise<T> {
    const run = this.#changing.then(async () => {
      if (this.#closed !== undefined) throw this.#closedError();
      if (!reading) this.#assertWritable();
      try {
        return await change();
      } catch (error) {
        const inDoubt = error instanceof VirstorError &&
          error.code === "failed";
        throw inDoubt ? this.#fail(error) : error;
      }
    });
    this.#changing = run.catch(() => {});
    return run;
  }

  #membersChanged(): void {
    this.#map.setComponents(this.#format.members);
    this.#firstWrites.membersChanged();
  }

  #fail(cause: unknown): VirstorError {
    if (this.#failure !== undefined) return this.#failure;
    this.#failure = new VirstorError(
      "failed",
      `Pool "${this.name}" takes no more writes: ${messageOf(cause)}`,
      { cause },
    );
    this.#emit("failed", this.#failure.message);
    this.#firstWrites.delayed.failAll(this.#failure);
    return this.#failure;
  }

  #assertWritable(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed !== undefined) throw this.#closedError();
    if (!this.settings.readOnly) return;
    throw new VirstorError(
      "read-only",
      `Cannot write to pool "${this.name}": it was opened for reading only`,
    );
  }

  #assertRange(offset: number, length: number): void {
    assert(
      offset >= 0 && length >= 0 && offset + length <= this.size,
      "a request is inside the disk",
    );
  }

  #closedError(): VirstorError {
    return new VirstorError("shutdown", `Pool "${this.name}" is stopped`);
  }

  #emit(kind: PoolEvent["kind"], message: string): void {
    this.settings.onEvent({ kind, message });
  }
}
