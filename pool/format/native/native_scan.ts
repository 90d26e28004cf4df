/**
 * Scanning the chunk tables of format 2. The scan validates each page before
 * its visitor sees an entry.
 *
 * @module
 */

import { viewOf } from "../../../device/block/mod.ts";
import {
  checkPage,
  entryBirth,
  type EntryOwner,
  entrySequence,
  entryVirtualChunk,
  entryVolume,
  isOwned,
  isProvisional,
  NATIVE_PAGE_SIZE,
  NEVER_WRITTEN,
  pageGeneration,
  pickSlot,
  sameEntries,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS,
  TABLE_SLOTS_SIZE,
  tableSlotPosition,
} from "../../../metadata/native/mod.ts";
import { type Finding, finished, turn } from "../../core/mod.ts";
import type { ChunkTable } from "./native_table.ts";

/** Pages of one read; the event loop gets a turn after each. */
const PAGES_A_READ = 512;

/** An allocated entry of a table. */
export interface OwnedEntry extends EntryOwner {
  /** The chunk on this component. */
  chunk: number;
  /** The virtual chunk that is mapped to it. */
  virtualChunk: number;
  /** The sequence number of the mapping. */
  sequence: number;
  /** The number of the volume. */
  volume: number;
  /** The epoch of the volume when the mapping was made. */
  birth: number;
  /** Whether an open after a power cut drops the mapping. */
  isProvisional: boolean;
}

/** Receives the contents of a table during a scan. */
export interface TableVisitor {
  /**
   * A page that was written at least once.
   *
   * @param pageIndex The page, from 0.
   * @param slot The slot of its newest sound version.
   * @param isSingle Whether no other slot holds the same entries.
   */
  page(pageIndex: number, slot: number, isSingle: boolean): void;
  /**
   * An allocated entry.
   *
   * @param entry The entry; the object is used again for the next one.
   */
  owned(entry: Readonly<OwnedEntry>): void;
  /**
   * An unsound slot.
   *
   * @param position The slot's offset on the component, bytes.
   * @param finding What is wrong with the slot; `damage` if its page has no
   *   sound slot.
   * @param mayBeTorn Whether a power cut alone can explain it. A power cut
   *   never tears the last durable version, nor all three slots.
   */
  unsound(position: number, finding: Finding, mayBeTorn: boolean): void;
}

/**
 * Scans a chunk table.
 *
 * @param table The table.
 * @param visitor Receives its pages, entries and unsound slots.
 * @throws {VirstorError} `io`.
 */
export async function scanTable(
  table: ChunkTable,
  visitor: TableVisitor,
): Promise<void> {
  const { device, geometry: { tableOffset, tablePages } } = table;
  const buffer = new Uint8Array(
    Math.min(PAGES_A_READ, tablePages) * TABLE_SLOTS_SIZE,
  );
  for (let page = 0; page < tablePages;) {
    const start = tableOffset + page * TABLE_SLOTS_SIZE;
    // The table of a thin pool is mostly holes, which the scan skips.
    const hole = (device.nextData?.(start) ?? start) - start;
    if (hole >= TABLE_SLOTS_SIZE) {
      page += Math.floor(hole / TABLE_SLOTS_SIZE);
      continue;
    }
    const count = Math.min(tablePages - page, PAGES_A_READ);
    const bytes = buffer.subarray(0, count * TABLE_SLOTS_SIZE);
    finished(device.read(bytes, start));
    for (let i = 0; i < count; i++) {
      const at = i * TABLE_SLOTS_SIZE;
      const slots = bytes.subarray(at, at + TABLE_SLOTS_SIZE);
      scanPage(table, page + i, slots, visitor);
    }
    page += count;
    if (page < tablePages) await turn();
  }
}

/**
 * Checks the owner of an entry in a pool without a volume table.
 *
 * @param entry The entry.
 * @returns What is wrong, or "" if nothing is.
 */
export function ownerFault(
  { volume, birth, isProvisional }: Readonly<OwnedEntry>,
): string {
  if (isProvisional) {
    return "it is provisional, and the pool has no volume table";
  }
  return (volume | birth) === 0
    ? ""
    : `it is of volume ${volume}, epoch ${birth}, and the pool has no volume ` +
      "table";
}

