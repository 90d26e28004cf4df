/**
 * A record of a journal: one change of a component. docs/format.md tables the
 * offsets.
 *
 * A record holds its own position, sequence number and epoch, so a record of an
 * earlier lap of the ring, or of an earlier opening, can be recognised without
 * other context. An unsound record ends the journal, so
 * {@linkcode decodeJournalRecord} does not throw.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { viewOf } from "../../device/block/mod.ts";
import { assert } from "../../errors.ts";
import {
  areZeroes,
  checksumOf,
  getUint64,
  setUint64,
  UUID_SIZE,
} from "../common/mod.ts";
import {
  JOURNAL_RECORD_OFFSET,
  JOURNAL_RECORD_SIZE,
  JOURNAL_SECTOR,
} from "./journal_layout.ts";

/** The bytes `VJRN`. */
const MAGIC = 0x4e52_4a56;
/** Where the last field ends. */
const FIELDS_END = JOURNAL_RECORD_OFFSET.flags + 4;

/** The kinds of record. */
export const JOURNAL_WRITE = 1;
/** The range reads as zeroes from then on. */
export const JOURNAL_ZEROES = 2;
/** The next record lies at the start of the ring. */
export const JOURNAL_SKIP = 3;

/** The flag of zeroes that keep their space. */
export const JOURNAL_NO_HOLE = 1;

/** A record without its payload. */
export interface JournalRecordFields {
  /** {@linkcode JOURNAL_WRITE} or one of the other kinds. */
  readonly kind: number;
  /** {@linkcode JOURNAL_NO_HOLE}, or 0. */
  readonly flags: number;
  /** The opening of the journal that wrote the record. */
  readonly epoch: number;
  /** The record's number; they follow each other without gaps. */
  readonly sequence: number;
  /** Where the record lies, bytes from the start of the file. */
  readonly position: number;
  /** The first byte of the range, on the component; 0 of a skip. */
  readonly offset: number;
  /** Bytes of the range; of a skip the bytes up to the end of the ring. */
  readonly length: number;
}

/**
 * The bytes that a record takes in the ring.
 *
 * @param payload Bytes of its payload.
 * @returns Whole sectors.
 */
export function journalRecordSize(payload: number): number {
  return Math.ceil((JOURNAL_RECORD_SIZE + payload) / JOURNAL_SECTOR) *
    JOURNAL_SECTOR;
}

/**
 * Writes a record before its payload, and seals both.
 *
 * *Requires*: the payload stands behind the first 80 bytes, and zeroes behind
 * it.
 *
 * @param record The record.
 * @param journalUuid The UUID of the journal, 16 bytes.
 * @param bytes The record with its payload, whole sectors.
 * @param payload Bytes of the payload.
 */
export function sealJournalRecord(
  record: JournalRecordFields,
  journalUuid: Uint8Array,
  bytes: Uint8Array,
  payload: number,
): void {
  assert(
    bytes.length === journalRecordSize(payload),
    "a record is whole sectors",
  );
  assert(journalUuid.length === UUID_SIZE, "a UUID has 16 bytes");
  const at = JOURNAL_RECORD_OFFSET;
  const view = viewOf(bytes);
  view.setUint32(at.magic, MAGIC, true);
  view.setUint32(at.checksum, 0, true);
  bytes.set(journalUuid, at.journalUuid);
  setUint64(view, at.epoch, record.epoch);
  setUint64(view, at.sequence, record.sequence);
  setUint64(view, at.position, record.position);
  setUint64(view, at.offset, record.offset);
  setUint64(view, at.length, record.length);
  view.setUint32(at.kind, record.kind, true);
  view.setUint32(at.flags, record.flags, true);
  bytes.fill(0, FIELDS_END, JOURNAL_RECORD_SIZE);
  const whole = bytes.subarray(0, JOURNAL_RECORD_SIZE + payload);
  view.setUint32(at.checksum, crc32(whole), true);
}

/**
 * Decodes the fields of a record. The record is sound only if
 * {@linkcode isSoundJournalRecord} holds as well.
 *
 * @param bytes At least the first 80 bytes of the record.
 * @param journalUuid The UUID of the journal, 16 bytes.
 * @returns The fields; or why there is no record here.
 */
export function decodeJournalRecord(
  bytes: Uint8Array,
  journalUuid: Uint8Array,
): JournalRecordFields | string {
  assert(bytes.length >= JOURNAL_RECORD_SIZE, "a record has 80 bytes");
  const at = JOURNAL_RECORD_OFFSET;
  const view = viewOf(bytes);
  if (view.getUint32(at.magic, true) !== MAGIC) return "it holds no record";
  for (let i = 0; i < UUID_SIZE; i++) {
    if (bytes[at.journalUuid + i] !== journalUuid[i]) {
      return "it belongs to another journal";
    }
  }
  if (!areZeroes(bytes, FIELDS_END, JOURNAL_RECORD_SIZE)) {
    return "its reserved bytes are not zero";
  }
  const kind = view.getUint32(at.kind, true);
  const flags = view.getUint32(at.flags, true);
  if (kind < JOURNAL_WRITE || kind > JOURNAL_SKIP) return "its kind is unknown";
  if (flags !== 0 && !(kind === JOURNAL_ZEROES && flags === JOURNAL_NO_HOLE)) {
    return "its flags are unknown";
  }
  return {
    kind,
    flags,
    epoch: getUint64(view, at.epoch),
    sequence: getUint64(view, at.sequence),
    position: getUint64(view, at.position),
    offset: getUint64(view, at.offset),
    length: getUint64(view, at.length),
  };
}

/**
 * The bytes of a record's payload.
 *
 * @param record The record.
 * @returns Its length if it is a write, else 0.
 */
export function journalPayload(record: JournalRecordFields): number {
  return record.kind === JOURNAL_WRITE ? record.length : 0;
}

/**
 * Whether the checksum of a record is right.
 *
 * @param bytes The record with its payload, without what follows.
 * @returns Whether it is.
 */
export function isSoundJournalRecord(bytes: Uint8Array): boolean {
  const at = JOURNAL_RECORD_OFFSET.checksum;
  return viewOf(bytes).getUint32(at, true) === checksumOf(bytes, at);
}
