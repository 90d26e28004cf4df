/**
 * Writes that need a chunk: they get the next free one, or wait for it.
 *
 * A chunk is mapped in this order: data, map entry (both in the page cache),
 * forward map. A stop before the entry leaves the chunk free; after it the
 * data are there. Nothing is awaited in between.
 *
 * @module
 */

import { type Completion, Slice } from "../../device/block/mod.ts";
import { VirstorError } from "../../errors.ts";
import {
  type Component,
  finished,
  type ForwardMap,
  type HostSpaces,
  type PassedMark,
  passedMarks,
  type PoolSettings,
  turn,
} from "../core/mod.ts";
import type { DelayedRange, DelayedWrite } from "./delayed_write.ts";
import { DelayedWrites } from "./delayed_writes.ts";
import type { PoolFormat } from "../format/mod.ts";
import type { Space } from "../space/mod.ts";

/** Chunks that are mapped between two looks at the clock, */
const CHUNKS_A_LOOK = 16;
/** and bytes written to one that count as another one. */
const STEP_BYTES = 64 << 10;
/** Mapped chunks of a range that are passed over as one step of a slice. */
const PASSED_A_STEP = 4096;

/** How far the mapping of a range has come in a slice. */
type Progress = "done" | "slice over" | "no chunk";

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
  /** The resumption goes on in a later slice. */
  #isResuming = false;
  /** Ranges are served next, before data. */
  #isRangesTurn = false;
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
      timeoutMs: settings.fullTimeoutSeconds * 1000,
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
    else this.delayed.failWaiting(error);
  }

  /**
   * Ends every wait, for good; may be called again.
   *
   * @param error What writes that wait are told, and later ones that would.
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
    try {
      for (let done = 0; done < length;) {
        const at = offset + done;
        const chunk = Math.floor(at / chunkSize);
        const within = at - chunk * chunkSize;
        const count = Math.min(chunkSize - within, length - done);
        const piece = source.subarray(done, done + count);
        const component = this.#map.component(chunk);
        if (component !== undefined) {
          this.#overwrite(component, chunk, piece, within);
        } else if (!this.#writeNow(chunk, piece, within)) {
          if (waiting === undefined) {
            this.#admitWait();
            waiting = this.delayed.begin(signal);
          }
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
    const range = {
      next: Math.floor(offset / chunkSize),
      end: Math.ceil((offset + length) / chunkSize),
    };
    const progress = this.#mapSome(range);
    if (progress === "done") return undefined;
    if (progress === "no chunk") this.#admitWait();
    const write = this.delayed.beginRange(range, signal);
    if (progress === "no chunk") this.delayed.wait(write);
    else void this.#mapRest(write, range);
    return write.promise;
  }

  /** Goes on until it is done, or waits, or is ended. Never rejects. */
  async #mapRest(write: DelayedWrite, range: DelayedRange): Promise<void> {
    for (;;) {
      await turn(write.signal ?? this);
      // Meanwhile the pool may have failed or been closed, or the client left.
      if (write.isEnded) return;
      try {
        const progress = this.#mapSome(range);
        if (progress === "slice over") continue;
        if (progress === "done") return this.delayed.finish(write);
        this.#admitWait();
        return this.delayed.wait(write);
      } catch (error) {
        return this.delayed.fail(write, error);
      }
    }
  }

  /** Maps chunks of a range for a slice. */
  #mapSome(range: DelayedRange): Progress {
    const slice = new Slice(CHUNKS_A_LOOK);
    slice.begin();
    while (range.next < range.end) {
      const passed = Math.min(range.next + PASSED_A_STEP, range.end);
      const chunk = this.#pass(range, passed);
      if (chunk < passed) {
        if (!this.#writeNow(chunk, undefined, 0)) return "no chunk";
        this.#map.provision(chunk);
        range.next = chunk + 1;
      }
      if (range.next < range.end && slice.spend(1)) return "slice over";
    }
    return "done";
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
    piece: Uint8Array,
    within: number,
  ): void {
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

  /** Something is about to wait for a chunk, unless it may not. */
  #admitWait(): void {
    if (this.#ended !== undefined) throw this.#ended;
    const isFull = !this.#space.willBeReady;
    if (isFull && this.#settings.onFull === "error") throw this.#fullError();
    if (isFull && !this.#saidFull) {
      this.#saidFull = true;
      this.#settings.onEvent({
        kind: "delayed",
        message: "The pool is full: writes wait until a component is " +
          "added or space is given back",
        fullTimeoutSeconds: this.#settings.fullTimeoutSeconds,
      });
    }
    if (isFull) this.delayed.total++;
  }

  /** Serves waiting chunks, in order, while there are free ones. */
  resume(): void {
    if (this.#ended !== undefined || this.delayed.size === 0) return;
    const slice = new Slice(CHUNKS_A_LOOK);
    slice.begin();
    let isOver = false;
    try {
      let wanted = this.#nextWanted();
      for (; wanted !== undefined; wanted = this.#nextWanted()) {
        if (isOver) return this.#resumeLater();
        const component = this.#fresh();
        if (component === undefined) return this.#stillNone();
        const bytes = this.#serve(component, wanted.chunk);
        // Not if all data for it failed: then the range asks once more.
        const isMapped = this.#map.component(wanted.chunk) !== undefined;
        if (wanted.of !== undefined && isMapped) {
          this.#map.provision(wanted.chunk);
          this.delayed.served(wanted.of, wanted.chunk);
        }
        this.#isRangesTurn = wanted.of === undefined;
        isOver = slice.spend(1 + Math.floor(bytes / STEP_BYTES));
      }
    } catch (error) {
      if (this.#hasFailed) return; // All that waited were told.
      throw error;
    }
  }

  /** All were served, were cancelled, or have waited for too long. */
  #noneWaits(): void {
    if (this.#hasFailed) return;
    this.onNoneWaiting();
    if (this.#ended !== undefined || !this.#saidFull) return;
    this.#saidFull = false;
    this.#settings.onEvent({
      kind: "resumed",
      message: "No write waits for space any more",
      freeChunks: this.#space.free,
    });
  }

  #resumeLater(): void {
    if (this.#isResuming) return;
    this.#isResuming = true;
    void turn(this).then(() => {
      this.#isResuming = false;
      this.resume();
    });
  }

  /** The next chunk that is waited for, by data or by a range, in turns. */
  #nextWanted(): { chunk: number; of?: DelayedWrite } | undefined {
    const { delayed } = this;
    const chunk = delayed.nextChunk;
    if (chunk !== undefined && !this.#isRangesTurn) return { chunk };
    for (let of = delayed.nextRange; of !== undefined; of = delayed.nextRange) {
      if (this.#passMapped(of)) return { chunk: of.range?.next ?? 0, of };
      delayed.finish(of);
    }
    return chunk === undefined ? undefined : { chunk };
  }

  /** @returns Whether a range still wants a chunk. */
  #passMapped({ range }: DelayedWrite): boolean {
    return range !== undefined && this.#pass(range, range.end) < range.end;
  }

  /**
   * Passes the chunks of a range that are mapped; they stay so though they hold
   * no data.
   *
   * @returns The first that is not mapped, or `end`.
   */
  #pass(range: DelayedRange, end: number): number {
    const next = this.#map.nextUnmapped(range.next, end);
    while (range.next < next) this.#map.provision(range.next++);
    return next;
  }

  #stillNone(): void {
    // What was served to others may have been all that a range wanted.
    for (const one of [...this.delayed.ranges]) {
      if (!this.#passMapped(one)) this.delayed.finish(one);
    }
    if (this.#settings.onFull === "delay" || this.#space.willBeReady) return;
    this.delayed.failWaiting(this.#fullError());
  }

  /**
   * Maps a waiting chunk and writes all that waits for it, in order.
   *
   * @returns How many bytes were written.
   */
  #serve(component: Component, chunk: number): number {
    const pieces = this.delayed.piecesFor(chunk);
    if (pieces.length === 0) this.#mapAndWrite(component, chunk, undefined, 0);
    let bytes = 0;
    for (const piece of pieces) {
      const { source, within } = piece;
      try {
        const owner = this.#map.component(chunk);
        if (owner === undefined) {
          this.#mapAndWrite(component, chunk, source, within);
        } else {
          this.#overwrite(owner, chunk, source, within);
        }
      } catch (error) {
        if (this.#hasFailed) throw error;
        this.delayed.fail(piece.write, error);
        continue;
      }
      bytes += source.length;
      this.delayed.finishPiece(piece);
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
    for (const one of passed) {
      if (this.#passed.some(({ mark }) => mark === one.mark)) continue;
      onEvent({ kind: "watermark", ...one });
    }
    this.#passed = passed;
  }
}
