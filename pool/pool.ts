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
  FlushOptions,
  Leases,
  WriteOptions,
  WriteZeroesOptions,
} from "../device/mod.ts";
import { assert, VirstorError } from "../errors.ts";
import type { Component } from "./component.ts";
import type { PoolControl } from "./control.ts";
import { Eraser } from "./eraser.ts";
import type { ResumeOptions } from "./evacuation.ts";
import type { Finding } from "./findings.ts";
import { flushAll } from "./flush_all.ts";
import type { FirstWrites } from "./first_writes.ts";
import type { ForwardMap } from "./forward_map.ts";
import type { Health } from "./health.ts";
import { mappedExtents } from "./mapped_ranges.ts";
import type {
  AddOptions,
  AddResult,
  RemoveOptions,
  RemovePlan,
  RemoveResult,
} from "./membership.ts";
import { planRemoval } from "./membership.ts";
import type { PoolParts } from "./parts.ts";
import type { PoolFormat } from "./pool_format.ts";
import { PoolLeases } from "./pool_leases.ts";
import { Reads } from "./reads.ts";
import type { ResizeOptions } from "./resize.ts";
import type { PoolSettings } from "./settings.ts";
import { type StatusContext, statusContexts } from "./status_contexts.ts";
import type { PoolCounters, PoolStatus } from "./status.ts";
import { describePool, newCounters } from "./status.ts";
import { wirePool } from "./wiring.ts";

/** A pool that is open, with its components locked. */
export class Pool implements BlockDevice {
  /** Requests may start and end at any byte. */
  readonly blockSize = 1;
  /** What it can do. */
  readonly capabilities: DeviceCapabilities;
  /** Its fixed settings. */
  readonly settings: PoolSettings;

