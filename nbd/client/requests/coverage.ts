/**
 * Which bytes of a READ have arrived. A server may send them in any number of
 * chunks, in any order, without overlap.
 *
 * @module
 */

/** The ranges of one request that have arrived, sorted and joined. */
export class Coverage {
  /** Start and end of each range, in turns. */
  readonly #ends: number[] = [];

  /** Whether nothing has arrived. */
  get isEmpty(): boolean {
    return this.#ends.length === 0;
  }

  /**
   * Whether one range covers everything.
   *
   * @param start First byte.
   * @param end Byte after the last.
   * @returns True if so.
   */
  covers(start: number, end: number): boolean {
    const [first, second] = this.#ends;
    return this.#ends.length === 2 && first === start && second === end;
  }

  /**
   * Adds a range.
   *
   * @param start First byte.
   * @param end Byte after the last, above `start`.
   * @returns False if a part of it has arrived before; then nothing is added.
   */
  add(start: number, end: number): boolean {
    const ends = this.#ends;
    let at = ends.length;
    while (at > 0 && (ends[at - 2] ?? 0) >= end) at -= 2;
    const before = ends[at - 1] ?? -1;
    if (at > 0 && before > start) return false;
    const joinsBefore = at > 0 && before === start;
    const joinsAfter = at < ends.length && ends[at] === end;
    if (joinsBefore && joinsAfter) ends.splice(at - 1, 2);
    else if (joinsBefore) ends[at - 1] = end;
    else if (joinsAfter) ends[at] = start;
    else ends.splice(at, 0, start, end);
    return true;
  }
}
