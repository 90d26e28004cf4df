/**
 * Ranges that were written, and the gaps between them.
 *
 * @module
 */

/** The ranges, joined where they overlap or touch. */
export class WrittenRanges {
  /** In ascending order, without overlaps; each is a start and an end. */
  #ranges: (readonly [start: number, end: number])[] = [];

  /**
   * Adds a range.
   *
   * @param start The first byte.
   * @param end The end, exclusive.
   */
  add(start: number, end: number): void {
    if (start >= end) return;
    let [from, to] = [start, end];
    const before = this.#ranges.filter(([, last]) => last < start);
    const after = this.#ranges.filter(([first]) => first > end);
    const joined = this.#ranges.slice(
      before.length,
      this.#ranges.length - after.length,
    );
    for (const [first, last] of joined) {
      from = Math.min(from, first);
      to = Math.max(to, last);
    }
    this.#ranges = [...before, [from, to], ...after];
  }

  /**
   * The parts of a range that were not written.
   *
   * @param start The first byte.
   * @param end The end, exclusive.
   * @returns Starts and ends, ascending.
   */
  gaps(start: number, end: number): (readonly [start: number, end: number])[] {
    const gaps: (readonly [number, number])[] = [];
    let at = start;
    for (const [first, last] of this.#ranges) {
      if (first >= end) break;
      if (first > at) gaps.push([at, first]);
      at = Math.max(at, last);
    }
    if (at < end) gaps.push([at, end]);
    return gaps;
  }
}
