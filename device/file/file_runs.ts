/**
 * Data and holes of a file, found by where the next ones begin.
 *
 * @module
 */

import type { Extent } from "../block/mod.ts";

/**
 * The runs of data and holes of a range.
 *
 * @param offset The first byte.
 * @param end The first byte behind it.
 * @param limit Runs that are wanted at most.
 * @param seek Where data and holes begin, from a byte on; -1 for a hole if
 *   that is not known.
 * @returns `hole` and `data` in turn.
 */
export function runsOf(
  offset: number,
  end: number,
  limit: number,
  seek: Record<"nextData" | "nextHole", (at: number) => number>,
): Extent[] {
  const runs: { length: number; kind: "hole" | "data" }[] = [];
  for (let at = offset; at < end && runs.length < limit;) {
    const last = runs[runs.length - 1];
    const stop = Math.min(seek.nextData(at), end);
    if (stop > at) runs.push({ length: stop - at, kind: "hole" });
    if (stop === end) break;
    const hole = seek.nextHole(stop);
    // Where nothing is known, what was taken for data may be a hole.
    const next = hole <= stop ? end : Math.min(hole, end);
    // A run whose end was known from before may have grown since.
    if (stop === at && last !== undefined) last.length += next - at;
    else runs.push({ length: next - stop, kind: "data" });
    at = next;
  }
  return runs;
}

/** Runs of data that are known at once, per file. */
const KNOWN_MAX = 64;

/**
 * Runs of a file that hold data as far as is known, so that the system need
 * not be asked for their ends again: that takes it milliseconds in a file
 * without holes. A run is forgotten, or cut, when a hole is made in it. What
 * others do to the file may make a run stale, which does no harm: `data` is
 * always a legal answer.
 */
export class KnownData {
  /** Ascending, not empty, without overlaps: first byte and end. */
  readonly #runs: [start: number, end: number][] = [];

  /**
   * The end of the run that a byte is in.
   *
   * @param at The byte.
   * @returns The first byte behind the run, or -1 if nothing is known.
   */
  endOf(at: number): number {
    const run = this.#runs[this.#indexOf(at)];
    return run !== undefined && run[0] <= at ? run[1] : -1;
  }

  /**
   * Notes that a range holds data.
   *
   * @param start The first byte.
   * @param end The first byte behind it.
   */
  add(start: number, end: number): void {
    if (end <= start) return;
    const runs = this.#runs;
    let [from, to] = [start, end];
    // Those that touch it become one with it.
    const first = this.#indexOf(start - 1);
    let count = 0;
    for (let run = runs[first]; run !== undefined && run[0] <= end;) {
      from = Math.min(from, run[0]);
      to = Math.max(to, run[1]);
      run = runs[first + ++count];
    }
    runs.splice(first, count, [from, to]);
    this.#limit();
  }

  /**
   * Notes that a range may hold no data any more.
   *
   * @param start The first byte.
   * @param end The first byte behind it.
   */
  remove(start: number, end: number): void {
    const runs = this.#runs;
    const first = this.#indexOf(start);
    const rest: [start: number, end: number][] = [];
    let count = 0;
    for (let run = runs[first]; run !== undefined && run[0] < end;) {
      if (run[0] < start) rest.push([run[0], start]);
      if (run[1] > end) rest.push([end, run[1]]);
      run = runs[first + ++count];
    }
    if (count === 0) return;
    runs.splice(first, count, ...rest);
    this.#limit();
  }

  /** The index of the first run that ends behind a byte. */
  #indexOf(at: number): number {
    const index = this.#runs.findIndex(([, end]) => end > at);
    return index < 0 ? this.#runs.length : index;
  }

  /** Drops the shortest run, whose end is found again soonest. */
  #limit(): void {
    const runs = this.#runs;
    if (runs.length <= KNOWN_MAX) return;
    const sizes = runs.map(([start, end]) => end - start);
    runs.splice(sizes.indexOf(Math.min(...sizes)), 1);
  }
}
