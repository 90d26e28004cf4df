/**
 * What an earlier opening has left in a journal: the header and the records
 * that follow each other without a gap from the tail on.
 *
 * The first record that is torn, missing or of an earlier lap of the ring ends
 * the journal. After a kill of the process that record was never acknowledged.
 * After a power cut the far side may have flushed records from there on: its
 * flush mark shows it, and then the journal is not replayed (`flush_mark.ts`).
 *
 * @module
 */

import { Slice, turns } from "../../device/block/mod.ts";
import { inBytes, VirstorError } from "../../errors.ts";
import { encodeUuid, UUID_SIZE } from "../../metadata/common/mod.ts";
import {
  decodeJournalRecord,
  type FlushMark,
  type FoundJournalHeader,
  isSoundJournalRecord,
  JOURNAL_NEVER_WRITTEN,
  JOURNAL_NO_HOLE,
  JOURNAL_RECORD_SIZE,
  JOURNAL_RING_START,
  JOURNAL_SECTOR,
  JOURNAL_SKIP,
  type JournalHeader,
  journalPayload,
  type JournalRecordFields,
  journalRecordSize,
  newerJournalHeader,
} from "../../metadata/journal/mod.ts";
import { type ComponentDevice, readBootId } from "../core/mod.ts";
import { replayable } from "./flush_mark.ts";
import type { JournalRecord } from "./journal_record.ts";
import type { RecoveredJournal } from "./recovered_journal.ts";

/**
 * Bytes behind the end that are looked through for later records: several of the
 * longest records. Damage to more than these is not told from the end.
 */
const LATER_MAX = 4 * 1024 * 1024;
/**
 * Bytes of them that are read at once: whole sectors, and fewer than the system
 * takes for the beginning of a long read.
 */
const LATER_PIECE = 64 * 1024;

/** The file of a journal. */
export type JournalDevice = Pick<
  ComponentDevice,
  | "path"
  | "size"
  | "read"
  | "readCached"
  | "readCold"
  | "write"
  | "flush"
  | "close"
>;

/** Where a journal ends. */
interface JournalEnd {
  /** The epoch of its last opening. */
  readonly epoch: number;
  /** The sequence number that is not there. */
  readonly sequence: number;
  /** Where it would be, bytes. */
  readonly position: number;
}

/** The component that a journal is for. */
export interface JournalOwner {
  /** The UUID of the component. */
  readonly componentUuid: string;
  /** Which journal of the component it is, from 1. */
  readonly generation: number;
  /** Bytes of the component. */
  readonly componentSize: number;
  /** The UUID of the journal, if the component records it; else any. */
  readonly journalUuid?: string;
  /** The id of this boot. Default: the system's. */
  readonly bootId?: string;
}

/** A journal is of another component, or older than the component says. */
export class ForeignJournalError extends VirstorError {
  /**
   * Creates an error of code `exists`.
   *
   * @param path The file of the journal.
   * @param reason Which other journal it is.
   */
  constructor(path: string, reason: string) {
    super("exists", `Cannot use the journal "${path}": ${reason}`);
  }
}

/**
 * Reads the header of a journal, and checks that the journal is the right one.
 *
 * @param device The file.
 * @param owner The component.
 * @returns The header that counts.
 * @throws {VirstorError} `not-found` if no header was ever written;
 *   {@linkcode ForeignJournalError}; `corrupt`.
 */