function scanPage(
  table: ChunkTable,
  pageIndex: number,
  slots: Uint8Array,
  visitor: TableVisitor,
): void {
  const { geometry, uuid } = table;
  const position = tableSlotPosition(geometry, pageIndex, 0);
  const picked = pickSlot(slots, position, pageIndex, uuid);
  const newest = slotOf(slots, Math.max(0, picked));
  let second: Uint8Array | undefined;
  const faults: SlotFault[] = [];
  for (let slot = 0; slot < TABLE_SLOTS; slot++) {
    if (slot === picked) continue;
    const bytes = slotOf(slots, slot);
    const home = position + slot * NATIVE_PAGE_SIZE;
    const fault = checkPage(bytes, home, pageIndex, uuid);
    if (fault === "") {
      if (second === undefined || isNewer(bytes, second)) second = bytes;
    } else if (fault !== NEVER_WRITTEN) {
      faults.push({ home, fault, isHarmless: picked >= 0 || hasOneBit(bytes) });
    }
  }
  for (const one of faults) {
    const finding = unsoundSlot(table, pageIndex, one);
    visitor.unsound(one.home, finding, faults.length < TABLE_SLOTS);
  }
  if (picked < 0) return;
  // If the newest version is damaged later, the second newest one counts.
  const isSingle = second === undefined || !sameEntries(second, newest);
  visitor.page(pageIndex, picked, isSingle);
  const page = viewOf(newest);
  const owned = {
    chunk: 0,
    virtualChunk: 0,
    sequence: 0,
    volume: 0,
    birth: 0,
    isProvisional: false,
  };
  for (let entry = 0; entry < TABLE_PAGE_ENTRIES; entry++) {
    if (!isOwned(page, entry)) continue;
    owned.chunk = pageIndex * TABLE_PAGE_ENTRIES + entry;
    owned.virtualChunk = entryVirtualChunk(page, entry);
    owned.sequence = entrySequence(page, entry);
    owned.volume = entryVolume(page, entry);
    owned.birth = entryBirth(page, entry);
    owned.isProvisional = isProvisional(page, entry);
    visitor.owned(owned);
  }
}

/** A slot that is unsound. */
interface SlotFault {
  /** The slot's offset on the component, bytes. */
  readonly home: number;
  /** The reason, in words. */
  readonly fault: string;
  /** Whether its page has a sound slot, or the slot was never written. */
  readonly isHarmless: boolean;
}

/** Whether exactly one bit is set: a bit error in a slot never written. */
function hasOneBit(slot: Uint8Array): boolean {
  const at = slot.findIndex((byte) => byte !== 0);
  const byte = slot[at] ?? 0;
  return (byte & (byte - 1)) === 0 &&
    slot.findLastIndex((other) => other !== 0) === at;
}

function isNewer(slot: Uint8Array, other: Uint8Array): boolean {
  return pageGeneration(viewOf(slot)) > pageGeneration(viewOf(other));
}

function slotOf(slots: Uint8Array, slot: number): Uint8Array {
  const start = slot * NATIVE_PAGE_SIZE;
  return slots.subarray(start, start + NATIVE_PAGE_SIZE);
}

function unsoundSlot(
  { device }: ChunkTable,
  pageIndex: number,
  { home, fault, isHarmless }: SlotFault,
): Finding {
  const first = pageIndex * TABLE_PAGE_ENTRIES;
  const chunks = `chunks ${first} to ${first + TABLE_PAGE_ENTRIES - 1}`;
  return {
    kind: isHarmless ? "unsound" : "lost-page",
    severity: isHarmless ? "notice" : "damage",
    what: `A slot of page ${pageIndex} of the chunk table (${chunks}) is not ` +
      `sound: ${fault}`,
    where: `${device.path} at ${home}`,
    effect: isHarmless
      ? "no data are lost if a power cut did it, or the pool was stopped " +
        "cleanly; the newest sound slot counts"
      : "the mappings of these chunks are lost",
  };
}
