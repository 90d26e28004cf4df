/**
 * A record of an open journal, as the rest of the room sees it.
 *
 * @module
 */

/** A change of the component that the far side may lack. */
export interface JournalRecord {
  /** `JOURNAL_WRITE` or `JOURNAL_ZEROES`. */
  readonly kind: number;
  /** Whether zeroes keep their space. */
  readonly noHole: boolean;
  /** The record's number. */
  readonly sequence: number;
  /** Where the record lies in the file, bytes. */
  readonly position: number;
  /** Where the record ends, bytes that the journal has taken since it opened. */
  readonly end: number;
  /** The first byte of the range, on the component. */
  readonly offset: number;
  /** Bytes of the range. */
  readonly length: number;
}

/** A range of the component. */
export interface Span {
  /** The first byte. */
  readonly start: number;
  /** The end, exclusive. */
  readonly end: number;
}
