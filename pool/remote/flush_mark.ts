/**
 * The flush mark of a far disk: how it is read, and what it says of a journal.
 *
 * A flush does not make the journal durable. So after a power cut of its machine
 * the journal may lack records that the far side has flushed, and draining the
 * ones before them would undo what was flushed. The mark shows it: the far side
 * made it durable with the flush.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  decodeFlushMark,
  FLUSH_MARK_SIZE,
  type FlushMark,
  flushMarkPosition,
  NO_MARK,
  OTHER_THAN_MARK,
} from "../../metadata/journal/mod.ts";
import type { RecoveredJournal } from "./recovered_journal.ts";
import type { OwnedDisk } from "./owner_block.ts";

/**
 * Reads the flush mark of a far disk.
 *
 * *Requires*: the far disk has an owner block.
 *
 * @param far The far disk.
 * @returns The mark; undefined if there is none.
 * @throws {VirstorError} `corrupt` if it is damaged, `io`.
 */
export async function readFlushMark(
  far: Pick<OwnedDisk, "read" | "size">,
): Promise<FlushMark | undefined> {
  const position = flushMarkPosition(far.size);
  const bytes = new Uint8Array(FLUSH_MARK_SIZE);
  await far.read(bytes, position);
  const mark = decodeFlushMark(bytes, position);
  if (typeof mark !== "string") return mark;
  // What an older program left on the page is no mark.
  if (mark === NO_MARK || mark === OTHER_THAN_MARK) return undefined;
  throw new VirstorError(
    "corrupt",
    `Cannot use the flush mark at byte ${position}: ${mark}`,
  );
}

/**
 * What is to be replayed of a journal.
 *
 * A record that comes after lost ones gets a number behind that of the mark. So
 * the numbers of a journal only grow, and a mark of an earlier opening never
 * covers a record that was written after it.
 *
 * @param found What was found in the journal.
 * @param mark The flush mark of its component, if there is one.
 * @returns The same; without records, and with `isLost`, if the journal lacks
 *   any that the far side has flushed.
 */
export function replayable(
  found: RecoveredJournal,
  mark: FlushMark | undefined,
): RecoveredJournal {
  const { header, nextSequence } = found;
  const isOfIt = mark?.journalUuid === header.journalUuid &&
    mark.componentUuid === header.componentUuid;
  if (mark === undefined || !isOfIt) return found;
  // A lower number than that of the tail is nothing unusual: a mark that made
  // this journal count as lost may itself be lost, with the power of the far
  // side.
  const { sequence, epoch } = mark;
  const isWhole = nextSequence > sequence && header.epoch >= epoch;
  if (isWhole) return found;
  const next = Math.max(sequence + 1, header.tailSequence);
  return {
    ...found,
    header: {
      ...header,
      epoch: Math.max(header.epoch, epoch),
      tailSequence: next,
    },
    records: [],
    nextSequence: next,
    used: 0,
    newestEpoch: 0,
    isLost: true,
  };
}

/**
 * Says that a journal is not replayed.
 *
 * @param journal The file of the journal.
 * @param path The component, without a password.
 * @returns A line for the user.
 */
export function lostJournal(journal: string, path: string): string {
  return `The journal "${journal}" lacks writes that "${path}" has flushed, ` +
    "as after a power cut of this machine: none of it is replayed, and what " +
    "was not flushed is lost";
}
