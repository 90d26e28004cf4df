/**
 * The header of a journal: which component the journal belongs to, and where
 * its oldest record lies. docs/format.md tables the offsets.
 *
 * A journal has two header slots. A torn slot is nothing unusual after a power
 * cut, so {@linkcode decodeJournalHeader} returns the fault and does not throw.
 *
 * @module
 */

import { viewOf } from "../../device/block/mod.ts";
import { assert } from "../../errors.ts";
import {
  areZeroes,
  decodeUuid,
  encodeUuid,
  getUint64,
  NIL_UUID,
  setUint64,
  UUID_SIZE,
} from "../common/mod.ts";
import {
  beginBlock,
  blockFault,
  type BlockKind,
  blockVersion,
  sealBlock,
} from "./block_start.ts";
import {
  JOURNAL_HEADER_OFFSET,
  JOURNAL_HEADER_SIZE,
  JOURNAL_RING_START,
  JOURNAL_SECTOR,
  JOURNAL_SLOT_SIZE,
  JOURNAL_SLOTS,
} from "./journal_layout.ts";

/** Where the last field ends. */
const FIELDS_END = JOURNAL_HEADER_OFFSET.bootId + UUID_SIZE;

/** The result of {@linkcode decodeJournalHeader} for a slot of zeroes. */
export const JOURNAL_NEVER_WRITTEN = "it was never written";

/**
 * The version of a journal whose flushes need not make it durable: the far side
 * has a flush mark. A program that does not look at the mark must not replay
 * such a journal. Flushes of a journal of version 1 made it durable.
 */
export const JOURNAL_VERSION = 2;

const KIND: BlockKind = {
  magic: new TextEncoder().encode("VIRSTOR::JOURNAL"),
  version: JOURNAL_VERSION,
  oldest: 1,
  never: JOURNAL_NEVER_WRITTEN,
  other: "it holds no header of a journal",
};

/** The header of a journal. */
export interface JournalHeader {
  /** Counts the writes of the header, from 1; the higher count is newer. */
  readonly counter: number;
  /** The journal. */
  readonly journalUuid: string;
  /** The component that the records are for. */
  readonly componentUuid: string;
  /** Counts the journals of the component, from 1. */
  readonly generation: number;
  /** Bytes of the component. */
  readonly componentSize: number;
  /** Bytes of the file of the journal. */
  readonly journalSize: number;
  /** Counts the openings of the journal, from 1. */
  readonly epoch: number;
  /** The sequence number of the oldest record that is needed, from 1. */
  readonly tailSequence: number;
  /** Where that record lies, or will lie, bytes from the start of the file. */
  readonly tailPosition: number;
  /**
   * The lowest epoch of a record at the tail, and of those that follow; 0 if any
   * may be there. What an earlier opening left behind its end is older.
   */
  readonly tailEpoch: number;
  /**
   * The boot of the system in which the last opening began: what is in the file
   * then may have been lost since only if it is another one now. In version 1
   * the nil UUID: not known.
   */
  readonly bootId: string;
}

/** A header in its slot. */
export interface FoundJournalHeader {
  /** The header. */
  readonly header: JournalHeader;
  /** The slot, 0 or 1. */
  readonly slot: number;
  /** The version that it was written with, 1 or 2. */
  readonly version: number;
}

/**
 * Encodes a header.
 *
 * @param header The header.
 * @param slot The slot that it is for, 0 or 1.
 * @returns 512 bytes.
 */
export function encodeJournalHeader(
  header: JournalHeader,
  slot: number,
): Uint8Array {
  const bytes = new Uint8Array(JOURNAL_HEADER_SIZE);
  const view = viewOf(bytes);
  const at = JOURNAL_HEADER_OFFSET;
  beginBlock(bytes, KIND, slot * JOURNAL_SLOT_SIZE);
  setUint64(view, at.counter, header.counter);
  encodeUuid(header.journalUuid, bytes, at.journalUuid);
  encodeUuid(header.componentUuid, bytes, at.componentUuid);
  setUint64(view, at.generation, header.generation);
  setUint64(view, at.componentSize, header.componentSize);
  setUint64(view, at.journalSize, header.journalSize);
  setUint64(view, at.epoch, header.epoch);
  setUint64(view, at.tailSequence, header.tailSequence);
  setUint64(view, at.tailPosition, header.tailPosition);
  setUint64(view, at.tailEpoch, header.tailEpoch);
  encodeUuid(header.bootId, bytes, at.bootId);
  sealBlock(bytes);
  const fault = faultOf(header);
  assert(fault === "", `a header to write is sound: ${fault}`);
  return bytes;
}

