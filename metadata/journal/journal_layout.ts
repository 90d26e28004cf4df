/**
 * The layout of a journal: the local file through which a pool writes to a
 * remote component. docs/format.md has the same tables, and a test compares
 * them.
 *
 * @module
 */

/** Bytes of a sector: each header and each record starts at a whole one. */
export const JOURNAL_SECTOR = 512;
/** Bytes of a header. */
export const JOURNAL_HEADER_SIZE = 512;
/** Number of header slots. */
export const JOURNAL_SLOTS = 2;
/** Bytes from one header slot to the next: no page holds both. */
export const JOURNAL_SLOT_SIZE = 4096;
/** Where the ring of records starts, bytes. */
export const JOURNAL_RING_START: number = JOURNAL_SLOTS * JOURNAL_SLOT_SIZE;
/** The offset of each field of a header, bytes from the start of its slot. */
export const JOURNAL_HEADER_OFFSET: Readonly<
  Record<
    | "magic"
    | "checksum"
    | "version"
    | "position"
    | "counter"
    | "journalUuid"
    | "componentUuid"
    | "generation"
    | "componentSize"
    | "journalSize"
    | "epoch"
    | "tailSequence"
    | "tailPosition"
    | "tailEpoch"
    | "bootId",
    number
  >
> = {
  magic: 0,
  checksum: 16,
  version: 20,
  position: 24,
  counter: 32,
  journalUuid: 40,
  componentUuid: 56,
  generation: 72,
  componentSize: 80,
  journalSize: 88,
  epoch: 96,
  tailSequence: 104,
  tailPosition: 112,
  tailEpoch: 120,
  bootId: 128,
};
/** Bytes of a record before its payload. */
export const JOURNAL_RECORD_SIZE = 80;
/** The offset of each field of a record, bytes from its start. */
export const JOURNAL_RECORD_OFFSET: Readonly<
  Record<
    | "magic"
    | "checksum"
    | "journalUuid"
    | "epoch"
    | "sequence"
    | "position"
    | "offset"
    | "length"
    | "kind"
    | "flags",
    number
  >
> = {
  magic: 0,
  checksum: 4,
  journalUuid: 8,
  epoch: 24,
  sequence: 32,
  position: 40,
  offset: 48,
  length: 56,
  kind: 64,
  flags: 68,
};
