/**
 * Checks the raw files of a stopped pool of format 1 for what FreeBSD's own
 * code needs. It imports nothing from `metadata/` or `pool/`: it reads the
 * bytes by the tables of docs/format.md, and reports what FreeBSD could not
 * handle.
 *
 * @module
 */

import { AssertionError } from "@std/assert";
import fs from "node:fs";
import {
  ENTRY_BYTES,
  LABEL_BYTES,
  LABEL_TABLE,
  type RawEntry,
  type RawLabel,
  readEntries,
  readSector,
  SECTOR_BYTES,
  takeFields,
} from "./freebsd_raw.ts";

/** How to check. */
export interface CheckFreebsdOptions {
  /**
   * Whether all labels were written by us, so that nothing but zeroes may
   * follow them and their flags are known ones. The default.
   */
  readonly ours?: boolean;
  /** Bytes of a sector of the disks that it is on; 512. */
  readonly sectorSize?: number;
}

interface Part {
  readonly path: string;
  readonly label: RawLabel;
  readonly sector: Uint8Array;
}

/**
 * Checks a stopped pool.
 *
 * @param paths All its components, in any order.
 * @param options How.
 * @returns What FreeBSD would trip over, a sentence each; empty if nothing.
 */
export function checkFreebsd(
  paths: readonly string[],
  options: CheckFreebsdOptions = {},
): string[] {
  const found: string[] = [];
  const parts = paths.map((path): Part => {
    const sector = readSector(path, options.sectorSize);
    return { path, sector, label: takeFields(sector) };
  });
  for (const part of parts) checkLabel(part, options, found);
  if (found.length > 0) return found;
  checkAgreement(parts, found);
  if (found.length > 0) return found;
  const labels = parts.map((part) => part.label)
    .toSorted((a, b) => a.index - b.index);
  checkReserve(labels, found);
  const first = parts.find(({ label }) => label.index === 0)?.path ?? "";
  const used = checkMap(first, labels, found);
  if (found.length > 0) return found;
  checkAllocation(labels, used, found);
  return found;
}

/**
 * Fails unless FreeBSD could use a stopped pool.
 *
 * @param paths All its components, in any order.
 * @param options How to check.
 */
export function assertFreebsd(
  paths: readonly string[],
  options: CheckFreebsdOptions = {},
): void {
  const found = checkFreebsd(paths, options);
  if (found.length === 0) return;
  throw new AssertionError(
    `FreeBSD would trip over this pool:\n  ${found.join("\n  ")}`,
  );
}

/** One label by itself and against the file it is on. */
function checkLabel(
  part: Part,
  { ours = true, sectorSize = SECTOR_BYTES }: CheckFreebsdOptions,
  found: string[],
): void {
  const { path, label, sector } = part;
  function need(condition: boolean, what: string): void {
    if (!condition) found.push(`${path}: ${what}`);
  }
  need(label.magic === "GEOM::VIRSTOR", `the magic is "${label.magic}"`);
  need(label.version === 1, `the version is ${label.version}`);
  need(/^[!-~]{1,15}$/.test(label.name), `the name is "${label.name}"`);
  need(label.count > 0, "there are no components");
  need(label.index < label.count, `no ${label.index} of ${label.count}`);
  const size = fs.statSync(path).size;
  const whole = size - size % sectorSize;
  need(
    label.componentSize === whole,
    `provsize is ${label.componentSize}, the file has ${whole}`,
  );
  need(
    label.chunkSize >= SECTOR_BYTES && label.chunkSize % SECTOR_BYTES === 0,
    `the chunk size is ${label.chunkSize}`,
  );
  need(
    label.chunkCount * label.chunkSize <= whole - sectorSize,
    `${label.chunkCount} chunks cover the label`,
  );
  need(
    label.chunkReserved <= label.chunkCount,
    `${label.chunkReserved} of ${label.chunkCount} chunks are reserved`,
  );
  const chunks = label.virtualSize / label.chunkSize;
  need(
    Number.isInteger(chunks) && chunks > 0 &&
      chunks % (SECTOR_BYTES / ENTRY_BYTES) === 0,
    `the virtual size is ${chunks} chunks, not whole map sectors`,
  );
  const { hardcodedName } = label;
  need(
    hardcodedName === "" || path.endsWith(`/${hardcodedName}`),
    `it is hardcoded to "${hardcodedName}"`,
  );
  if (!ours) return;
  need(label.flags <= 3, `the flags are ${label.flags}`);
  need(
    label.chunkNext >= label.chunkReserved &&
      label.chunkNext <= label.chunkCount,
    `chunk_next is ${label.chunkNext} of ${label.chunkCount}`,
  );
  need(
    sector.subarray(LABEL_BYTES).every((byte) => byte === 0),
    "something follows the label",
  );
  for (const [field, offset, type] of LABEL_TABLE) {
    if (type !== "text") continue;
    const text = String(label[field]);
    const rest = sector.subarray(offset + text.length, offset + 16);
    need(
      rest.length > 0 && rest.every((byte) => byte === 0),
      `something follows the text of ${field}`,
    );
  }
}

