/**
 * Writes that need a chunk: they get the next free one, or wait for it. Where
 * the volume sees a chunk that it may not write to in place, the chunk is copied
 * first ({@linkcode ChunkCopies}).
 *
 * @module
 */

import { type Completion, joinParts } from "../../device/block/mod.ts";
import type { VirstorError } from "../../errors.ts";
import type { VolumeRecord } from "../../metadata/native/mod.ts";
import type { ForwardMap, PoolSettings } from "../core/mod.ts";
import { ChunkCopies } from "./chunk_copies.ts";
import type { ChunkMapper, MapperParts } from "./chunk_mapper.ts";
import { ChunkWriter, type FailedWrite } from "./chunk_writer.ts";
import type { DelayedWrite } from "./delayed_write.ts";
import { DelayedWrites } from "./delayed_writes.ts";
import type { FullPool } from "./full_pool.ts";
import { RangeMapper } from "./range_mapper.ts";
import type { Reserves } from "./reserves.ts";
import { Resumption } from "./resumption.ts";
import { VolumeLimits } from "./volume_limits.ts";

/** What first writes work with; all volumes of a pool share it. */
export interface FirstWriteParts
  extends Pick<MapperParts, "settings" | "hosts"> {
  /** Maps free chunks. */
  readonly mapper: ChunkMapper;
  /** What writes do when no chunk is free. */
  readonly full: FullPool;
  /** The chunks that are set aside for volumes. */
  readonly reserves: Reserves;
}

/** The volume whose first writes they are. */
export interface FirstWriteVolume {
  /** The place of each of its chunks. */
  readonly map: ForwardMap;
  /** What the superblock says of it. */
  readonly record: VolumeRecord;
  /**
   * Unmaps a chunk whose component has no room for a write, if the chunk has no
   * data.
   *
   * @param write The write.
   * @returns Whether the chunk was unmapped.
   */
  unmaps(write: FailedWrite): boolean;
}

/** Writes that map chunks, now or later. */
export class FirstWrites {
  /** Writes that wait for a chunk. */
  readonly delayed: DelayedWrites;
  /** What bounds the chunks of the volume. */
  readonly limits: VolumeLimits;
  /** Called when no write waits for a chunk that it may take any more. */
  onNoneWaiting: () => void = () => {};

  readonly #settings: PoolSettings;
  readonly #map: ForwardMap;
  readonly #unmaps: (write: FailedWrite) => boolean;
  readonly #chunks: ChunkWriter;
  readonly #ranges: RangeMapper;
  readonly #resumption: Resumption;
  #hasFailed = false;
  /** The error of writes that would wait, once none may wait any more. */
  #ended: VirstorError | undefined;
  /** The error of copies, once nothing is written any more. */
  #stopped: VirstorError | undefined;

