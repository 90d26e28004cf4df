/**
 * Serving the writes that wait for chunks, as chunks become free.
 *
 * @module
 */

import { type Completion, Slice } from "../../device/block/mod.ts";
import { applied, type Component, type ForwardMap, turn } from "../core/mod.ts";
import type { ChunkCopies } from "./chunk_copies.ts";
import type { ChunkWriter } from "./chunk_writer.ts";
import type { DelayedWrite } from "./delayed_write.ts";
import type { DelayedWrites } from "./delayed_writes.ts";
import type { RangeMapper } from "./range_mapper.ts";

/** Chunks that are mapped between two looks at the clock, */
const CHUNKS_A_LOOK = 16;
/** and bytes written to one that count as another one. */
const STEP_BYTES = 64 << 10;

/** What a resumption works with. */
export interface ResumptionParts {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The map of the volume. */
  readonly map: ForwardMap;
  /** The writes that wait. */
  readonly delayed: DelayedWrites;
  /** The copies of chunks. */
  readonly copies: ChunkCopies;
  /** The ranges that are to be mapped. */
  readonly ranges: RangeMapper;
  /** Writes to the chunks. */
  readonly chunks: ChunkWriter;
  /** Called when something still waits and there is no chunk for it. */
  stillNone(): void;
  /** Whether writes are not served any more. */
  ended(): boolean;
  /** Whether the pool has failed: no write waits any more. */
  hasFailed(): boolean;
}

/** Serves the writes of a volume that wait for chunks. */
export class Resumption {
  readonly #parts: ResumptionParts;
  /** The resumption goes on in a later slice. */
  #isPending = false;
  /** Ranges get the next chunk, before data. */
  #isRangesTurn = false;

  /**
   * Creates a resumption.
   *
   * @param parts What it works with.
   */
  constructor(parts: ResumptionParts) {
    this.#parts = parts;
  }

  /** Serves waiting chunks, in order, while there are free ones. */
  resume(): void {
    const { map, delayed } = this.#parts;
    if (this.#parts.ended() || delayed.size === 0) return;
    const slice = new Slice(CHUNKS_A_LOOK);
    slice.begin();
    let isOver = false;
    try {
      let wanted = this.#nextWanted();
      for (; wanted !== undefined; wanted = this.#nextWanted()) {
        if (isOver) return this.#resumeLater();
        const { chunk, of } = wanted;
        // A chunk is the volume's own again after its snapshot is removed.
        const own = of === undefined ? map.writable(chunk) : undefined;
        const component = own ?? this.#parts.chunks.fresh();
        if (component === undefined) return this.#stillNone();
        const bytes = this.#serve(component, chunk, of?.range?.hides ?? false);
        // Not if all data for it failed: then the range asks once more.
        const isMapped = map.component(chunk) !== undefined;
        if (of?.range !== undefined && isMapped) {
          if (!of.range.hides) map.provisioned.add(chunk);
          delayed.chunkMapped(of, chunk);
        }
        this.#isRangesTurn = of === undefined;
        isOver = slice.spend(1 + Math.floor(bytes / STEP_BYTES));
      }
    } catch (error) {
      if (this.#parts.hasFailed()) return; // No write waits any more.
      throw error;
    }
  }

  #resumeLater(): void {
    if (this.#isPending) return;
    this.#isPending = true;
    void turn(this).then(() => {
      this.#isPending = false;
      this.resume();
    });
  }

  /** The next chunk that is waited for, by data or by a range, in turns. */
  #nextWanted(): { chunk: number; of?: DelayedWrite } | undefined {
    const { delayed, ranges } = this.#parts;
    const chunk = delayed.nextChunk;
    if (chunk !== undefined && !this.#isRangesTurn) return { chunk };
    const wanted = ranges.nextWanted();
    if (wanted !== undefined) return wanted;
    return chunk === undefined ? undefined : { chunk };
  }

  #stillNone(): void {
    // Chunks mapped for other writes may have been all that a range wanted.
    this.#parts.ranges.finishDone();
    this.#parts.stillNone();
  }

  /**
   * Maps a waiting chunk and writes all that waits for it, in order.
   *
   * @param hides Whether the chunk is to read as zeroes before that.
   * @returns How many bytes were written.
   */
  #serve(component: Component, chunk: number, hides: boolean): number {
    const { map, delayed, chunks } = this.#parts;
    const isShared = map.writable(chunk) === undefined &&
      map.view.component(chunk) !== undefined;
    if (isShared && !hides) return this.#serveCopy(component, chunk);
    const pieces = delayed.piecesFor(chunk);
    if (hides || pieces.length === 0) {
      // The range that wants it ends when all components have caught up.
      applied(chunks.place(component, chunk, undefined, 0));
    }
    let bytes = 0;
    for (const piece of pieces) {
      const { source, within } = piece;
      let pending: Completion;
      try {
        const own = map.writable(chunk);
        pending = own === undefined
          ? chunks.place(component, chunk, source, within)
          : chunks.overwrite(own, chunk, source, within);
      } catch (error) {
        if (this.#parts.hasFailed()) throw error;
        delayed.fail(piece.write, error);
        continue;
      }
      bytes += source.length;
      delayed.finishPiece(piece, pending);
    }
    return bytes;
  }

  /** Copies a chunk that data wait for, and writes them to the copy. */
  #serveCopy(target: Component, chunk: number): number {
    const { delayed, copies, chunks, chunkSize } = this.#parts;
    const pieces = delayed.hold(chunk);
    const fail = (error: unknown) => {
      for (const { write } of pieces) delayed.fail(write, error);
    };
    const finish = () => {
      for (const piece of pieces) {
        if (!piece.write.isEnded) delayed.finishPiece(piece);
      }
    };
    if (copies.has(chunk)) {
      for (const piece of pieces) {
        copies.join(chunk, piece)?.then(finish, fail);
      }
      return 0;
    }
    try {
      const copying = chunks.copy(target, chunk, pieces);
      if (copying === undefined) finish();
      else void copying.then(finish, fail);
    } catch (error) {
      if (this.#parts.hasFailed()) throw error;
      fail(error);
    }
    return chunkSize;
  }
}