/** All labels together: one pool, complete, each component once. */
function checkAgreement(parts: readonly Part[], found: string[]): void {
  const [first] = parts;
  if (first === undefined) {
    found.push("there are no components");
    return;
  }
  const shared = [
    "magic",
    "version",
    "name",
    "id",
    "virtualSize",
    "chunkSize",
    "count",
  ] as const;
  const seen = new Map<number, string>();
  for (const { path, label } of parts) {
    for (const field of shared) {
      if (label[field] === first.label[field]) continue;
      found.push(
        `${path}: its ${field} is ${label[field]}, that of ${first.path} is ` +
          `${first.label[field]}`,
      );
    }
    const other = seen.get(label.index);
    if (other !== undefined) {
      found.push(`${path}: it is component ${label.index} as is ${other}`);
    }
    seen.set(label.index, path);
  }
  for (let i = 0; i < first.label.count; i++) {
    if (!seen.has(i)) found.push(`component ${i} is missing`);
  }
}

function checkReserve(labels: readonly RawLabel[], found: string[]): void {
  for (const { index, chunkReserved, chunkSize, virtualSize } of labels) {
    const bytes = virtualSize / chunkSize * ENTRY_BYTES;
    if (index > 0 && chunkReserved !== 0) {
      found.push(`component ${index} reserves ${chunkReserved} chunks`);
    }
    if (index === 0 && chunkReserved * chunkSize < bytes) {
      found.push(
        `component 0 reserves ${chunkReserved} chunks for a map of ${bytes} ` +
          "bytes",
      );
    }
  }
}

/** Every entry; returns which chunks of each component are in use. */
function checkMap(
  path: string,
  labels: readonly RawLabel[],
  found: string[],
): Set<number>[] {
  const used = labels.map(() => new Set<number>());
  const [first] = labels;
  if (first === undefined) return used;
  const count = first.virtualSize / first.chunkSize;
  // In pieces: the map of a large disk is large.
  const pieceEntries = 1 << 17;
  for (let start = 0; start < count; start += pieceEntries) {
    const piece = Math.min(pieceEntries, count - start);
    const entries = readEntries(path, piece, start);
    if (entries.length < piece) found.push("the file ends inside the map");
    for (const [i, entry] of entries.entries()) {
      const fault = faultOf(entry, labels, used);
      if (fault !== "") found.push(`the entry of ${start + i} ${fault}`);
    }
  }
  return used;
}

/** What is wrong with an entry, or "". */
function faultOf(
  entry: RawEntry,
  labels: readonly RawLabel[],
  used: readonly Set<number>[],
): string {
  const label = labels[entry.component];
  const chunks = used[entry.component];
  if (label === undefined || chunks === undefined) {
    return `names component ${entry.component} of ${labels.length}`;
  }
  if (entry.chunk >= label.chunkCount) {
    return `names chunk ${entry.chunk} of ${label.chunkCount} of component ` +
      `${entry.component}`;
  }
  if ((entry.flags & 1) === 0) return "";
  if (chunks.has(entry.chunk)) {
    return `names chunk ${entry.chunk} of component ${entry.component} again`;
  }
  chunks.add(entry.chunk);
  return "";
}

/** Where the chunks in use lie, and where FreeBSD would take the next one. */
function checkAllocation(
  labels: readonly RawLabel[],
  used: readonly Set<number>[],
  found: string[],
): void {
  const room = labels.map((label, i) => {
    const count = used[i]?.size ?? 0;
    for (let chunk = 0; chunk < count; chunk++) {
      if (used[i]?.has(label.chunkReserved + chunk)) continue;
      found.push(
        `component ${i}: its ${count} chunks in use are not dense, ` +
          `${label.chunkReserved + chunk} is missing`,
      );
      break;
    }
    return label.chunkCount - label.chunkReserved - count;
  });
  const current = room.findIndex((free) => free > 0);
  const last = labels.length - 1;
  for (let i = 0; i < labels.length; i++) {
    if (current < 0 || i <= current || used[i]?.size === 0) continue;
    found.push(`component ${i} is in use, component ${current} is not full`);
  }
  // As FreeBSD does it: the first whose label shows room, or the last one;
  // it counts again; if that one is full it takes the one after it unseen.
  const shown = labels.findIndex((one) => one.chunkNext < one.chunkCount);
  const picked = shown < 0 ? last : shown;
  const isFull = (room[picked] ?? 0) === 0;
  if (isFull && picked === last) {
    if (current >= 0) {
      found.push(`FreeBSD sees no room, component ${current} has some`);
    }
    return;
  }
  const takes = isFull ? picked + 1 : picked;
  if (takes !== current) {
    found.push(
      `FreeBSD would allocate on component ${takes}, the next chunk is ` +
        (current < 0 ? "nowhere: all are full" : `on component ${current}`),
    );
  }
}
