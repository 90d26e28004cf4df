/**
 * An open pool: a block device whose chunks are mapped, when first written,
 * onto components. A write to a mapped chunk is a look-up in the forward map
 * and a write to the component; any other goes to {@linkcode FirstWrites},
 * which takes a free chunk, or waits for one. No mutation spans an `await`.
 *
 * @module
 */

import {
  abandon,
  type BlockDevice,
  type Completion,
  type DeviceCapabilities,
  type Extent,
  type WriteOptions,
  type WriteZeroesOptions,
} from "../device/block/mod.ts";
import type { Leases } from "../device/leases/mod.ts";
import { assert } from "../errors.ts";
import {
  assertInside,
  type Component,
  type Finding,
  flushAll,
  type ForwardMap,
  type Health,
  InFlight,
  newCounters,
  type PoolCounters,
  type PoolSettings,
} from "./core/mod.ts";
import {
  type AddOptions,
  type AddResult,
  planRemoval,
  type PoolControl,
  type RemoveOptions,
  type RemovePlan,
  type RemoveResult,
  type ResizeOptions,
  type ResumeOptions,
} from "./change/mod.ts";
import {
  Eraser,
  type FirstWrites,
  leadingHole,
  mappedExtents,
  PoolLeases,
  type PoolParts,
  Reads,
} from "./io/mod.ts";
import type { PoolFormat } from "./format/mod.ts";
import { type StatusContext, statusContexts } from "./status_contexts.ts";
import { describePool, type PoolStatus } from "./status.ts";
import { capabilitiesOf, wirePool } from "./wiring.ts";

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
  readonly #counters: PoolCounters = newCounters();
  readonly #chunkSize: number;
  readonly #health: Health;
  readonly #inFlight = new InFlight();
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
    this.#chunkSize = settings.chunkSize;
    this.#format = format;
    this.#map = map;
    const { parts, health, control } = wirePool(settings, format, map);
    this.#health = health;
    this.#control = control;
    this.#parts = parts;
    this.#firstWrites = parts.firstWrites;
    this.#reads = new Reads(
      map,
      settings.chunkSize,
      () => health.assertComplete(),
    );
    this.#eraser = new Eraser(parts, () => health.assertWritable());
    this.capabilities = capabilitiesOf(settings, format);
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
    return this.#map.virtualChunks * this.#chunkSize;
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
    this.#leases ??= new PoolLeases(this.#parts, this.#health, (ended) => {
      this.#counters.flushes++;
      const failed = (error: unknown) => {
        throw this.#health.fail(error);
      };
      abandon(this.#inFlight.track(ended.catch(failed)));
    });
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

  /** How many writes have begun to wait for a chunk since it was opened. */
  get waits(): number {
    return this.#firstWrites.delayed.begun;
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
    assertInside(this, offset, length);
    this.#health.assertOpen();
    this.#counters.reads++;
    this.#counters.readBytes += length;
    return this.#inFlight.track(this.#reads.read(target, offset));
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
    assertInside(this, offset, length);
    this.#health.assertWritable();
    this.#counters.writes++;
    this.#counters.writtenBytes += length;
    const chunkSize = this.#chunkSize;
    const chunk = Math.floor(offset / chunkSize);
    const within = offset - chunk * chunkSize;
    const component = this.#map.component(chunk);
    if (component !== undefined && within + length <= chunkSize) {
      const at = this.#map.chunk(chunk) * chunkSize + within;
      const pending = this.#parts.hosts.write(component, source, at);
      return this.#ending(pending, options);
    }
    const { signal } = options ?? {};
    const pending = this.#firstWrites.write(source, offset, signal);
    return this.#ending(pending, options);
  }

  /**
   * Makes durable, on every component, data and map of all writes that were
   * done before.
   *
   * @returns A promise if there is anything to make durable.
   * @throws {VirstorError} `failed` from the first failure on.
   */
  flush(): Completion {
    this.#health.assertSound();
    this.#counters.flushes++;
    return this.#inFlight.track(this.#flushMembers());
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
    assertInside(this, offset, length);
    this.#health.assertWritable();
    this.#counters.discards++;
    const pending = this.#eraser.discard(offset, length, options?.signal);
    return this.#ending(pending, options);
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
    assertInside(this, offset, length);
    this.#health.assertWritable();
    this.#counters.zeroes++;
    const pending = this.#eraser.zero(offset, length, options);
    return this.#ending(pending, options);
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
    assertInside(this, offset, length);
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
    if (this.settings.missing.length > 0) return 0;
    const [map, chunkSize] = [this.#map, this.#chunkSize];
    return leadingHole({ map, chunkSize, offset, length });
  }

  /**
   * Looks how much room the host's file systems have, for
   * {@linkcode status}. One that does not answer in a moment is not waited for.
   */
  async lookAtHosts(): Promise<void> {
    await this.#parts.hosts.look(this.#format.members);
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
      virtualSize: this.size,
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

  /** Writes that wait for space fail with `shutdown`, and so do later ones. */
  endWaiting(): void {
    this.#firstWrites.end(this.#health.stopError());
  }

  /**
   * Stops. The pool refuses new requests and changes with `shutdown`, and so
   * ends writes that wait for space, changes that wait for their turn, and
   * discards and zeroing between two turns. The pool waits for the requests in
   * flight, the change that has begun and the chunks that are being freed or
   * made ready, makes everything durable, brings the labels up to date and
   * unlocks the components.
   *
   * @returns Done when nothing writes to the components any more.
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
    await this.#inFlight.settled();
    await space.settle();
    await releases.settle();
    assert(this.#inFlight.count === 0, "no request begins in a closed pool");
    try {
      if (this.#health.state !== "failed" && !this.settings.readOnly) {
        await this.#flushMembers();
        await this.#format.stop();
      }
    } finally {
      for (const { device } of this.#format.members) await device.close();
    }
  }

  #flushMembers(): Completion {
    const failed = (error: unknown) => {
      throw this.#health.fail(error);
    };
    try {
      this.#leases?.settleWrites(this.#format.members);
      const devices = this.#format.members.map(({ device }) => device);
      return flushAll(devices)?.catch(failed);
    } catch (error) {
      return failed(error);
    }
  }

  /** Ends a request that may have to be durable. */
  #ending(pending: Completion, options: WriteOptions | undefined): Completion {
    if (options?.fua !== true) return this.#inFlight.track(pending);
    const flushed = pending === undefined
      ? this.#flushMembers()
      : pending.then(() => this.#flushMembers());
    return this.#inFlight.track(flushed);
  }
}
