/**
 * Ranges of virtual chunks that are to be mapped, a slice at a time: for zeroes
 * that keep their space, and for zeroes that hide what a snapshot sees.
 *
 * @module
 */

import { type Completion, Slice } from "../../device/block/mod.ts";
import { type ForwardMap, turn } from "../core/mod.ts";
import type { DelayedRange, DelayedWrite } from "./delayed_write.ts";
import type { DelayedWrites } from "./delayed_writes.ts";

/** Chunks that are mapped between two looks at the clock. */
const CHUNKS_A_LOOK = 16;
/** Chunks of a range that are passed over as one step of a slice. */
const PASSED_A_STEP = 4096;

/** How far the mapping of a range has come in a slice. */
type Progress = "done" | "slice over" | "no chunk";

/** What a range mapper works with. */
export interface RangeMapperParts {
  /** The map of the volume. */
  readonly map: ForwardMap;
  /** The writes that wait for a chunk. */
  readonly delayed: DelayedWrites;
  /**
   * Maps a chunk without data, unless none is free or others wait.
   *
   * @param virtualChunk The chunk.
   * @returns Whether it is mapped.
   */
  mapNow(virtualChunk: number): boolean;
  /** Waits until all that was mapped is complete. */
  caughtUp(): Completion;
  /** Throws if no write may begin to wait for a chunk. */
  admitWait(): void;
}

/** Maps ranges of virtual chunks. */
export class RangeMapper {
  readonly #parts: RangeMapperParts;

  /**
   * Creates a mapper of ranges.
   *
   * @param parts What it works with.
   */
  constructor(parts: RangeMapperParts) {
    this.#parts = parts;
  }

  /**
   * Maps the chunks of a range that want one. It takes a slice at a time, and
   * others have the next chunk in between; where there is no chunk the rest
   * waits for one.
   *
   * @param range The range.
   * @param signal Ends it when the client is gone; also the owner of its turns.
   * @returns A promise if it takes long, or waits.
   * @throws {VirstorError} `no-space`, `io`, `failed`, `cancelled`.
   */
  start(
    range: DelayedRange,
    signal: AbortSignal | undefined,
  ): Completion {
    const { delayed } = this.#parts;
    const progress = this.#mapSome(range);
    if (progress === "done") return this.#parts.caughtUp();
    if (progress === "no chunk") this.#parts.admitWait();
    const write = delayed.beginRange(range, signal);
    if (progress === "no chunk") delayed.wait(write);
    else void this.#mapRest(write, range);
    return write.promise;
  }

  /**
   * The next chunk that a range waits for. Ranges that want none are done.
   *
   * @returns The chunk, and the write of the range; undefined if there is none.
   */
  nextWanted(): { chunk: number; of: DelayedWrite } | undefined {
    const { delayed } = this.#parts;
    for (let of = delayed.nextRange; of !== undefined; of = delayed.nextRange) {
      const { range } = of;
      const chunk = range === undefined ? 0 : this.#pass(range, range.end);
      if (range !== undefined && chunk < range.end) return { chunk, of };
      delayed.finish(of, this.#parts.caughtUp());
    }
    return undefined;
  }

  /** Ends the waits of ranges that want no chunk any more. */
  finishDone(): void {
    const { delayed } = this.#parts;
    for (const one of [...delayed.ranges]) {
      const { range } = one;
      if (range === undefined) continue;
      if (this.#pass(range, range.end) >= range.end) {
        delayed.finish(one, this.#parts.caughtUp());
      }
    }
  }

  /**
   * Passes the chunks of a range that want none. Those that are mapped stay so,
   * even if they hold no data.
   *
   * @returns The first that wants a chunk, or `end`.
   */
  #pass(range: DelayedRange, end: number): number {
    const { map } = this.#parts;
    if (range.hides) return range.next = this.#nextSeen(range.next, end);
    const next = this.#nextUnmapped(range.next, end);
    for (; range.next < next; range.next++) {
      if (map.component(range.next) !== undefined) {
        map.provisioned.add(range.next);
      }
    }
    return next;
  }

  /** Goes on until it is done, or waits, or is ended. Never rejects. */
  async #mapRest(write: DelayedWrite, range: DelayedRange): Promise<void> {
    const { delayed } = this.#parts;
    for (;;) {
      await turn(write.signal ?? this);
      // Meanwhile the pool may have failed or been closed, or the client left.
      if (write.isEnded) return;
      try {
        const progress = this.#mapSome(range);
        if (progress === "slice over") continue;
        if (progress === "done") {
          return delayed.finish(write, this.#parts.caughtUp());
        }
        this.#parts.admitWait();
        return delayed.wait(write);
      } catch (error) {
        return delayed.fail(write, error);
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
        if (!this.#parts.mapNow(chunk)) return "no chunk";
        if (!range.hides) this.#parts.map.provisioned.add(chunk);
        range.next = chunk + 1;
      }
      if (range.next < range.end && slice.spend(1)) return "slice over";
    }
    return "done";
  }

  /** The first chunk that neither the volume nor its parent has. */
  #nextUnmapped(from: number, end: number): number {
    const { map } = this.#parts;
    let next = map.nextUnmapped(from, end);
    if (map.base === undefined) return next;
    while (next < end && map.base.component(next) !== undefined) {
      next = map.nextUnmapped(next + 1, end);
    }
    return next;
  }

  /** The first chunk that is seen, and not written to in place. */
  #nextSeen(from: number, end: number): number {
    const { map } = this.#parts;
    let next = map.view.nextMapped(from, end);
    while (next < end && map.writable(next) !== undefined) {
      next = map.view.nextMapped(next + 1, end);
    }
    return next;
  }
}
