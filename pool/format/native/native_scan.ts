/**
 * Reading the chunk tables of format 2: every page is checked before anything
 * in it is believed.
 *
 * @module
 */

import { viewOf } from "../../../device/block/mod.ts";
import {
  checkPage,
  entrySequence,
  entryVirtualChunk,
  isOwned,
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
import { type Finding, turn } from "../../core/mod.ts";
import type { ChunkTable } from "./native_table.ts";

/** So many pages are read at a time; then the event loop has a turn. */
const PAGES_A_READ = 512;

/** Who looks at a scan. */
export interface TableVisitor {
  /**
   * A page that is in use.
   *
   * @param pageIndex Which one.
   * @param slot The slot that counts.
   * @param isSingle Whether no other slot holds the same entries.
   */
  page(pageIndex: number, slot: number, isSingle: boolean): void;
  /**
   * A chunk that is somebody's.
   *
   * @param chunk Its number.
   * @param virtualChunk Whose it is.
   * @param sequence Since when.
   */
  owned(chunk: number, virtualChunk: number, sequence: number): void;
  /**
   * A slot that is not sound.
   *
   * @param position Where it is, bytes from the start of the component.
   * @param finding What is wrong with it. `damage` if no other slot of its
   *   page is sound.
   * @param mayBeTorn Whether a power cut can have done it and nothing else:
   *   it never tears the last durable version, nor all three slots.
   */
  unsound(position: number, finding: Finding, mayBeTorn: boolean): void;
}

/**
 * Reads a chunk table.
 *
 * @param table The table.
 * @param visitor Told all there is to know.
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
    // The table of a thin pool is mostly holes: they are not read.
    const hole = (device.nextData?.(start) ?? start) - start;
    if (hole >= TABLE_SLOTS_SIZE) {
      page += Math.floor(hole / TABLE_SLOTS_SIZE);
      continue;
    }
    const count = Math.min(tablePages - page, PAGES_A_READ);
    const bytes = buffer.subarray(0, count * TABLE_SLOTS_SIZE);
    device.read(bytes, start);
    for (let i = 0; i < count; i++) {
      const at = i * TABLE_SLOTS_SIZE;
      const slots = bytes.subarray(at, at + TABLE_SLOTS_SIZE);
      scanPage(table, page + i, slots, visitor);
    }
    page += count;
    if (page < tablePages) await turn();
  }
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
  // Were the newest damaged, the next one would count, not one before it.
  const isSingle = second === undefined || !sameEntries(second, newest);
  visitor.page(pageIndex, picked, isSingle);
  const page = viewOf(newest);
  for (let entry = 0; entry < TABLE_PAGE_ENTRIES; entry++) {
    if (!isOwned(page, entry)) continue;
    visitor.owned(
      pageIndex * TABLE_PAGE_ENTRIES + entry,
      entryVirtualChunk(page, entry),
      entrySequence(page, entry),
    );
  }
}

/** What is wrong with a slot. */
interface SlotFault {
  /** Where the slot is, bytes from the start of the component. */
  readonly home: number;
  /** What is wrong with it. */
  readonly fault: string;
  /** Another slot of its page is sound, or it was never written. */
  readonly isHarmless: boolean;
}

/** Whether one bit has turned in a slot that was never written. */
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
      : "nobody knows whose these chunks are",
  };
}
