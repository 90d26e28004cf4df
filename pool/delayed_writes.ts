/**
 * Writes that wait for a free chunk.
 *
 * They wait by virtual chunk: one free chunk serves all that wait for the same
 * one, in their order, and chunks are served in the order in which the first
 * write for them came. So a waiting chunk is never mapped, and a write to a
 * mapped chunk never has to look here. A write over several unmapped chunks
 * waits in pieces and is done when the last one is.
 *
 * The bytes held are bounded by whoever sends writes: past the bound there is
 * `congestion`, and it should send no more.
 *
 * @module
 */

import { counted, VirstorError } from "../errors.ts";

/** A write that waits, in one piece or in several. */
export interface DelayedWrite {
  /** When it began to wait, milliseconds of the pool's clock. */
  readonly since: number;
  /** Its pieces that still wait. */
  readonly pieces: Set<DelayedPiece>;
  /** Done when all pieces are. */
  readonly promise: Promise<void>;
  /** Ends the wait. */
  readonly resolve: () => void;
  /** Ends the wait with an error. */
  readonly reject: (error: unknown) => void;
  /** Ends it when the one who asked is gone. */
  readonly signal: AbortSignal | undefined;
  /** The listener on `signal`. */
  onAbort: () => void;
}

/** The part of a write that waits for one virtual chunk. */
export interface DelayedPiece {
  /** The virtual chunk. */
  readonly chunk: number;
  /** The first byte in the chunk. */
  readonly within: number;
  /** The bytes, the queue's own copy; undefined if it only wants a chunk. */
  readonly source: Uint8Array | undefined;
  /** What it is a part of. */
  readonly write: DelayedWrite;
}

/** How a queue is set up. */
export interface DelayedOptions {
  /** Bytes it may hold before there is congestion. */
  readonly maxBytes: number;
  /** How long a write may wait, milliseconds; 0 for ever. */
  readonly timeoutMs: number;
  /** A clock, milliseconds. */
  readonly now: () => number;
  /** Called when no write waits any more, for whatever reason. */
  readonly onEmpty: () => void;
}

/** The queue. */
export class DelayedWrites {
  /** How many writes have waited because the pool was full. */
  total = 0;
  /** How many that waited, for whatever chunk, nobody wanted any more. */
  cancelled = 0;
  /** How many that waited did so for too long. */
  timedOut = 0;

  readonly #options: DelayedOptions;
  /** In the order in which they came. */
  readonly #writes = new Set<DelayedWrite>();
  /** In the order in which their first piece came. */
  readonly #chunks = new Map<number, Set<DelayedPiece>>();
  #bytes = 0;
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
    for (const write of this.#writes) return this.#options.now() - write.since;
    return 0;
  }

  /** The virtual chunk to be served next. */
  get nextChunk(): number | undefined {
    for (const chunk of this.#chunks.keys()) return chunk;
    return undefined;
  }

  /**
   * Whether anything waits for a virtual chunk of a number or above.
   *
   * @param chunk The number.
   * @returns Whether something does.
   */
  reaches(chunk: number): boolean {
    return this.#chunks.keys().some((one) => one >= chunk);
  }

  /**
   * The virtual chunks of a range that something waits for.
   *
   * @param from The first of the range.
   * @param end What follows its last.
   * @returns Their numbers, ascending.
   */
  chunksBetween(from: number, end: number): number[] {
    return this.#chunks.keys()
      .filter((chunk) => chunk >= from && chunk < end)
      .toArray()
      .sort((a, b) => a - b);
  }

  /** Set while more bytes wait than should. */
  get congestion(): Promise<void> | undefined {
    return this.#congestion?.promise;
  }

  /**
   * Begins a wait. Pieces are added with {@linkcode add} before anything else
   * happens.
   *
   * @param signal Ends it when the one who asked is gone.
   * @returns A write without pieces.
   * @throws {VirstorError} `cancelled` if that one is gone already.
   */
  begin(signal: AbortSignal | undefined): DelayedWrite {
    if (signal?.aborted === true) throw goneError();
    const write: DelayedWrite = {
      ...Promise.withResolvers<void>(),
      since: this.#options.now(),
      pieces: new Set(),
      signal,
      onAbort: () => {
        this.cancelled++;
        this.#end(write);
        write.reject(goneError());
      },
    };
    signal?.addEventListener("abort", write.onAbort);
    this.#writes.add(write);
    this.#arm();
    return write;
  }

  /**
   * Adds a piece to a write that waits.
   *
   * @param write The write.
   * @param chunk The virtual chunk it waits for; unmapped.
   * @param within The first byte in the chunk.
   * @param source The bytes, which are copied; undefined if only the chunk is
   *   wanted.
   */
  add(
    write: DelayedWrite,
    chunk: number,
    within: number,
    source: Uint8Array | undefined,
  ): void {
    const piece = { chunk, within, source: source?.slice(), write };
    write.pieces.add(piece);
    const waiting = this.#chunks.get(chunk);
    if (waiting === undefined) this.#chunks.set(chunk, new Set([piece]));
    else waiting.add(piece);
    this.#bytes += source?.length ?? 0;
    if (this.#bytes >= this.#options.maxBytes) {
      this.#congestion ??= Promise.withResolvers<void>();
    }
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
   * Ends the wait of a piece, and of its write if it was the last one.
   *
   * @param piece The piece; its bytes are written.
   */
  finish(piece: DelayedPiece): void {
    this.#remove(piece);
    if (piece.write.pieces.size > 0) return;
    this.#end(piece.write);
    piece.write.resolve();
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
  failAll(error: VirstorError): void {
    for (const write of [...this.#writes]) this.fail(write, error);
  }

  #remove(piece: DelayedPiece): void {
    if (!piece.write.pieces.delete(piece)) return;
    const waiting = this.#chunks.get(piece.chunk);
    waiting?.delete(piece);
    if (waiting?.size === 0) this.#chunks.delete(piece.chunk);
    this.#bytes -= piece.source?.length ?? 0;
    if (this.#bytes < this.#options.maxBytes) {
      this.#congestion?.resolve();
      this.#congestion = undefined;
    }
  }

  #end(write: DelayedWrite): void {
    for (const piece of write.pieces) this.#remove(piece);
    this.#writes.delete(write);
    write.signal?.removeEventListener("abort", write.onAbort);
    if (this.#writes.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#options.onEmpty();
  }

  #arm(): void {
    const { timeoutMs } = this.#options;
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
    const { timeoutMs, now } = this.#options;
    const latest = now() - timeoutMs;
    for (const write of [...this.#writes]) {
      if (write.since > latest) return;
      this.timedOut++;
      this.fail(
        write,
        new VirstorError(
          "no-space",
          "Cannot write: the pool was full for " +
            counted(timeoutMs / 1000, "second"),
        ),
      );
    }
  }
}

function goneError(): VirstorError {
  return new VirstorError("cancelled", "Cannot write: who asked is gone");
}