  readonly #format: PoolFormat;
  readonly #map: ForwardMap;
  readonly #reads: Reads;
  readonly #firstWrites: FirstWrites;
  readonly #parts: PoolParts;
  readonly #eraser: Eraser;
  readonly #control: PoolControl;
  readonly #counters: PoolCounters;
  readonly #chunkSize: number;
  #size: number;
  readonly #health: Health;
  #closed: Promise<void> | undefined;
  #leases: PoolLeases | undefined;

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
    const { chunkSize } = settings;
    this.#chunkSize = chunkSize;
    this.#size = map.virtualChunks * chunkSize;
    this.#format = format;
    this.#map = map;
    this.#counters = newCounters();
    const { parts, health, control } = wirePool(settings, format, map, {
      sizeChanged: (size) => this.#size = size,
    });
    this.#health = health;
    this.#control = control;
    this.#parts = parts;
    this.#firstWrites = parts.firstWrites;
    this.#reads = new Reads(map, chunkSize, () => health.assertComplete());
    this.#eraser = new Eraser(parts);
    const devices = format.members.map((one) => one.device);
    this.capabilities = {
      readOnly: settings.readOnly,
      discard: !format.isDense ||
        devices.some((one) => one.capabilities.discard),
      fastZeroes: devices.every((one) => one.capabilities.fastZeroes),
    };
  }

  /**
   * Makes the first free chunks ready, where that costs nothing, so that the
   * first write does not wait; goes on with what a stop left half way.
   *
   * @internal
   * @param freed Chunks that are nobody's, and not free yet.
   * @param evacuation What becomes of one that was under way.
   */
  async begin(
    freed: ReadonlyMap<Component, readonly number[]>,
    { paused = false, bytesPerSecond = 0 }: ResumeOptions = {},
  ): Promise<void> {
    for (const [one, chunks] of freed) this.#parts.releases.add(one, chunks);
    await this.#parts.space.prepareFirst();
    if (!paused) this.#control.evacuation.start(bytesPerSecond);
  }

  /** Bytes of the virtual disk. */
  get size(): number {
    return this.#size;
  }

  /** Whether any of it is on a disk that turns, as far as is known. */
  get rotational(): boolean {
    return this.#format.members.some(({ device }) => device.rotational);
  }

  /** What clients can ask of ranges, for an export's metadata contexts. */
  get contexts(): readonly StatusContext[] {
    return statusContexts({
      settings: this.settings,
      format: this.#format,
      map: this.#map,
      delayed: this.#firstWrites.delayed,
      isWritable: () =>
        !this.settings.readOnly && this.#health.state === "open",
    });
  }

  /** Chunks that other threads may read and write by themselves. */
  get leases(): Leases {
    this.#leases ??= new PoolLeases(this.#parts, this.#health);
    return this.#leases;
  }

  /** Its name. */
  get name(): string {
    return this.settings.name;
  }

  /** What tells it from others of its name. */
  get id(): string {
    return this.settings.id;
  }

  /** Set while too many bytes wait for space. */
  get congestion(): Promise<void> | undefined {
    return this.#firstWrites.delayed.congestion;
  }

  /**
   * Reads; what is not mapped reads as zeroes.
   *
   * @param target Where the bytes go.
   * @param offset The first byte.
   * @returns A promise if something is not in the page cache.
   * @throws {VirstorError} `io`, `shutdown`.
   */
  read(target: Uint8Array, offset: number): Completion {
    const length = target.length;
    this.#checkRange(offset, length);
    this.#health.assertOpen();
    this.#counters.reads++;
    this.#counters.readBytes += length;
    return this.#reads.read(target, offset);
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
    this.#checkRange(offset, length);
    this.#health.assertWritable();
    this.#counters.writes++;
    this.#counters.writtenBytes += length;
    const chunkSize = this.#chunkSize;
    const chunk = Math.floor(offset / chunkSize);
    const within = offset - chunk * chunkSize;
    const component = this.#map.component(chunk);
    if (component !== undefined && within + length <= chunkSize) {
      const at = this.#map.chunk(chunk) * chunkSize + within;
      const pending = component.data.write(source, at);
      return options?.fua === true ? this.#thenFlush(pending) : pending;
    }
    const { signal } = options ?? {};
    const pending = this.#firstWrites.write(source, offset, signal);
    return options?.fua === true ? this.#thenFlush(pending) : pending;
  }

  /**
   * Makes durable, on every component, data and map of all writes that were
   * done before.
   *
   * @param options How.
   * @returns A promise if there is anything to make durable.
   * @throws {VirstorError} `failed` from the first failure on.
   */
  flush(options?: FlushOptions): Completion {
    this.#health.assertSound();
    this.#counters.flushes++;
    return this.#flushMembers(options);
  }

  /**
   * Gives back the space of a range. Whole chunks are unmapped and become free
   * again (not in format 1, where a chunk stays where it is); parts of chunks
   * are given back to the file system, where it can.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param options How.
   * @returns A promise if it takes long, or with `fua`.
   * @throws {VirstorError} `io`, `failed`, `read-only`, `shutdown`.
   */
  discard(
    offset: number,
    length: number,
    options?: WriteOptions,
  ): Completion {
    this.#checkRange(offset, length);
    this.#health.assertWritable();
    this.#counters.discards++;
    const pending = this.#eraser.discard(offset, length, options?.signal);
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
    this.#checkRange(offset, length);
    this.#health.assertWritable();
    this.#counters.zeroes++;
    const { noHole = false, fastOnly = false, signal } = options;
    const how = { noHole, fastOnly };
    let pending = this.#eraser.zero(offset, length, how, signal);
    if (noHole) {
      const allocate = () => {
        // Meanwhile the disk may have become smaller, or the pool have failed.
        this.#checkRange(offset, length);
        this.#health.assertWritable();
        return this.#firstWrites.allocate(offset, length, signal);
      };
      // One after the other: what is mapped reads as zeroes already.
      pending = pending === undefined ? allocate() : pending.then(allocate);
    }
    return options.fua === true ? this.#thenFlush(pending) : pending;
  }

  /**
   * What is known of a range.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param limit Runs that are wanted at most.
   * @returns `hole` where no chunk is mapped; where one is, `zero` for what
   *   its file has holes for, and `data`.
   * @throws {VirstorError} `invalid`.
   */
  extents(offset: number, length: number, limit = Infinity): Extent[] {
    this.#checkRange(offset, length);
    if (this.settings.missing.length > 0) return [{ length, kind: "data" }];
    const [map, chunkSize] = [this.#map, this.#chunkSize];
    return mappedExtents({ map, chunkSize, offset, length }, limit);
  }

  /**
   * How much of a range is known at no cost to be a hole.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns Bytes from the first one on that no chunk is mapped for; 0 where
   *   the disk has shrunk, so that a read is made and fails.
   */
  leadingHole(offset: number, length: number): number {
    if (offset + length > this.size) return 0;
    const chunkSize = this.#chunkSize;
    const first = Math.floor(offset / chunkSize);
    if (this.#map.component(first) !== undefined) return 0;
    if (this.settings.missing.length > 0) return 0;
    const end = Math.ceil((offset + length) / chunkSize);
    const mapped = this.#map.nextMapped(first, end) * chunkSize;
    return Math.min(mapped - offset, length);
  }

  /**
   * What there is to tell of the pool.
   *
   * @returns A snapshot.
   */
  status(): PoolStatus {
    const { count: firstWrites } = this.#firstWrites;
    const counters = { ...this.#counters, firstWrites };
    this.#leases?.addWork(counters);
    return describePool({
      settings: this.settings,
      format: this.#format,
      virtualSize: this.#size,
      mapped: this.#map.mapped,
      evacuation: this.#control.evacuation.status,
      delayed: this.#firstWrites.delayed,
      counters,
      state: this.#health.state,
      reason: this.#health.reason,
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
    return this.#control.add(paths, options);
  }

  /**
   * Removes components, in one atomic step. Those that hold chunks are
   * evacuated first, beside the requests, if need be by the next open.
   * {@linkcode status} tells how far it is.
   *
   * @param paths Which ones.
   * @param options How.
   * @returns Which ones were removed, and which ones will be.
   * @throws {VirstorError} `invalid` if one is no member or has to stay,
   *   `no-space` if the others have no room: nothing has changed then.
   *   `failed`: no more writes are taken.
   */
  remove(
    paths: readonly string[],
    options: RemoveOptions = {},
  ): Promise<RemoveResult> {
    return this.#control.remove(paths, options);
  }

  /**
   * What {@linkcode remove} would do.
   *
   * @param paths Which components.
   * @returns How much would move, and whether there is room for it.
   * @throws {VirstorError} `invalid` if one is no member or has to stay.
   */
  planRemove(paths: readonly string[]): RemovePlan {
    return planRemoval(this.#parts, paths);
  }

  /**
   * Ends an evacuation: the components stay. What was moved stays moved.
   *
   * @param paths Which ones; each is on its way out.
   * @returns Which ones stay.
   * @throws {VirstorError} `invalid` if one is not on its way out; `failed`.
   */
  cancelRemove(paths: readonly string[]): Promise<{ kept: string[] }> {
    return this.#control.cancelRemove(paths);
  }

  /**
   * Gives the disk another size, in one atomic step. Connections that are open
   * learn of it when they connect again.
   *
   * @param virtualSize Bytes, rounded up to whole chunks.
   * @param options Whether it may become smaller.
   * @returns Its size.
   * @throws {VirstorError} `invalid`, `unsupported` in format 1: nothing has
   *   changed then. `failed`: no more writes are taken.
   */
  resize(
    virtualSize: number,
    options: ResizeOptions = {},
  ): Promise<{ virtualSize: number }> {
    return this.#control.resize(virtualSize, options);
  }

  /**
   * Holds what is on disk against what is in memory, while I/O goes on.
   *
   * @returns What does not agree.
   */
  check(): Promise<Finding[]> {
    return this.#control.check();
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

  /** Stops, at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { space, releases } = this.#parts;
    this.#firstWrites.end(this.#health.close());
    this.#leases?.end();
    releases.stop();
    await this.#control.settle();
    await space.settle();
    await releases.settle();
    try {
      if (this.#health.state !== "failed" && !this.settings.readOnly) {
        await this.#flushMembers();
        await this.#format.stop();
      }
    } finally {
      for (const { device } of this.#format.members) await device.close();
    }
  }

  #flushMembers(options?: FlushOptions): Completion {
    const failed = (error: unknown) => {
      throw this.#health.fail(error);
    };
    try {
      this.#leases?.settleWrites(this.#format.members);
      const devices = this.#format.members.map(({ device }) => device);
      return flushAll(devices, options)?.catch(failed);
    } catch (error) {
      return failed(error);
    }
  }

  #thenFlush(pending: Completion): Completion {
    if (pending === undefined) return this.#flushMembers();
    return pending.then(() => this.#flushMembers());
  }

  /** Not only asserted: the disk may have become smaller. */
  #checkRange(offset: number, length: number): void {
    assert(offset >= 0 && length >= 0, "a request is a range");
    if (offset + length <= this.#size) return;
    throw new VirstorError(
      "invalid",
      `Cannot reach byte ${offset + length} of pool "${this.name}": it has ` +
        `${this.#size}`,
    );
  }
}
