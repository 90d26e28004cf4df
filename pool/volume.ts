/**
 * A volume: a block device whose chunks are mapped, when first written, onto
 * the components of its pool. A write to a mapped chunk is a look-up in the
 * forward map and a write to the component; any other goes to
 * {@linkcode FirstWrites}, which takes a free chunk, or waits for one. No
 * mutation spans an `await`.
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
} from "../device/block/mod.ts";
import type { SnapshotRecord } from "../metadata/native/mod.ts";
import type { Leases } from "../device/leases/mod.ts";
import {
  assertInside,
  type ForwardMap,
  type Health,
  type HostSpaces,
  InFlight,
  newCounters,
  type PoolCounters,
} from "./core/mod.ts";
import {
  type DelayedWrites,
  Eraser,
  type FirstWrites,
  flushMembers,
  leadingHole,
  mappedExtents,
  PoolLeases,
  readableOf,
  Reads,
  remoteCongestion,
  remoteWaits,
  type VolumeParts,
} from "./io/mod.ts";
import { changedContexts } from "./changed_contexts.ts";
import type { StatusContext, StatusFamily } from "./status_contexts.ts";
import { VolumeAccess } from "./volume_access.ts";
import { volumeContexts } from "./volume_contexts.ts";

/** A disk of an open pool. `Pool.volume` gives it. */
export class Volume implements BlockDevice {
  /** Requests may start and end at any byte. */
  readonly blockSize = 1;
  /** The number of the volume in its pool; the first one is 0. */
  readonly number: number;
  /** Tells volumes of the same name apart: a UUID, or a number. */
  readonly id: string;

  readonly #parts: VolumeParts;
  readonly #map: ForwardMap;
  readonly #hosts: HostSpaces;
  readonly #reads: Reads;
  readonly #firstWrites: FirstWrites;
  readonly #eraser: Eraser;
  readonly #counters: PoolCounters = newCounters();
  readonly #chunkSize: number;
  readonly #inFlight = new InFlight();
  readonly #access: VolumeAccess;
  #closed: Promise<void> | undefined;
  #leases: PoolLeases | undefined;

  /**
   * Makes a volume of an open pool.
   *
   * @internal
   * @param parts The parts of the volume.
   * @param health Whether the pool takes requests.
   */
  constructor(parts: VolumeParts, health: Health) {
    const { record, base, map } = parts;
    const { id, chunkSize } = base.settings;
    this.number = record.id;
    this.id = record.id === 0 ? id : `${id}/${record.id}`;
    this.#parts = parts;
    this.#map = map;
    this.#hosts = base.hosts;
    this.#chunkSize = chunkSize;
    this.#access = new VolumeAccess(parts, health);
    this.#firstWrites = parts.firstWrites;
    const viewed = readableOf(parts);
    this.#reads = new Reads(viewed, chunkSize, () => health.assertComplete());
    this.#eraser = new Eraser(parts, () => this.#health.assertWritable());
  }

  /** What the volume can do. Connections learn of it when they begin. */
  get capabilities(): DeviceCapabilities {
    return this.#access.capabilities;
  }

  /** The volume's name: the first volume of a pool has the pool's. */
  get name(): string {
    return this.#parts.record.name;
  }

  /**
   * What the superblock says of its snapshots, the oldest first.
   *
   * @internal
   */
  get snapshots(): readonly SnapshotRecord[] {
    return this.#parts.record.snapshots;
  }

  /** Chunks that are mapped for the volume alone, shared or not. */
  get mappedChunks(): number {
    return this.#map.mapped;
  }

  /** Bytes of the volume. Only the forward map knows how many chunks it has. */
  get size(): number {
    return this.#map.virtualChunks * this.#chunkSize;
  }

