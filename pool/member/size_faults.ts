/**
 * Components without a label of which the other members know how large they
 * were: they say how many chunks each has.
 *
 * @module
 */

import { counted, inBytes, VirstorError } from "../../errors.ts";
import {
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS_SIZE,
} from "../../metadata/native/mod.ts";
import type { Fault, OpenComponent } from "./open_component.ts";
import type { OpenDevice } from "../core/mod.ts";
import { findLabelBetween, MovedLabelError } from "./moved_label.ts";
import { truthAmong } from "./native_members.ts";

/** How large a member was that is missing, bytes. */
interface MissingSize {
  readonly chunkCount: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Says of paths without a label whether they were cut or extended, where the
 * members that are there tell.
 *
 * @param found The components of the pool that are there.
 * @param faults What else was looked at.
 * @param openDevice How components are opened.
 * @returns The faults, of which some say more.
 */
export function explainSizes(
  found: readonly OpenComponent[],
  faults: readonly Fault[],
  openDevice: OpenDevice,
): Fault[] {
  const missing = missingSizes(found);
  return faults.map((fault) => {
    const { path, size, error } = fault;
    const isKnown = size === undefined || error.code !== "not-found" ||
      error instanceof MovedLabelError;
    if (isKnown || missing.length === 0) return fault;
    const better = explain(path, size, missing, openDevice);
    return better === undefined ? fault : { ...fault, error: better };
  });
}

function missingSizes(found: readonly OpenComponent[]): MissingSize[] {
  const labels = found.map(({ label }) => label)
    .filter((label) => label.format === "native");
  if (labels.length === 0) return [];
  const { members, chunkSize } = truthAmong(labels);
  const there = new Set(labels.map(({ componentUuid }) => componentUuid));
  return members.filter(({ uuid }) => !there.has(uuid))
    .map(({ chunkCount }) => {
      const pages = Math.ceil(chunkCount / TABLE_PAGE_ENTRIES);
      const min = chunkCount * chunkSize + pages * TABLE_SLOTS_SIZE +
        SUPERBLOCK_SLOTS * SUPERBLOCK_SLOT_SIZE;
      return { chunkCount, min, max: min + chunkSize + TABLE_SLOTS_SIZE };
    })
    .toSorted((a, b) => a.min - b.min);
}

function explain(
  path: string,
  size: number,
  missing: readonly MissingSize[],
  openDevice: OpenDevice,
): VirstorError | undefined {
  const [smallest] = missing;
  if (smallest !== undefined && size < smallest.min) {
    return new VirstorError(
      "not-found",
      `There is no label on "${path}": the file is at least ` +
        `${inBytes(smallest.min - size)} shorter than the component that is ` +
        `missing, with ${counted(smallest.chunkCount, "chunk")} ` +
        `(it has ${inBytes(size)}), ` +
        "and if it is that one, it was cut",
    );
  }
  try {
    const device = openDevice(path, { readOnly: true });
    try {
      for (const { min, max } of missing) {
        const label = findLabelBetween(device, min, max);
        if (label === undefined) continue;
        return new MovedLabelError(device, label, "not-found");
      }
    } finally {
      device.close();
    }
  } catch (error) {
    // What was said of it before has to do.
    if (!(error instanceof VirstorError)) throw error;
  }
  return undefined;
}
