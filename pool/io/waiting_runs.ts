/**
 * The virtual chunks that delayed writes wait for, as ascending runs.
 *
 * @module
 */

import type { DelayedWrite, WaitingRun } from "./delayed_write.ts";

/** Finds what waits in a range. It sorts once after each change. */
export class WaitingRuns {
  readonly #waiting: () => WaitingRun[];
  /** Ascending, without overlaps; undefined after a change. */
  #sorted: WaitingRun[] | undefined;

  /**
   * Begins with nothing sorted.
   *
   * @param waiting Returns all runs that wait, in any order; they may overlap.
   */
  constructor(waiting: () => WaitingRun[]) {
    this.#waiting = waiting;
  }

  /** What waits has changed. */
  changed(): void {
    this.#sorted = undefined;
  }

  /**
   * Finds the runs of a range.
   *
   * @param from The first virtual chunk of the range.
   * @param end The chunk after its last one.
   * @returns The runs, ascending, without overlaps; the first one may begin
   *   before the range.
   */
  between(from: number, end: number): readonly WaitingRun[] {
    const runs = this.#sorted ??= joined(this.#waiting());
    let [low, high] = [0, runs.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((runs[middle]?.[1] ?? 0) <= from) low = middle + 1;
      else high = middle;
    }
    const first = low;
    while (low < runs.length && (runs[low]?.[0] ?? 0) < end) low++;
    return runs.slice(first, low);
  }
}

/** Sorts runs, and joins those that overlap or touch. */
function joined(runs: WaitingRun[]): WaitingRun[] {
  runs.sort(([a], [b]) => a - b);
  const all: [first: number, end: number][] = [];
  for (const [first, end] of runs) {
    const last = all[all.length - 1];
    if (last === undefined || first > last[1]) all.push([first, end]);
    else last[1] = Math.max(last[1], end);
  }
  return all;
}

/**
 * Lists all runs that wait.
 *
 * @param chunks The virtual chunks that data wait for.
 * @param ranges The writes that wait as a range.
 * @returns The runs, in any order; they may overlap.
 */
export function waitingRuns(
  chunks: Iterable<number>,
  ranges: Iterable<DelayedWrite>,
): WaitingRun[] {
  const runs: WaitingRun[] = [];
  for (const chunk of chunks) runs.push([chunk, chunk + 1]);
  for (const { range } of ranges) {
    if (range !== undefined) runs.push([range.next, range.end]);
  }
  return runs;
}
