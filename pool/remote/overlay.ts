/**
 * Which record holds the newest content of each byte: of the journal, for what
 * the far side may lack, or of the changes that wait for room in it.
 *
 * The component is cut into stretches, so that one change moves few entries.
 *
 * @module
 */

import type { JournalRecord, Span } from "./journal_record.ts";

/** A change of the component: what an overlay has to know of it. */
export interface OverlayRecord {
  /** The first byte of the range, on the component. */
  readonly offset: number;
  /** Bytes of the range. */
  readonly length: number;
}

/** Bytes of a stretch. */
const STRETCH = 1 << 20;

/** A range whose newest content is in one record, or below the overlay. */
export interface OverlayPart<R extends OverlayRecord = JournalRecord>
  extends Span {
  /** The record; undefined: what is below has it, as the far side. */
  readonly record: R | undefined;
}

/** A range of one record, inside one stretch. */
interface Piece<R extends OverlayRecord> extends Span {
  readonly record: R;
}

/** The newest content of what the records hold. */
export class Overlay<R extends OverlayRecord = JournalRecord> {
  /** Pieces in ascending order, without overlaps, by stretch. */
  readonly #stretches = new Map<number, Piece<R>[]>();

  /** Whether no record has anything. */
  get isEmpty(): boolean {
    return this.#stretches.size === 0;
  }

  /**
   * Adds a record, newer than all others.
   *
   * @param record The record.
   */
  add(record: R): void {
    const { offset, length } = record;
    this.#eachStretch({ start: offset, end: offset + length }, (span, key) => {
      const pieces = this.#stretches.get(key);
      const piece = { ...span, record };
      if (pieces === undefined) this.#stretches.set(key, [piece]);
      else replace(pieces, span, piece);
    });
  }

  /**
   * Removes a range of a record: the far side has it. Ranges that a newer
   * record has taken stay.
   *
   * @param record The record.
   * @param range The range, inside the record.
   */
  drop(record: R, range: Span): void {
    this.#eachStretch(range, (span, key) => {
      const pieces = this.#stretches.get(key);
      if (pieces === undefined) return;
      remove(pieces, span, record);
      if (pieces.length === 0) this.#stretches.delete(key);
    });
  }

  /**
   * Whether a record has a part of a range.
   *
   * @param start The first byte of the range.
   * @param end The end of the range, exclusive.
   * @returns Whether one has.
   */
  touches(start: number, end: number): boolean {
    if (this.#stretches.size === 0) return false;
    for (
      let at = start;
      at < end;
      at = (Math.floor(at / STRETCH) + 1) * STRETCH
    ) {
      const pieces = this.#stretches.get(Math.floor(at / STRETCH));
      if (pieces === undefined) continue;
      const piece = pieces[firstEndingAfter(pieces, start)];
      if (piece !== undefined && piece.start < end) return true;
    }
    return false;
  }

  /**
   * Divides a range by where its newest content is.
   *
   * @param range The range.
   * @returns Parts in ascending order, without gaps.
   */
  parts(range: Span): OverlayPart<R>[] {
    const parts: OverlayPart<R>[] = [];
    this.#eachStretch(range, ({ start, end }, key) => {
      const pieces = this.#stretches.get(key) ?? [];
      let at = start;
      for (let i = firstEndingAfter(pieces, start); at < end; i++) {
        const piece = pieces[i];
        const from = Math.min(end, piece?.start ?? end);
        if (from > at) append(parts, { start: at, end: from }, undefined);
        at = Math.max(at, from);
        if (piece === undefined || from === end) break;
        const to = Math.min(end, piece.end);
        append(parts, { start: at, end: to }, piece.record);
        at = to;
      }
    });
    return parts;
  }

  /**
   * The ranges whose newest content is in a record.
   *
   * @param record The record.
   * @returns The ranges in ascending order.
   */
  rangesOf(record: R): Span[] {
    const { offset, length } = record;
    return this.parts({ start: offset, end: offset + length })
      .filter((part) => part.record === record);
  }

  #eachStretch(
    { start, end }: Span,
    act: (span: Span, key: number) => void,
  ): void {
    for (let at = start; at < end;) {
      const key = Math.floor(at / STRETCH);
      const stop = Math.min(end, (key + 1) * STRETCH);
      act({ start: at, end: stop }, key);
      at = stop;
    }
  }
}

/** Adds a part, joined to the last one where they belong together. */
function append<R extends OverlayRecord>(
  parts: OverlayPart<R>[],
  { start, end }: Span,
  record: R | undefined,
): void {
  const last = parts.at(-1);
  if (last !== undefined && last.record === record && last.end === start) {
    parts[parts.length - 1] = { start: last.start, end, record };
  } else parts.push({ start, end, record });
}

/** What is left of a piece without a range. */
function without<R extends OverlayRecord>(
  piece: Piece<R>,
  { start, end }: Span,
): Piece<R>[] {
  const left: Piece<R>[] = [];
  const { record } = piece;
  if (start >= piece.end || end <= piece.start) return [piece];
  if (piece.start < start) {
    left.push({ start: piece.start, end: start, record });
  }
  if (piece.end > end) left.push({ start: end, end: piece.end, record });
  return left;
}

/** Removes what a record has in a range. */
function remove<R extends OverlayRecord>(
  pieces: Piece<R>[],
  span: Span,
  record: R,
): void {
  for (let i = firstEndingAfter(pieces, span.start); i < pieces.length;) {
    const piece = pieces[i];
    if (piece === undefined || piece.start >= span.end) return;
    if (piece.record !== record) {
      i += 1;
      continue;
    }
    const left = without(piece, span);
    pieces.splice(i, 1, ...left);
    i += left.length;
  }
}

/** Puts a piece in the place of all that it overlaps. */
function replace<R extends OverlayRecord>(
  pieces: Piece<R>[],
  span: Span,
  piece: Piece<R>,
): void {
  const first = firstEndingAfter(pieces, span.start);
  const fresh: Piece<R>[] = [];
  let count = 0;
  let rest: Piece<R>[] = [];
  for (let i = first; i < pieces.length; i++) {
    const old = pieces[i];
    if (old === undefined || old.start >= span.end) break;
    count += 1;
    const left = without(old, span);
    fresh.push(...left.filter(({ start }) => start < span.start));
    rest = left.filter(({ start }) => start >= span.end);
  }
  pieces.splice(first, count, ...fresh, piece, ...rest);
}

/** Index of the first piece that ends behind a byte. */
function firstEndingAfter(pieces: readonly Span[], byte: number): number {
  let [low, high] = [0, pieces.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((pieces[middle]?.end ?? 0) <= byte) low = middle + 1;
    else high = middle;
  }
  return low;
}