export async function readJournalHeader(
  device: JournalDevice,
  owner: JournalOwner,
): Promise<FoundJournalHeader> {
  const { path, size } = device;
  if (size < JOURNAL_RING_START) {
    throw damaged(path, `the file has only ${inBytes(size)}`);
  }
  const slots = new Uint8Array(JOURNAL_RING_START);
  await device.read(slots, 0);
  const found = newerJournalHeader(slots);
  if (found === JOURNAL_NEVER_WRITTEN) {
    throw new VirstorError(
      "not-found",
      `Cannot use the journal "${path}": ${found}`,
    );
  }
  if (typeof found === "string") {
    throw damaged(path, `neither of its headers is sound: ${found}`);
  }
  const { header } = found;
  if (header.componentUuid !== owner.componentUuid) {
    throw new ForeignJournalError(
      path,
      `it is of component ${header.componentUuid}, this is ` +
        owner.componentUuid,
    );
  }
  if (header.generation !== owner.generation) {
    throw new ForeignJournalError(
      path,
      `it is journal ${header.generation} of its component, which says ` +
        `${owner.generation}: what was written to the component since ` +
        "would be undone",
    );
  }
  if (header.journalUuid !== (owner.journalUuid ?? header.journalUuid)) {
    throw new ForeignJournalError(
      path,
      `it is journal ${header.journalUuid}, its component says ` +
        owner.journalUuid,
    );
  }
  if (header.journalSize !== size) {
    throw damaged(
      path,
      `its header says ${inBytes(header.journalSize)}, the file has ${size}`,
    );
  }
  if (header.componentSize !== owner.componentSize) {
    throw damaged(
      path,
      `its component had ${inBytes(header.componentSize)}, and has ` +
        `${owner.componentSize}`,
    );
  }
  return found;
}

/**
 * Reads a journal.
 *
 * @param device The file.
 * @param owner The component.
 * @param mark The flush mark of the component. Default: it has none.
 * @returns What is there, and is to be replayed.
 * @throws {VirstorError} As {@linkcode readJournalHeader}; `io`.
 */
export async function recoverJournal(
  device: JournalDevice,
  owner: JournalOwner,
  mark?: FlushMark,
): Promise<RecoveredJournal> {
  const counts = await readJournalHeader(device, owner);
  const { header } = counts;
  const { tailSequence, tailPosition, tailEpoch, componentSize } = header;
  const uuid = new Uint8Array(UUID_SIZE);
  encodeUuid(header.journalUuid, uuid, 0);
  const capacity = device.size - JOURNAL_RING_START;
  const records: JournalRecord[] = [];
  const slice = new Slice(1);
  let [position, sequence, used] = [tailPosition, tailSequence, 0];
  let least = tailEpoch;
  // A skip that no record follows is not part of the journal.
  let end = { nextSequence: sequence, used, newestEpoch: 0 };
  slice.begin();
  for (;;) {
    const found = await readRecord(device, position, uuid);
    if (found !== undefined && isNewer(found, header)) {
      throw damaged(
        device.path,
        `its newer header is damaged: record ${found.sequence} at byte ` +
          `${position} is newer than the other one`,
      );
    }
    if (found === undefined || found.sequence !== sequence) break;
    if (found.epoch < least) break;
    const { kind, offset, length } = found;
    const isSkip = kind === JOURNAL_SKIP;
    const size = isSkip ? length : journalRecordSize(journalPayload(found));
    if (used + size > capacity) break;
    used += size;
    if (!isSkip) {
      const isInside = length > 0 && offset + length <= componentSize;
      if (!isInside) {
        throw damaged(
          device.path,
          `record ${sequence} at byte ${position} lies outside the component`,
        );
      }
      const noHole = found.flags === JOURNAL_NO_HOLE;
      records.push({
        ...{ kind, noHole, sequence, position, end: used, offset, length },
      });
    }
    least = found.epoch;
    sequence += 1;
    if (!isSkip) end = { nextSequence: sequence, used, newestEpoch: least };
    position = nextPosition(position, size, device.size);
    if (slice.spend(1)) {
      await turns.next(device);
      slice.begin();
    }
  }
  const found = { ...counts, records, ...end, isLost: false };
  const replayed = replayable(found, mark);
  // A boot later, what is missing was lost with the page cache.
  if (header.bootId === (owner.bootId ?? readBootId())) {
    await refuseDamage(device, uuid, replayed.isLost, {
      ...header,
      position,
      sequence,
    });
  }
  return replayed;
}

