/**
 * Writes that need a chunk: they get the next free one, or wait for it.
 *
 * A chunk is mapped in this order: data, map entry (both in the page cache),
 * forward map. A stop before the entry leaves the chunk free; after it the
 * data are there. Nothing is awaited in between.
 *
 * @module
 */

import type { Completion } from "../device/mod.ts";
import { assert, VirstorError } from "../errors.ts";
import type { Component } from "./component.ts";
import type { DelayedWrite } from "./delayed_writes.ts";
import { DelayedWrites } from "./delayed_writes.ts";
import type { ForwardMap } from "./forward_map.ts";
import type { HostSpaces } from "./host_space.ts";
import type { PoolFormat } from "./pool_format.ts";
import type { PoolSettings } from "./settings.ts";
import type { Space } from "./space.ts";
import type { PassedMark } from "./watermarks.ts";
import { passedMarks } from "./watermarks.ts";

/** Resumed writes go on for this many bytes before others have a turn. */
const RESUME_TURN_BYTES = 4 << 20;

/** Writes that map chunks, now or later. */
export class FirstWrites {
  /** Writes that wait for a chunk. */
  readonly delayed: DelayedWrites;
  /** Chunks mapped since the pool was opened. */
  count = 0;
  /** Called when no write waits for a chunk any more. */
  onNoneWaiting: () => void = () => {};

  readonly #settings: PoolSettings;
  readonly #format: PoolFormat;
  readonly #map: ForwardMap;
  readonly #space: Space;
  readonly #hosts: HostSpaces;
  /** Stops all writes for good; returns the error to throw. */
  readonly #fail: (cause: unknown) => VirstorError;
  #resumeTimer: ReturnType<typeof setTimeout> | undefined;
  #passed: readonly PassedMark[] = [];
  #hasFailed = false;
  /** Whether it was said that writes wait. */
  #saidFull = false;
  /** What writes that would wait are told, once none may wait any more. */
  #ended: VirstorError | undefined;

  /**
   * Takes over an open pool's map and components.
   *
   * @param settings The pool's settings.
   * @param format Its format, with the components.
   * @param map Where each virtual chunk is.
   * @param room Its free chunks, and the room that there is for them.
   * @param fail Stops all writes for good, because what is on disk is
   *   unknown; returns the error to throw.
   */
  constructor(
    settings: PoolSettings,
    format: PoolFormat,
    map: ForwardMap,
    { space, hosts }: { space: Space; hosts: HostSpaces },
    fail: (cause: unknown) => VirstorError,
  ) {
    this.#settings = settings;
    this.#format = format;
    this.#map = map;
    this.#fail = fail;
    this.delayed = new DelayedWrites({
      maxBytes: settings.maxDelayedBytes,
      timeoutMs: settings.fullTimeout * 1000,
      now: () => performance.now(),
      onEmpty: () => this.#noneWaits(),
    });
    this.#space = space;
    this.#hosts = hosts;
    this.#watch();
  }

  /** Chunks became free or ready, or others are there: waiting writes go on. */
  spaceChanged(): void {
    this.#watch();
    this.resume();
  }

  /**
   * Chunks could not be made ready: nobody waits for them any more.
   *
   * @param error `failed`: no more writes are taken; `io`.
   */
  unready(error: VirstorError): void {
    if (error.code === "failed") this.#failed(error);
    else this.delayed.failAll(error);
  }

  /**
   * Ends every wait, for good; may be called again.
   *
   * @param error What writes that wait are told, and later ones that would.
   */
  end(error: VirstorError): void {
    this.#ended = error;
    clearTimeout(this.#resumeTimer);
    this.delayed.failAll(error);
  }

  /**
   * Writes chunk by chunk, mapping what is unmapped. What finds no chunk
   * waits; the rest does not wait for it.
   *
   * @param source The bytes; undefined to map only.
   * @param offset The first byte on the virtual disk.
   * @param length How many bytes.
   * @param signal Ends the wait when the one who asked is gone.
   * @returns A promise if something waits.
   * @throws {VirstorError} `no-space`, `io`, `failed`, `cancelled`, `shutdown`.
   */
  write(
    source: Uint8Array | undefined,
    offset: number,
    length: number,
    signal: AbortSignal | undefined,
  ): Completion {
    const { chunkSize } = this.#settings;
    let waiting: DelayedWrite | undefined;
    try {
      for (let done = 0; done < length;) {
        const at = offset + done;
        const chunk = Math.floor(at / chunkSize);
        const within = at - chunk * chunkSize;
        const count = Math.min(chunkSize - within, length - done);
        const piece = source?.subarray(done, done + count);
        const component = this.#map.component(chunk);
        if (component !== undefined) {
          this.#overwrite(component, chunk, piece, within);
        } else if (this.#writeNow(chunk, piece, within)) {
          if (piece === undefined) this.#map.provision(chunk);
        } else {
          waiting ??= this.#beginWait(signal);
          this.delayed.add(waiting, chunk, within, piece);
        }
        done += count;
      }
    } catch (error) {
      if (waiting === undefined) throw error;
      this.delayed.fail(waiting, error);
    }
    return waiting?.promise;
  }

  /**
   * Maps a chunk that is about to be written to, unless that would take time.
   *
   * @param chunk The virtual chunk.
   * @returns Whether it is mapped now.
   * @throws {VirstorError} `failed`.
   */
  mapNow(chunk: number): boolean {
    return this.#map.component(chunk) !== undefined ||
      this.#writeNow(chunk, undefined, 0);
  }

  #overwrite(
    component: Component,
    chunk: number,
    piece: Uint8Array | undefined,
    within: number,
  ): void {
    if (piece === undefined) return this.#map.provision(chunk);
    const at = this.#map.chunk(chunk) * this.#settings.chunkSize + within;
    finished(this.#hosts.write(component, piece, at));
  }

  /** Maps a chunk and writes to it, unless none is free or others wait. */
  #writeNow(
    chunk: number,
    piece: Uint8Array | undefined,
    within: number,
  ): boolean {
    if (this.delayed.size > 0) return false;
    const component = this.#fresh();
    if (component === undefined) return false;
    this.#mapAndWrite(component, chunk, piece, within);
    return true;
  }

