/**
 * Explains unlabelled files by their size. The other members list how many
 * chunks a missing component has, from which its size follows.
 *
 * @module
 */

import { counted, inBytes, isUri, VirstorError } from "../../errors.ts";
import {
  newOverflowSize,
  OVERFLOW_SIZE_MAX,
  SUPERBLOCK_SLOT_SIZE,
  SUPERBLOCK_SLOTS,
  TABLE_PAGE_ENTRIES,
  TABLE_SLOTS_SIZE,
} from "../../metadata/native/mod.ts";
import type { Fault, OpenComponent } from "./open_component.ts";
import type { OpenDevice } from "../core/mod.ts";
import { findLabelBetween, MovedLabelError } from "./moved_label.ts";
import { truthAmong } from "./native_members.ts";

/** The size that a missing member had, bytes: `min` to `max`. */
interface MissingSize {
  readonly chunkCount: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Explains of files without a label whether they were cut or extended, where
 * the members that were found list the size of a missing one.
 *
 * @param found The components of the pool that were found.
 * @param faults Paths that lead to no component, with reasons.
 * @param openDevice Opens a file, to search for a moved label.
 * @returns The same faults in the same order, some with a better error.
 */
export async function explainSizes(
  found: readonly OpenComponent[],
  faults: readonly Fault[],
  openDevice: OpenDevice,
): Promise<Fault[]> {
  const missing = missingSizes(found);
  const explained: Fault[] = [];
  for (const fault of faults) {
    const { path, size, error } = fault;
    const isKnown = size === undefined || error.code !== "not-found" ||
      error instanceof MovedLabelError || isUri(path);
    const better = isKnown || missing.length === 0
      ? undefined
      : await explain(path, size, missing, openDevice);
    explained.push(better === undefined ? fault : { ...fault, error: better });
  }
  return explained;
}

function missingSizes(found: readonly OpenComponent[]): MissingSize[] {
  const labels = found.map(({ label }) => label)
    .filter((label) => label.format === "native");
  if (labels.length === 0) return [];
  const { members, chunkSize } = truthAmong(labels);
  const present = new Set(labels.map(({ componentUuid }) => componentUuid));
  return members.filter(({ uuid }) => !present.has(uuid))
    .map(({ chunkCount }) => {
      const pages = Math.ceil(chunkCount / TABLE_PAGE_ENTRIES);
      const min = chunkCount * chunkSize + pages * TABLE_SLOTS_SIZE +
        SUPERBLOCK_SLOTS * SUPERBLOCK_SLOT_SIZE;
      // The component may have overflows, or none.
      const most = min + chunkSize + TABLE_SLOTS_SIZE;
      const overflow = newOverflowSize(most + 2 * OVERFLOW_SIZE_MAX);
      return { chunkCount, min, max: most + 2 * overflow };
    })
    .toSorted((a, b) => a.min - b.min);
}

async function explain(
  path: string,
  size: number,
  missing: readonly MissingSize[],
  openDevice: OpenDevice,
): Promise<VirstorError | undefined> {
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
    const device = await openDevice(path, { readOnly: true });
    try {
      for (const { min, max } of missing) {
        const label = await findLabelBetween(device, min, max);
        if (label === undefined) continue;
        return new MovedLabelError(device, label, "not-found");
      }
    } finally {
      await device.close();
    }
  } catch (error) {
    // The file cannot be searched; the fault that is known has to do.
    if (!(error instanceof VirstorError)) throw error;
  }
  return undefined;
}
