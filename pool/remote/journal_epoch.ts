/**
 * The beginning of an opening of a journal.
 *
 * @module
 */

import {
  encodeJournalHeader,
  JOURNAL_SLOT_SIZE,
  JOURNAL_VERSION,
} from "../../metadata/journal/mod.ts";
import type { JournalDevice } from "./journal_recovery.ts";
import type { RecoveredJournal } from "./recovered_journal.ts";

/**
 * Begins a new epoch of a journal, and makes durable what was found in it.
 *
 * Records behind the end, which were torn or cut off, are of an earlier epoch
 * from then on: none of them can join the records that follow.
 *
 * *Ensures*: no header of an older version remains.
 *
 * @param device The file.
 * @param found What was found.
 * @param bootId The id of this boot.
 * @returns The same, with the header of the new epoch.
 * @throws {VirstorError} `io`.
 */
export async function beginEpoch(
  device: Pick<JournalDevice, "flush" | "write">,
  found: RecoveredJournal,
  bootId: string,
): Promise<RecoveredJournal> {
  // The header that counts may be in the page cache only, and the other one
  // is overwritten next.
  await device.flush();
  const epoch = found.header.epoch + 1;
  const tailEpoch = found.used === 0 ? epoch : found.header.tailEpoch;
  let { header, slot } = found;
  // An older program takes a header of its own version for the newer one.
  for (let left = found.version < JOURNAL_VERSION ? 2 : 1; left > 0; left--) {
    slot = 1 - slot;
    const counter = header.counter + 1;
    header = { ...header, counter, epoch, tailEpoch, bootId };
    const at = slot * JOURNAL_SLOT_SIZE;
    await device.write(encodeJournalHeader(header, slot), at);
    await device.flush();
  }
  return { ...found, header, slot };
}
