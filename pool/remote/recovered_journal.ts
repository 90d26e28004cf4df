/**
 * What an earlier opening has left in a journal.
 *
 * @module
 */

import type { FoundJournalHeader } from "../../metadata/journal/mod.ts";
import type { JournalRecord } from "./journal_record.ts";

/** What was found in a journal, with the header that counts. */
export interface RecoveredJournal extends FoundJournalHeader {
  /** The records, oldest first, without skips. */
  readonly records: JournalRecord[];
  /** The sequence number of the next record. */
  readonly nextSequence: number;
  /** Bytes of the ring that all records take, skips included. */
  readonly used: number;
  /** The epoch of the newest record; 0 if there is none. */
  readonly newestEpoch: number;
  /**
   * Whether it lacks records that the far side has flushed, as after a power cut
   * of its machine: then none is replayed.
   */
  readonly isLost: boolean;
}
