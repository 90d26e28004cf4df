/**
 * A request to the far side that changes it, made of parts of records that
 * follow each other.
 *
 * @module
 */

import {
  type Completion,
  joinParts,
  type KeptBytes,
} from "../../device/block/mod.ts";
import { JOURNAL_WRITE } from "../../metadata/journal/mod.ts";
import type { Journal } from "./journal.ts";
import type { JournalRecord, Span } from "./journal_record.ts";

/** The longest write that is made of several records, bytes. */
const JOINED_BYTES_MAX = 1 << 20;

/** A part of a record. */
export interface Piece extends Span {
  /** The record. */
  readonly record: JournalRecord;
}

/** A request, from its first record to the reply. */
export class Flight implements KeptBytes, Span {
  /** The first byte of the range. */
  readonly start: number;
  /** The pieces, which follow each other. */
  readonly pieces: Piece[];
  /** The record of the first piece. */
  readonly first: JournalRecord;
  /** The bytes, while it is a write that has left. */
  payload: Uint8Array | undefined;
  readonly #journal: Pick<Journal, "read">;
  #end: number;

  /**
   * Begins with a piece.
   *
   * @param piece The piece.
   * @param journal The journal that has its record.
   */
  constructor(piece: Piece, journal: Pick<Journal, "read">) {
    this.start = piece.start;
    this.#end = piece.end;
    this.pieces = [piece];
    this.first = piece.record;
    this.#journal = journal;
  }

  /** The end of the range, exclusive. */
  get end(): number {
    return this.#end;
  }

  /** Whether it writes bytes, not zeroes. */
  get isWrite(): boolean {
    return this.first.kind === JOURNAL_WRITE;
  }

  /**
   * Takes a piece along, if it follows, and is of the same kind.
   *
   * @param piece The piece.
   * @returns Whether it was taken along.
   */
  join(piece: Piece): boolean {
    const { kind, noHole } = piece.record;
    const canJoin = this.#end === piece.start && this.first.kind === kind &&
      this.first.noHole === noHole &&
      (kind !== JOURNAL_WRITE || piece.end - this.start <= JOINED_BYTES_MAX);
    if (!canJoin) return false;
    this.#end = piece.end;
    this.pieces.push(piece);
    return true;
  }

  /** As {@linkcode KeptBytes.read}: the journal has the bytes until a flush. */
  read(target: Uint8Array, offset: number): Completion {
    const end = offset + target.length;
    if (this.pieces.length === 1) {
      return this.#journal.read(this.first, offset, target);
    }
    return joinParts(this.pieces, (piece) => {
      const from = Math.max(piece.start, offset);
      const to = Math.min(piece.end, end);
      if (from >= to) return undefined;
      const part = target.subarray(from - offset, to - offset);
      return this.#journal.read(piece.record, from, part);
    });
  }
}
