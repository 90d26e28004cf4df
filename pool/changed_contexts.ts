/**
 * Metadata contexts that tell what has changed since a snapshot, for
 * incremental backups.
 *
 * @module
 */

import { Slice } from "../device/block/mod.ts";
import { type ChunkView, SnapshotView } from "./core/mod.ts";
import type { VolumeParts } from "./io/mod.ts";
import { differs } from "./changed_ranges.ts";
import type {
  StatusContext,
  StatusFamily,
  StatusRun,
} from "./status_contexts.ts";

/** Flag of `virstor:changed:NAME`: the chunk may have changed since then. */
export const CHANGED = 1;

/** Chunks that are examined between two looks at the clock. */
const CHUNKS_A_LOOK = 1024;

/** What the name of each context begins with. */
const PREFIX = "virstor:changed:";

/**
 * Offers a context `virstor:changed:NAME` for each snapshot of a volume. If the
 * snapshot is removed while a client uses the context, or a component is
 * missing, the context reports everything as changed.
 *
 * @param parts The volume.
 * @param to The disk that is compared: its epoch, if it is a snapshot, and what
 *   it sees now. Only older snapshots have contexts then.
 * @returns The contexts, those of the oldest snapshot first; nothing if there
 *   are none.
 */
export function changedContexts(
  parts: VolumeParts,
  to: { readonly epoch?: number; view(): ChunkView },
): StatusFamily[] {
  const { epoch: newest = Infinity } = to;
  const older = parts.record.snapshots.filter(({ epoch }) => epoch < newest);
  if (older.length === 0) return [];
  const contexts = () => older.map((one) => contextSince(parts, one, to.view));
  return [{ prefix: PREFIX, count: older.length, contexts }];
}

function contextSince(
  parts: VolumeParts,
  { name, epoch, size }: VolumeParts["record"]["snapshots"][number],
  toView: () => ChunkView,
): StatusContext {
  const { map, base: { settings: { missing, chunkSize } } } = parts;
  return {
    name: PREFIX + name,
    status: (offset, length, limit) => {
      const isKnown = missing.length === 0 &&
        parts.record.snapshots.some((one) => one.epoch === epoch);
      if (!isKnown) return [{ length, flags: CHANGED }];
      const from = new SnapshotView(map, epoch, size / chunkSize);
      const views = { from, to: toView(), live: map.view };
      return changedRuns(views, chunkSize, { offset, length, limit });
    },
  };
}

/** The views to compare; `live` has data wherever one of the others has. */
interface Views {
  readonly from: ChunkView;
  readonly to: ChunkView;
  readonly live: ChunkView;
}

function changedRuns(
  { from, to, live }: Views,
  chunkSize: number,
  range: { offset: number; length: number; limit: number },
): StatusRun[] {
  const { offset, length, limit } = range;
  const stop = offset + length;
  const end = Math.ceil(stop / chunkSize);
  const runs: { length: number; flags: number }[] = [];
  const slice = new Slice(CHUNKS_A_LOOK);
  slice.begin();
  let at = offset;
  for (let v = Math.floor(offset / chunkSize); v < end;) {
    if (runs.length > limit) break;
    // Bounded, since a view of many chunks looks for its next one for long.
    let next = live.nextMapped(v, Math.min(end, v + CHUNKS_A_LOOK));
    let flags = 0;
    if (next === v) {
      flags = differs(from, to, v) ? CHANGED : 0;
      next = v + 1;
    }
    const past = Math.min(next * chunkSize, stop);
    const last = runs[runs.length - 1];
    if (last?.flags === flags) last.length += past - at;
    else runs.push({ length: past - at, flags });
    at = past;
    if (slice.spend(next - v)) break;
    v = next;
  }
  return runs;
}