/**
 * Decodes a header, and checks it.
 *
 * @param bytes The slot, 512 bytes.
 * @param slot The slot that the bytes come from, 0 or 1.
 * @returns The header; or what is wrong, {@linkcode JOURNAL_NEVER_WRITTEN} for
 *   512 zeroes.
 */
export function decodeJournalHeader(
  bytes: Uint8Array,
  slot: number,
): JournalHeader | string {
  assert(bytes.length === JOURNAL_HEADER_SIZE, "a header has 512 bytes");
  const at = JOURNAL_HEADER_OFFSET;
  const view = viewOf(bytes);
  const fault = blockFault(bytes, KIND, slot * JOURNAL_SLOT_SIZE);
  if (fault !== "") return fault;
  if (!areZeroes(bytes, FIELDS_END, bytes.length)) {
    return "its reserved bytes are not zero";
  }
  const header = {
    counter: getUint64(view, at.counter),
    journalUuid: decodeUuid(bytes, at.journalUuid),
    componentUuid: decodeUuid(bytes, at.componentUuid),
    generation: getUint64(view, at.generation),
    componentSize: getUint64(view, at.componentSize),
    journalSize: getUint64(view, at.journalSize),
    epoch: getUint64(view, at.epoch),
    tailSequence: getUint64(view, at.tailSequence),
    tailPosition: getUint64(view, at.tailPosition),
    tailEpoch: getUint64(view, at.tailEpoch),
    bootId: decodeUuid(bytes, at.bootId),
  };
  return faultOf(header) || header;
}

/**
 * Picks the newer sound header.
 *
 * @param slots Both slots from the start of the file, 8192 bytes.
 * @returns What was found; or what is wrong with both slots.
 */
export function newerJournalHeader(
  slots: Uint8Array,
): FoundJournalHeader | string {
  assert(slots.length === JOURNAL_RING_START, "a journal has two slots");
  const faults: string[] = [];
  let newest: FoundJournalHeader | undefined;
  for (let slot = 0; slot < JOURNAL_SLOTS; slot++) {
    const start = slot * JOURNAL_SLOT_SIZE;
    const bytes = slots.subarray(start, start + JOURNAL_HEADER_SIZE);
    const header = decodeJournalHeader(bytes, slot);
    if (typeof header === "string") faults.push(header);
    else if (header.counter > (newest?.header.counter ?? 0)) {
      newest = { header, slot, version: blockVersion(bytes) };
    }
  }
  if (newest !== undefined) return newest;
  // Of two faults, the one that is not "never written" explains more.
  return faults.find((fault) => fault !== JOURNAL_NEVER_WRITTEN) ??
    JOURNAL_NEVER_WRITTEN;
}

/** What is out of range in a header; "" if nothing is. */
function faultOf(header: JournalHeader): string {
  const { counter, generation, epoch, tailSequence } = header;
  for (
    const [name, value] of Object.entries({
      counter,
      generation,
      epoch,
      tailSequence,
    })
  ) {
    if (!Number.isSafeInteger(value) || value < 1) {
      return `its ${name} is out of range`;
    }
  }
  if (!(header.tailEpoch <= epoch)) return "its tailEpoch is out of range";
  const { componentSize, journalSize, tailPosition } = header;
  if (!Number.isSafeInteger(componentSize)) {
    return "its component's size is out of range";
  }
  if (
    !Number.isSafeInteger(journalSize) || journalSize <= JOURNAL_RING_START ||
    journalSize % JOURNAL_SECTOR !== 0
  ) return "its size is out of range";
  if (
    tailPosition < JOURNAL_RING_START || tailPosition >= journalSize ||
    tailPosition % JOURNAL_SECTOR !== 0
  ) return "its oldest record lies outside its ring";
  const { journalUuid, componentUuid } = header;
  return journalUuid === NIL_UUID || componentUuid === NIL_UUID
    ? "it has no UUID"
    : "";
}