  /**
   * Starts with nothing that waits.
   *
   * @param parts What the volume shares with the others of its pool.
   * @param volume The volume.
   */
  constructor(parts: FirstWriteParts, volume: FirstWriteVolume) {
    const { map } = volume;
    this.#unmaps = volume.unmaps;
    const { settings, hosts, mapper } = parts;
    this.#settings = settings;
    this.#map = map;
    this.delayed = new DelayedWrites({
      // A change may replace these settings.
      maxBytes: () => settings.maxDelayedBytes,
      timeoutMs: () => settings.fullTimeoutSeconds * 1000,
      cause: () => this.limits.cause,
      now: () => performance.now(),
      onEmpty: () => this.#noneWaits(),
    });
    const copies = new ChunkCopies({
      chunkSize: settings.chunkSize,
      map,
      hosts,
      mapper,
      onEnd: () => this.resume(),
      assertWritable: () => {
        if (this.#stopped !== undefined) throw this.#stopped;
      },
    });
    this.limits = new VolumeLimits(
      parts,
      map,
      volume.record,
      () => copies.size,
    );
    this.#chunks = new ChunkWriter({
      chunkSize: settings.chunkSize,
      map,
      hosts,
      mapper,
      copies,
      delayed: this.delayed,
      limits: this.limits,
      unmaps: volume.unmaps,
    });
    this.#ranges = new RangeMapper({
      map,
      delayed: this.delayed,
      mapNow: (chunk) => this.#chunks.mapNow(chunk, []),
      caughtUp: () => mapper.caughtUp(),
      admitWait: () => this.#admitWait(),
    });
    this.#resumption = new Resumption({
      chunkSize: settings.chunkSize,
      map,
      delayed: this.delayed,
      copies,
      ranges: this.#ranges,
      chunks: this.#chunks,
      stillNone: () => this.#stillNone(),
      ended: () => this.#ended !== undefined,
      hasFailed: () => this.#hasFailed,
    });
  }

  /**
   * Chunks could not be made ready: no write waits for them any more.
   *
   * @param error `failed`: no more writes are taken; `io`.
   */
  unready(error: VirstorError): void {
    if (error.code === "failed") this.failed(error);
    else this.delayed.failWaiting(error);
  }

  /**
   * The pool takes no more writes.
   *
   * @param error The error for writes that wait.
   */
  failed(error: VirstorError): void {
    this.#hasFailed = true;
    this.stop(error);
  }

  /**
   * Ends every wait, and copies that are being made, for good.
   *
   * @param error The error that they get.
   */
  stop(error: VirstorError): void {
    this.#stopped = error;
    this.end(error);
  }

  /**
   * Ends every wait, for good; may be called again.
   *
   * @param error The error of writes that wait, and of later ones that would.
   */
  end(error: VirstorError): void {
    this.#ended = error;
    this.delayed.failAll(error);
  }

  /**
   * Writes chunk by chunk, mapping what is unmapped. What finds no chunk
   * waits; the rest does not wait for it.
   *
   * @param source The bytes.
   * @param offset The first byte on the virtual disk.
   * @param signal Ends the wait when the client is gone.
   * @returns A promise if something waits.
   * @throws {VirstorError} `no-space`, `io`, `failed`, `cancelled`, `shutdown`.
   */
  write(
    source: Uint8Array,
    offset: number,
    signal: AbortSignal | undefined,
  ): Completion {
    const { chunkSize } = this.#settings;
    const { length } = source;
    let waiting: DelayedWrite | undefined;
    const pending: Promise<void>[] = [];
    try {
      for (let done = 0; done < length;) {
        const at = offset + done;
        const chunk = Math.floor(at / chunkSize);
        const within = at - chunk * chunkSize;
        const count = Math.min(chunkSize - within, length - done);
        const piece = source.subarray(done, done + count);
        if (
          !this.#chunks.overwriteMapped(chunk, piece, within, pending) &&
          !this.#chunks.beginNow(chunk, piece, within, pending)
        ) {
          if (waiting === undefined) {
            this.#admitWait();
            waiting = this.delayed.begin(signal);
          }
          this.delayed.add(waiting, chunk, within, piece);
        }
        done += count;
      }
    } catch (error) {
      if (waiting === undefined && pending.length === 0) throw error;
      if (waiting !== undefined) this.delayed.fail(waiting, error);
      else pending.push(Promise.reject(error));
    }
    if (pending.length === 0) return waiting?.promise;
    if (waiting !== undefined) pending.push(waiting.promise);
    return joinParts(pending, (one) => one);
  }

  /**
   * Gives chunks to all of a range that has none. It takes a slice at a time,
   * and others have the next chunk in between; where there is no chunk the
   * rest waits for one.
   *
   * @param offset The first byte on the virtual disk.
   * @param length How many bytes.
   * @param signal Ends it when the client is gone; also the owner of its turns.
   * @returns A promise if it takes long, or waits.
   * @throws {VirstorError} `no-space`, `io`, `failed`, `cancelled`.
   */
  allocate(
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
  ): Completion {
    if (length === 0) return undefined;
    const { chunkSize } = this.#settings;
    const next = Math.floor(offset / chunkSize);
    const end = Math.ceil((offset + length) / chunkSize);
    return this.#ranges.start({ next, end, hides: false }, signal);
  }

  /**
   * Hides the chunks of a range that the volume sees and may not write to in
   * place: they read as zeroes, and snapshots keep them.
   *
   * @param next The first virtual chunk.
   * @param end What follows the last one.
   * @param signal Ends it when the client is gone; also the owner of its turns.
   * @returns A promise if it takes long, or waits for chunks.
   * @throws {VirstorError} As {@linkcode allocate}.
   */
  hide(
    next: number,
    end: number,
    signal: AbortSignal | undefined,
  ): Completion {
    return this.#ranges.start({ next, end, hides: true }, signal);
  }

  /**
   * Hides one chunk, unless none is free or others wait.
   *
   * @param chunk The virtual chunk.
   * @returns A promise if that is complete later.
   * @throws {VirstorError} `failed`.
   */
  hideNow(chunk: number): Completion {
    const pending: Promise<void>[] = [];
    this.#chunks.mapNow(chunk, pending);
    return pending[0];
  }

  /**
   * Copies a chunk that the volume sees and has none of its own for.
   *
   * @param chunk The virtual chunk.
   * @returns A promise if it waits; undefined also if there is nothing to copy;
   *   `no chunk` if none is free, or others wait.
   * @throws {VirstorError} `io`, `failed`, `shutdown`.
   */
  copyUp(chunk: number): Completion | "no chunk" {
    if (this.#stopped !== undefined) throw this.#stopped;
    if (this.#map.writable(chunk) !== undefined) return undefined;
    if (!this.#chunks.isSeen(chunk)) return undefined;
    const copies: Promise<void>[] = [];
    const isBegun = this.#chunks
      .beginNow(chunk, new Uint8Array(0), 0, copies);
    return isBegun ? copies[0] : "no chunk";
  }

  /**
   * Maps a chunk that is about to be written to, unless that would take time.
   *
   * @param chunk The virtual chunk.
   * @returns Whether it is mapped, and may be written to in place.
   * @throws {VirstorError} `failed`.
   */
  mapNow(chunk: number): boolean {
    if (this.#map.writable(chunk) !== undefined) return true;
    return !this.#chunks.isSeen(chunk) && this.#chunks.mapNow(chunk, []);
  }

  /** How many chunks were mapped since the pool was opened. */
  get count(): number {
    return this.#chunks.count;
  }

  /** Whether a write waits for a chunk that it may take, once one is free. */
  get waitsForSpace(): boolean {
    return this.delayed.size > 0 && this.limits.mayTake;
  }

  /**
   * Goes on with a write to a mapped chunk that has failed.
   *
   * @param error Why it failed.
   * @param source The bytes, all in one chunk.
   * @param offset The first byte on the virtual disk.
   * @param signal Ends a wait when the client is gone.
   * @returns As {@linkcode write}.
   * @throws {VirstorError} The error, unless another component can take the
   *   chunk; else as {@linkcode write}.
   */
  writeElsewhere(
    error: unknown,
    source: Uint8Array,
    offset: number,
    signal: AbortSignal | undefined,
  ): Completion {
    const { chunkSize } = this.#settings;
    const virtualChunk = Math.floor(offset / chunkSize);
    if (!this.#unmaps({ virtualChunk, error })) throw error;
    return this.write(source, offset, signal);
  }

  /** Something is about to wait for a chunk, unless it may not. */
  #admitWait(): void {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.limits.admit()) this.delayed.total++;
  }

  /** The settings of the pool have changed: they hold for what waits, too. */
  settingsChanged(): void {
    this.delayed.limitsChanged();
    this.resume();
  }

  /** Serves waiting chunks, in order, while there are free ones. */
  resume(): void {
    this.#resumption.resume();
  }

  #stillNone(): void {
    const { limits } = this;
    if (limits.refuses) this.delayed.failWaiting(limits.error());
    else if (!limits.mayTake) this.onNoneWaiting();
  }

  /** All were served, were cancelled, or have waited for too long. */
  #noneWaits(): void {
    if (this.#hasFailed) return;
    this.onNoneWaiting();
    if (this.#ended === undefined) this.limits.noneWaits();
  }
}