  /** Whether a component is known to be on a rotational disk. */
  get rotational(): boolean {
    return this.#parts.base.format.members.some(({ device }) =>
      device.rotational
    );
  }

  /** What clients can ask of ranges, for an export's metadata contexts. */
  get contexts(): readonly StatusContext[] {
    return volumeContexts(
      this.#parts,
      () => !this.capabilities.readOnly && this.#health.state === "open",
    );
  }

  /** What clients can ask of ranges: what has changed since each snapshot. */
  get contextFamilies(): readonly StatusFamily[] {
    return changedContexts(this.#parts, { view: () => this.#map.view });
  }

  /**
   * Chunks that other threads may read and write by themselves.
   *
   * @internal
   */
  get leases(): Leases {
    this.#leases ??= new PoolLeases(this.#parts, () => this.#health);
    return this.#leases;
  }

  /** Set while too many bytes wait for space, in the pool or in a journal. */
  get congestion(): Promise<void> | undefined {
    return this.delayed.congestion ?? remoteCongestion(this.#parts.base);
  }

  /** How many writes have begun to wait for space since the pool was opened. */
  get waits(): number {
    return this.#firstWrites.delayed.begun + remoteWaits(this.#parts.base);
  }

  /** What the volume has done since the pool was opened: a snapshot. */
  get counters(): Readonly<PoolCounters> {
    const { count: firstWrites } = this.#firstWrites;
    const counters = { ...this.#counters, firstWrites };
    this.#leases?.addWork(counters);
    return counters;
  }

  /** Requests that have begun and not ended. */
  get requestsInFlight(): number {
    return this.#inFlight.count;
  }

  /**
   * Writes that wait for space.
   *
   * @internal
   */
  get delayed(): DelayedWrites {
    return this.#firstWrites.delayed;
  }

  /**
   * Reads. Unmapped chunks read as zeroes.
   *
   * @param target Where the bytes go; its length is the length of the read.
   * @param offset The first byte on the volume.
   * @returns A promise if something is not in the page cache.
   * @throws {VirstorError} `io`, `shutdown`.
   */
  read(target: Uint8Array, offset: number): Completion {
    const length = target.length;
    assertInside(this, offset, length);
    this.#health.assertOpen();
    this.#counters.reads++;
    this.#counters.bytesRead += length;
    return this.#inFlight.track(this.#reads.read(target, offset));
  }

  /**
   * Writes. A write to mapped chunks is in the page cache at return; one that
   * needs a chunk when none is free waits, or fails if that is the policy.
   *
   * @param source The bytes; the caller's again when the call returns.
   * @param offset The first byte on the volume.
   * @param options Whether the write is durable before it is done, and what
   *   ends its wait.
   * @returns A promise if the write waits, or with `fua`.
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
    this.#counters.bytesWritten += length;
    const chunkSize = this.#chunkSize;
    const chunk = Math.floor(offset / chunkSize);
    const within = offset - chunk * chunkSize;
    const component = this.#map.writable(chunk);
    if (component !== undefined && within + length <= chunkSize) {
      const at = this.#map.chunk(chunk) * chunkSize + within;
      try {
        return this.#ending(this.#hosts.write(component, source, at), options);
      } catch (error) {
        const elsewhere = this.#firstWrites
          .writeElsewhere(error, source, offset, options?.signal);
        return this.#ending(elsewhere, options);
      }
    }
    const pending = this.#firstWrites.write(source, offset, options?.signal);
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
    return this.#inFlight.track(flushMembers(this.#parts.base));
  }

  /**
   * Gives back the space of a range. Whole chunks are unmapped and become free
   * again (not in format 1, where a chunk stays where it is); parts of chunks
   * are given back to the file system, where it can.
   *
   * @param offset The first byte on the volume.
   * @param length Bytes, any number.
   * @param options Whether the discard is durable before it is done; its
   *   signal is also the owner of the turns of a long discard.
   * @returns A promise if the discard takes long, or with `fua`.
   * @throws {VirstorError} `io`, `failed`, `read-only`, `shutdown`.
   */
  discard(offset: number, length: number, options?: WriteOptions): Completion {
    assertInside(this, offset, length);
    this.#health.assertWritable();
    this.#counters.discards++;
    const pending = this.#eraser.discard(offset, length, options?.signal);
    return this.#ending(pending, options);
  }

  /**
   * Makes a range read as zeroes. Unmapped chunks do already, and are mapped
   * only with `noHole`.
   *
   * @param offset The first byte on the volume.
   * @param length Bytes, any number.
   * @param options Whether the range keeps its space, and whether slow zeroing
   *   is refused.
   * @returns A promise if the zeroing takes long or waits, or with `fua`.
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
    return this.#ending(this.#eraser.zero(offset, length, options), options);
  }

  /**
   * Tells which parts of a range hold data.
   *
   * @param offset The first byte on the volume.
   * @param length Bytes.
   * @param limit Runs that are wanted at most; all unless given.
   * @returns `hole` for unmapped chunks; of mapped chunks `zero` for holes in
   *   the component's file, else `data`.
   * @throws {VirstorError} `invalid`, `shutdown`.
   */
  extents(offset: number, length: number, limit = Infinity): Extent[] {
    assertInside(this, offset, length);
    this.#health.assertOpen();
    if (this.#parts.base.settings.missing.length > 0) {
      return [{ length, kind: "data" }];
    }
    const [map, chunkSize] = [this.#map.view, this.#chunkSize];
    return mappedExtents({ map, chunkSize, offset, length }, limit);
  }

  /**
   * Tells how much of a range is known at no cost to be a hole.
   *
   * @param offset The first byte on the volume.
   * @param length Bytes, above 0.
   * @returns Bytes of unmapped chunks at the start of the range; 0 where a read
   *   fails because the volume has shrunk or is closed.
   */
  leadingHole(offset: number, length: number): number {
    if (this.#closed !== undefined || offset + length > this.size) return 0;
    if (this.#parts.base.settings.missing.length > 0) return 0;
    const [map, chunkSize] = [this.#map.view, this.#chunkSize];
    return leadingHole({ map, chunkSize, offset, length });
  }

  /**
   * The parts of the volume.
   *
   * @internal
   */
  get parts(): VolumeParts {
    return this.#parts;
  }

  /**
   * Refuses writes from now on, or takes them again. Those that wait for space
   * end with `read-only`; connections that are open get that error, too.
   *
   * @internal
   * @param isReadOnly Whether writes are refused.
   */
  setReadOnly(isReadOnly: boolean): void {
    if (!this.#access.setReadOnly(isReadOnly)) return;
    this.#leases?.setReadOnly(isReadOnly);
    if (isReadOnly) this.delayed.failAll(this.#health.readOnlyError());
  }

  /** Writes that wait for space fail with `shutdown`, and so do later ones. */
  endWaiting(): void {
    this.#firstWrites.end(this.#health.stopError());
  }

  /**
   * Closes the volume; its pool stays open. The volume refuses new requests
   * with `shutdown`, and so ends writes that wait for space, and discards and
   * zeroing between two turns. Then it waits for the requests in flight. What
   * was written and not flushed becomes durable with the next flush of the
   * pool, at the latest with `Pool.close`. Only opening the pool again opens
   * the volume again.
   *
   * @returns Done when no request of the volume is in flight; never rejects.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Closes the volume, at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#access.close();
    this.#firstWrites.stop(this.#health.stopError());
    this.#leases?.end();
    // No request begins meanwhile: `#health` refuses it.
    await this.#inFlight.settled();
  }

  get #health(): Health {
    return this.#access.health;
  }

  /** Ends a request that may have to be durable. */
  #ending(pending: Completion, options: WriteOptions | undefined): Completion {
    if (options?.fua !== true) return this.#inFlight.track(pending);
    const flushed = pending === undefined
      ? flushMembers(this.#parts.base)
      : pending.then(() => flushMembers(this.#parts.base));
    return this.#inFlight.track(flushed);
  }
}