/** Refuses a journal of this boot that lacks records: that is damage. */
async function refuseDamage(
  device: JournalDevice,
  uuid: Uint8Array,
  isLost: boolean,
  end: JournalEnd,
): Promise<void> {
  const { sequence, position } = end;
  if (isLost) {
    throw damaged(
      device.path,
      "it lacks writes that its component has flushed, though this machine " +
        "was not started anew since: it is an older copy, or damaged",
    );
  }
  const later = await findLater(device, uuid, end);
  if (later === undefined) return;
  throw damaged(
    device.path,
    `record ${sequence} at byte ${position} is damaged or missing: record ` +
      `${later.sequence} at byte ${later.position} follows it, and this ` +
      "machine was not started anew since",
  );
}

/**
 * Looks for a record of the last opening behind the end. A process that is
 * killed leaves none: it writes one record after the other.
 */
async function findLater(
  device: JournalDevice,
  uuid: Uint8Array,
  { epoch, sequence, position }: JournalEnd,
): Promise<JournalRecordFields | undefined> {
  const bytes = new Uint8Array(LATER_PIECE);
  const slice = new Slice(1);
  slice.begin();
  const capacity = device.size - JOURNAL_RING_START;
  const start = position - JOURNAL_RING_START;
  let first: JournalRecordFields | undefined;
  let end = Math.min(LATER_MAX, capacity);
  // Backwards: else the system would read ahead of the journal's writes from
  // then on, into small pages, which made those a third slower.
  while (end > 0) {
    // Where the piece ends, from the start of the ring.
    const to = (start + end - 1) % capacity + 1;
    const length = Math.min(LATER_PIECE, end, to);
    const at = JOURNAL_RING_START + to - length;
    const piece = bytes.subarray(0, length);
    await device.read(piece, at);
    for (let i = length - JOURNAL_SECTOR; i >= 0; i -= JOURNAL_SECTOR) {
      const sector = piece.subarray(i, i + JOURNAL_SECTOR);
      const fields = decodeJournalRecord(sector, uuid);
      if (
        typeof fields !== "string" && fields.epoch === epoch &&
        fields.sequence > sequence
      ) first = await readRecord(device, at + i, uuid) ?? first;
    }
    end -= length;
    if (!slice.spend(1)) continue;
    await turns.next(device);
    slice.begin();
  }
  return first;
}

/**
 * Whether a record was written after a header was replaced: the newer header
 * was durable before that.
 */
function isNewer(record: JournalRecordFields, header: JournalHeader): boolean {
  const { epoch, sequence, position } = record;
  const { tailPosition, tailSequence } = header;
  return epoch > header.epoch ||
    // The place of the tail was used again.
    (epoch === header.epoch && position === tailPosition &&
      sequence > tailSequence);
}

/** Where the ring goes on behind a record. */
export function nextPosition(
  position: number,
  size: number,
  journalSize: number,
): number {
  const next = position + size;
  return next === journalSize ? JOURNAL_RING_START : next;
}

/** Reads the sound record at a position; undefined if there is none. */
async function readRecord(
  device: JournalDevice,
  position: number,
  uuid: Uint8Array,
): Promise<JournalRecordFields | undefined> {
  const rest = device.size - position;
  const start = new Uint8Array(JOURNAL_SECTOR);
  await device.read(start, position);
  const record = decodeJournalRecord(start, uuid);
  if (typeof record === "string" || record.position !== position) {
    return undefined;
  }
  if (record.kind === JOURNAL_SKIP) {
    const isWhole = record.length === rest && record.offset === 0;
    const bytes = start.subarray(0, JOURNAL_RECORD_SIZE);
    return isWhole && isSoundJournalRecord(bytes) ? record : undefined;
  }
  const payload = journalPayload(record);
  if (!(journalRecordSize(payload) <= rest)) return undefined;
  let bytes = start;
  const size = JOURNAL_RECORD_SIZE + payload;
  if (size > start.length) {
    bytes = new Uint8Array(size);
    await device.read(bytes, position);
  }
  return isSoundJournalRecord(bytes.subarray(0, size)) ? record : undefined;
}

function damaged(path: string, reason: string): VirstorError {
  return new VirstorError(
    "corrupt",
    `Cannot use the journal "${path}": ${reason}; it may hold writes that ` +
      "its component lacks: move it elsewhere to do without them",
  );
}
