/**
 * Writes that wait for a free chunk.
 *
 * Data wait by virtual chunk: one free chunk serves all that wait for the same
 * one, in their order, and chunks are mapped in the order in which the first
 * write for them came. So a chunk that data wait for is never mapped, and a
 * write to a mapped chunk never has to look here. A write over several unmapped
 * chunks waits in pieces and is done when the last one is.
 *
 * A request that only wants chunks (zeroes without holes) waits as a range,
 * whatever its length. A range holds no data, so no order matters to it: ranges
 * take turns, one chunk each, and data and ranges take turns.
 *
 * The bytes and the entries held are bounded by the callers: past the bound
 * there is `congestion`, and they should send no more.
 *
 * @module
 */

import { type Completion, joinParts } from "../../device/block/mod.ts";
import type { VirstorError } from "../../errors.ts";
import {
  type DelayedOptions,
  type DelayedPiece,
  type DelayedRange,
  type DelayedWrite,
  goneError,
  timeoutError,
  type WaitingRun,
} from "./delayed_write.ts";
import { WaitingRuns, waitingRuns } from "./waiting_runs.ts";

/** Pieces and ranges that may be held before there is congestion. */
const ENTRIES_MAX = 8192;

/** The queue. */
export class DelayedWrites {
  /** How many writes have begun to wait, for whatever chunk. */
  begun = 0;
  /** How many writes have waited because the pool was full. */
  total = 0;
  /** How many that waited, for whatever chunk, were cancelled. */
  cancelled = 0;
  /** How many that waited did so for too long. */
  timedOut = 0;
  readonly #options: DelayedOptions;
  /** In the order in which they came. */
  readonly #writes = new Set<DelayedWrite>();
  /** In the order in which their first piece came. */
  readonly #chunks = new Map<number, Set<DelayedPiece>>();
  /** What waits no more for a chunk, but for the copy that goes there. */
  readonly #held = new Map<number, Set<DelayedPiece>>();
  /** Ranges, in the order of their turns. */
  readonly #ranges = new Set<DelayedWrite>();
  /** Those that wait for nothing but their turns. */
  readonly #working = new Set<DelayedWrite>();
  #bytes = 0;
  #pieces = 0;
  readonly #runs = new WaitingRuns(() =>
    waitingRuns(this.#chunks.keys(), this.#ranges)
  );
  #timer: ReturnType<typeof setTimeout> | undefined;
  #congestion: PromiseWithResolvers<void> | undefined;

  /**
   * Creates an empty queue.
   *
   * @param options Its bounds.
   */
  constructor(options: DelayedOptions) {
    this.#options = options;
  }

  /** How many writes wait. */
  get size(): number {
    return this.#writes.size;
  }

  /** How many bytes they hold. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How long the first has waited, milliseconds; 0 if none waits. */
  get oldestMs(): number {
    const first = this.#writes.values().next().value;
    return first === undefined ? 0 : this.#options.now() - first.since;
  }

  /** The virtual chunk that gets the next free chunk. */
  get nextChunk(): number | undefined {
    return this.#chunks.keys().next().value;
  }

  /** The range that gets the next free chunk. */
  get nextRange(): DelayedWrite | undefined {
    return this.#ranges.values().next().value;
  }

  /** All ranges that wait, in the order of their turns. */
  get ranges(): Iterable<DelayedWrite> {
    return this.#ranges;
  }

  /**
   * Whether anything waits for a virtual chunk from one on, or is about to map it.
   *
   * @param chunk The first virtual chunk.
   * @returns Whether something does.
   */
  reaches(chunk: number): boolean {
    const isAbove = ({ range }: DelayedWrite) => (range?.end ?? 0) > chunk;
    return this.#chunks.keys().some((one) => one >= chunk) ||
      this.#held.keys().some((one) => one >= chunk) ||
      this.#ranges.values().some(isAbove) ||
      this.#working.values().some(isAbove);
  }

