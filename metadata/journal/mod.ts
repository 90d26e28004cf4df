/**
 * The journal of a remote component: codecs of its header and of its records,
 * no I/O.
 *
 * @module
 */

export {
  decodeFlushMark,
  encodeFlushMark,
  FLUSH_MARK_OFFSET,
  FLUSH_MARK_SIZE,
  flushMarkPosition,
  NO_MARK,
  OTHER_THAN_MARK,
} from "./flush_mark.ts";
export type { FlushMark } from "./flush_mark.ts";
export {
  decodeJournalHeader,
  encodeJournalHeader,
  JOURNAL_NEVER_WRITTEN,
  JOURNAL_VERSION,
  newerJournalHeader,
} from "./journal_header.ts";
export type { FoundJournalHeader, JournalHeader } from "./journal_header.ts";
export {
  JOURNAL_HEADER_OFFSET,
  JOURNAL_HEADER_SIZE,
  JOURNAL_RECORD_OFFSET,
  JOURNAL_RECORD_SIZE,
  JOURNAL_RING_START,
  JOURNAL_SECTOR,
  JOURNAL_SLOT_SIZE,
  JOURNAL_SLOTS,
} from "./journal_layout.ts";
export {
  decodeJournalRecord,
  isSoundJournalRecord,
  JOURNAL_NO_HOLE,
  JOURNAL_SKIP,
  JOURNAL_WRITE,
  JOURNAL_ZEROES,
  journalPayload,
  journalRecordSize,
  sealJournalRecord,
} from "./journal_record.ts";
export type { JournalRecordFields } from "./journal_record.ts";
export {
  decodeOwnerBlock,
  encodeOwnerBlock,
  NO_OWNER,
  OWNER_BLOCK_OFFSET,
  OWNER_BLOCK_ROOM,
  OWNER_BLOCK_SIZE,
  OWNER_HOST_SIZE,
  ownerBlockPosition,
} from "./owner_block.ts";
export type { OwnerBlock } from "./owner_block.ts";