  #mapAndWrite(
    component: Component,
    chunk: number,
    piece: Uint8Array | undefined,
    within: number,
  ): void {
    const place = component.next;
    if (piece !== undefined) {
      const at = place * this.#settings.chunkSize + within;
      try {
        finished(this.#hosts.write(component, piece, at));
      } catch (error) {
        this.#space.spoil(component);
        throw error;
      }
      // It needed space, and got it.
      component.refusal = undefined;
    }
    try {
      this.#format.recordMapping(chunk, component, place);
    } catch (error) {
      // It has data by now, and is nobody's.
      this.#space.spoil(component);
      throw this.#failed(error);
    }
    this.#map.set(chunk, component, place);
    this.#space.take(component);
    this.count++;
    const isLow = this.#space.free < this.#settings.watermarks.chunks;
    if (isLow || component.used === 1) this.#watch();
  }

  #fresh(): Component | undefined {
    try {
      return this.#space.fresh();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #beginWait(signal: AbortSignal | undefined): DelayedWrite {
    if (this.#ended !== undefined) throw this.#ended;
    const isFull = !this.#space.willBeReady;
    if (isFull && this.#settings.onFull === "error") throw this.#fullError();
    if (isFull && !this.#saidFull) {
      this.#saidFull = true;
      this.#settings.onEvent({
        kind: "delayed",
        message: "The pool is full: writes wait until a component is " +
          "added or space is given back",
      });
    }
    if (isFull) this.delayed.total++;
    return this.delayed.begin(signal);
  }

  /** Serves waiting chunks, in order, while there are free ones. */
  resume(): void {
    clearTimeout(this.#resumeTimer);
    if (this.#ended !== undefined || this.delayed.size === 0) return;
    let budget = RESUME_TURN_BYTES;
    try {
      let chunk = this.delayed.nextChunk;
      for (; chunk !== undefined; chunk = this.delayed.nextChunk) {
        if (budget <= 0) {
          this.#resumeTimer = setTimeout(() => this.resume());
          return;
        }
        const component = this.#fresh();
        if (component === undefined) return this.#stillNone();
        budget -= this.#serve(component, chunk);
      }
    } catch (error) {
      if (this.#hasFailed) return; // All that waited were told.
      throw error;
    }
  }

  /** All were served, were cancelled, or have waited for too long. */
  #noneWaits(): void {
    if (this.#ended !== undefined || this.#hasFailed) return;
    this.onNoneWaiting();
    if (!this.#saidFull) return;
    this.#saidFull = false;
    this.#settings.onEvent({
      kind: "resumed",
      message: "No write waits for space any more",
    });
  }

  #stillNone(): void {
    if (this.#settings.onFull === "delay" || this.#space.willBeReady) return;
    this.delayed.failAll(this.#fullError());
  }

  /** Maps a waiting chunk and writes all that waits for it, in order. */
  #serve(component: Component, chunk: number): number {
    let bytes = 0;
    for (const piece of this.delayed.piecesFor(chunk)) {
      const { source, within } = piece;
      try {
        const owner = this.#map.component(chunk);
        if (owner === undefined) {
          this.#mapAndWrite(component, chunk, source, within);
          if (source === undefined) this.#map.provision(chunk);
        } else {
          this.#overwrite(owner, chunk, source, within);
        }
      } catch (error) {
        if (this.#hasFailed) throw error;
        this.delayed.fail(piece.write, error);
        continue;
      }
      bytes += source?.length ?? 0;
      this.delayed.finish(piece);
    }
    return bytes;
  }

  #failed(cause: unknown): VirstorError {
    this.#hasFailed = true;
    return this.#fail(cause);
  }

  #fullError(): VirstorError {
    return new VirstorError(
      "no-space",
      `Cannot write to pool "${this.#settings.name}": it is full`,
    );
  }

  /** Says which watermarks were passed since the last look. */
  #watch(): void {
    const { watermarks, onEvent } = this.#settings;
    const passed = passedMarks(this.#format.members, watermarks);
    for (const { mark, message } of passed) {
      if (this.#passed.some((one) => one.mark === mark)) continue;
      onEvent({ kind: "watermark", message });
    }
    this.#passed = passed;
  }
}

/** The write path is synchronous: a component that is not cannot be one. */
function finished(pending: Completion): void {
  assert(pending === undefined, "components finish their writes at once");
}