  /**
   * The virtual chunks that something waits for; of ranges, also mapped ones.
   *
   * @param from The first of the range.
   * @param end What follows its last.
   * @returns Them, ascending, without overlaps; the first run may begin before
   *   the range.
   */
  waitingBetween(from: number, end: number): readonly WaitingRun[] {
    return this.#runs.between(from, end);
  }

  /** Set while more bytes wait than should, or more entries. */
  get congestion(): Promise<void> | undefined {
    return this.#congestion?.promise;
  }

  /**
   * Begins a wait. {@linkcode add} adds its pieces, before any other call.
   *
   * @param signal Ends it when the client is gone.
   * @returns A write without pieces.
   * @throws {VirstorError} `cancelled` if that one is gone already.
   */
  begin(signal: AbortSignal | undefined): DelayedWrite {
    const write = this.#newWrite(signal);
    this.begun++;
    this.#writes.add(write);
    this.#arm();
    return write;
  }

  /**
   * Begins a range that is being mapped in slices, and waits for no chunk.
   *
   * @param range The range.
   * @param signal Ends it when the client is gone.
   * @returns What is to be given to {@linkcode finish}, {@linkcode fail} or
   *   {@linkcode wait}, unless it is ended meanwhile.
   * @throws {VirstorError} `cancelled` if that one is gone already.
   */
  beginRange(
    range: DelayedRange,
    signal: AbortSignal | undefined,
  ): DelayedWrite {
    const write = this.#newWrite(signal, range);
    this.begun++;
    this.#working.add(write);
    this.#watchCongestion();
    return write;
  }

  /**
   * A range has to wait for a free chunk from now on.
   *
   * @param write What {@linkcode beginRange} gave.
   */
  wait(write: DelayedWrite): void {
    this.#working.delete(write);
    write.since = this.#options.now();
    this.#writes.add(write);
    this.#ranges.add(write);
    this.#runs.changed();
    this.#arm();
  }

