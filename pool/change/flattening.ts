/**
 * The parts of flattening a clone: copying what it shares with its parent.
 *
 * @module
 */

import { Slice } from "../../device/block/mod.ts";
import { nameOf, quoted, VirstorError } from "../../errors.ts";
import type { VolumeRecord } from "../../metadata/native/mod.ts";
import { type ChunkView, pause, turn } from "../core/mod.ts";
import type { VolumeParts } from "../io/mod.ts";
import type { Job } from "./jobs.ts";

/** Chunks of a clone that are examined between two looks at the clock. */
const CHUNKS_A_LOOK = 16;

/**
 * Copies what a clone has no chunk of its own for, some in a turn.
 *
 * @param parts The clone.
 * @param base What its parent snapshot sees.
 * @param job Shows how far it is.
 * @throws {VirstorError} `no-space` if no chunk is free.
 */
export async function copyAll(
  parts: VolumeParts,
  base: ChunkView,
  job: Job,
): Promise<void> {
  const slice = new Slice(CHUNKS_A_LOOK);
  slice.begin();
  const next = (from: number) =>
    base.nextMapped(from, Math.max(from, parts.map.virtualChunks));
  for (let v = next(0); v < parts.map.virtualChunks; v = next(v + 1)) {
    await copyUp(parts, v);
    job.done = v + 1;
    if (!slice.spend(1)) continue;
    await turn();
    slice.begin();
  }
}

/** Copies a chunk; waits for chunks that are being freed, not for more. */
async function copyUp(
  parts: VolumeParts,
  virtualChunk: number,
): Promise<void> {
  const { firstWrites, base: { space } } = parts;
  for (;;) {
    const copying = firstWrites.copyUp(virtualChunk);
    if (copying !== "no chunk") return await copying;
    const { limits } = firstWrites;
    const hasNone = space.free === 0 || !limits.mayTake;
    if (limits.isAtQuota || (hasNone && !space.willBeReady)) {
      throw limits.error(flatteningText(parts));
    }
    await pause();
  }
}

/**
 * Refuses to flatten what is no clone, or has snapshots.
 *
 * @param volume The open volume.
 * @throws {VirstorError} `invalid`, `exists`.
 */
export function assertFlattens(parts: VolumeParts): void {
  const { map, record, base: { settings } } = parts;
  const what = flatteningText(parts);
  if (map.base === undefined) {
    throw new VirstorError("invalid", `Cannot ${what}: it is no clone`);
  }
  if (record.snapshots.length === 0) return;
  throw new VirstorError(
    "exists",
    `Cannot ${what}: its snapshots ${
      snapshotsOf(settings.name, record)
    } share chunks with its parent, remove them first`,
  );
}

/** What is being done, in a sentence. */
function flatteningText(
  { record, base: { settings } }: Pick<VolumeParts, "record" | "base">,
): string {
  return `flatten volume "${nameOf(settings.name, record.name)}"`;
}

/**
 * The snapshots of a volume, in a sentence.
 *
 * @param pool The name of the pool.
 * @param record What the superblock says of the volume.
 * @returns Their names, quoted.
 */
export function snapshotsOf(
  pool: string,
  { name, snapshots }: VolumeRecord,
): string {
  return quoted(snapshots.map((one) => nameOf(pool, name, one.name)));
}