  #newWrite(
    signal: AbortSignal | undefined,
    range?: DelayedRange,
  ): DelayedWrite {
    if (signal?.aborted === true) throw goneError();
    const write: DelayedWrite = {
      ...Promise.withResolvers<void>(),
      since: this.#options.now(),
      pieces: new Set(),
      behind: [],
      range,
      isEnded: false,
      signal,
      onAbort: () => {
        this.cancelled++;
        this.#end(write);
        write.reject(goneError());
      },
    };
    signal?.addEventListener("abort", write.onAbort);
    return write;
  }

  /**
   * Adds a piece to a write that waits.
   *
   * @param write The write.
   * @param chunk The virtual chunk it waits for; unmapped.
   * @param within The first byte in the chunk.
   * @param source The bytes, which are copied.
   */
  add(
    write: DelayedWrite,
    chunk: number,
    within: number,
    source: Uint8Array,
  ): void {
    const piece = { chunk, within, source: source.slice(), write };
    write.pieces.add(piece);
    const waiting = this.#chunks.get(chunk);
    if (waiting === undefined) this.#chunks.set(chunk, new Set([piece]));
    else waiting.add(piece);
    this.#runs.changed();
    this.#pieces++;
    this.#bytes += source.length;
    this.#watchCongestion();
  }

  /**
   * A chunk of a range is mapped: others have their turn.
   *
   * @param write The write.
   * @param chunk The chunk.
   */
  chunkMapped(write: DelayedWrite, chunk: number): void {
    if (write.isEnded || write.range === undefined) return;
    write.range.next = chunk + 1;
    this.#ranges.delete(write);
    this.#ranges.add(write);
    this.#runs.changed();
  }

  /**
   * What waits for a virtual chunk, in order.
   *
   * @param chunk The virtual chunk.
   * @returns Its pieces; each is to be given to {@linkcode finish}.
   */
  piecesFor(chunk: number): DelayedPiece[] {
    return [...this.#chunks.get(chunk) ?? []];
  }

  /**
   * Takes what waits for a virtual chunk: it waits no more for a free chunk.
   *
   * @param chunk The virtual chunk.
   * @returns Its pieces, for {@linkcode finishPiece}; or writes to `fail`.
   */
  hold(chunk: number): DelayedPiece[] {
    const pieces = this.#chunks.get(chunk) ?? new Set();
    this.#chunks.delete(chunk);
    this.#held.set(chunk, pieces);
    this.#runs.changed();
    return [...pieces];
  }

  /**
   * Ends the wait of a piece, and of its write if it was the last one.
   *
   * @param piece The piece; its bytes are written.
   * @param pending Set if they are complete later.
   */
  finishPiece(piece: DelayedPiece, pending?: Completion): void {
    const { write } = piece;
    this.#remove(piece);
    if (pending !== undefined) write.behind.push(pending);
    if (write.pieces.size > 0) return;
    this.finish(write, joinParts(write.behind, (one) => one));
  }

  /**
   * Ends the wait of a write that is done.
   *
   * @param write The write.
   * @param pending Set if it is complete later.
   */
  finish(write: DelayedWrite, pending?: Completion): void {
    this.#end(write);
    if (pending === undefined) write.resolve();
    else void pending.then(write.resolve, write.reject);
  }

  /**
   * Ends the wait of a write with an error, whatever of it is written.
   *
   * @param write The write.
   * @param error The error.
   */
  fail(write: DelayedWrite, error: unknown): void {
    this.#end(write);
    write.reject(error);
  }

  /**
   * Ends every wait with an error.
   *
   * @param error The error.
   */
  failWaiting(error: VirstorError): void {
    for (const write of [...this.#writes]) this.fail(write, error);
  }

  /**
   * Ends every wait, and the ranges that are being mapped.
   *
   * @param error The error.
   */
  failAll(error: VirstorError): void {
    this.failWaiting(error);
    for (const write of [...this.#working]) this.fail(write, error);
  }

  /** The bounds have changed: they hold for what waits, too. */
  limitsChanged(): void {
    this.#disarm();
    this.#arm();
    this.#watchCongestion();
  }

  #remove(piece: DelayedPiece): void {
    if (!piece.write.pieces.delete(piece)) return;
    for (const chunks of [this.#chunks, this.#held]) {
      const waiting = chunks.get(piece.chunk);
      waiting?.delete(piece);
      if (waiting?.size === 0) chunks.delete(piece.chunk);
    }
    this.#runs.changed();
    this.#pieces--;
    this.#bytes -= piece.source.length;
    this.#watchCongestion();
  }

  #end(write: DelayedWrite): void {
    write.isEnded = true;
    for (const piece of write.pieces) this.#remove(piece);
    const wasWaiting = this.#writes.delete(write);
    this.#working.delete(write);
    if (this.#ranges.delete(write)) this.#runs.changed();
    this.#watchCongestion();
    // It looks through all listeners, and there may be thousands.
    if (write.signal?.aborted === false) {
      write.signal.removeEventListener("abort", write.onAbort);
    }
    if (!wasWaiting || this.#writes.size > 0) return;
    this.#disarm();
    this.#options.onEmpty();
  }

  #watchCongestion(): void {
    const entries = this.#pieces + this.#ranges.size + this.#working.size;
    if (this.#bytes >= this.#options.maxBytes() || entries >= ENTRIES_MAX) {
      this.#congestion ??= Promise.withResolvers<void>();
    } else if (this.#congestion !== undefined) {
      this.#congestion.resolve();
      this.#congestion = undefined;
    }
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    const timeoutMs = this.#options.timeoutMs();
    if (timeoutMs === 0 || this.#timer !== undefined) return;
    if (this.#writes.size === 0) return;
    const left = Math.max(0, timeoutMs - this.oldestMs);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#expire();
      this.#arm();
    }, Math.min(left, 0x7fff_ffff));
  }

  #expire(): void {
    const { now, cause } = this.#options;
    const timeoutMs = this.#options.timeoutMs();
    const latest = now() - timeoutMs;
    for (const write of [...this.#writes]) {
      if (write.since > latest) return;
      this.timedOut++;
      this.fail(write, timeoutError(cause(), timeoutMs));
    }
  }
}
