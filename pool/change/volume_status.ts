/**
 * The space that volumes and snapshots take.
 *
 * @module
 */

import { Slice } from "../../device/block/mod.ts";
import type { VolumeRecord } from "../../metadata/native/mod.ts";
import {
  clonesOfVolume,
  firstFrom,
  type ForwardMap,
  type FullPolicy,
  recordById,
  turn,
} from "../core/mod.ts";
import type { PoolBase, VolumeParts } from "../io/mod.ts";
import {
  type SnapshotName,
  snapshotNamed,
  volumeNamed,
} from "./volume_list.ts";

/** Chunks that are examined between two looks at the clock. */
const CHUNKS_A_LOOK = 256;

/** A snapshot, as far as it takes no look at every chunk. */
export interface SnapshotSummary {
  /** The name. */
  readonly name: string;
  /** Bytes of the volume when the snapshot was taken. */
  readonly size: number;
  /** When it was taken, ISO 8601. */
  readonly created: string;
  /** The names of its clones. */
  readonly clones: readonly string[];
}

/** The status of a snapshot. */
export interface SnapshotStatus extends SnapshotSummary {
  /** Bytes of the chunks that it sees. */
  readonly referencedBytes: number;
  /** Bytes that its removal would free. */
  readonly uniqueBytes: number;
}

/** A volume of a pool, as far as it takes no look at every chunk. */
export interface VolumeSummary {
  /** The name; the first volume has the pool's. */
  readonly name: string;
  /** The number of the volume in its pool; the first one is 0. */
  readonly number: number;
  /** Bytes of the volume. */
  readonly size: number;
  /** When it was created, ISO 8601; null if that is unknown. */
  readonly created: string | null;
  /** The snapshot it is a clone of, as `VOLUME@SNAPSHOT`; null if it is none. */
  readonly parent: string | null;
  /** The most bytes that it takes in the pool; 0 for no quota. */
  readonly quota: number;
  /** Bytes that are set aside for it; 0 for none. */
  readonly reserve: number;
  /** What writes do that find no chunk; "" for what the pool does. */
  readonly onFull: "" | FullPolicy;
  /** Whether writes to it are refused. */
  readonly readOnly: boolean;
  /** Bytes that it takes in the pool, as the quota counts them. */
  readonly usedBytes: number;
  /** Chunks that are mapped for the volume alone, without those of old versions. */
  readonly mappedChunks: number;
  /** Its snapshots, the oldest first. */
  readonly snapshots: readonly SnapshotSummary[];
}

/** The status of a volume. */
export interface VolumeStatus extends VolumeSummary {
  /** Bytes of the chunks that it sees. */
  readonly referencedBytes: number;
  /** Bytes of the chunks that nothing else sees. */
  readonly uniqueBytes: number;
  /** Its snapshots, the oldest first. */
  readonly snapshots: readonly SnapshotStatus[];
}

/** What the removal of snapshots would free. */
export interface SnapshotRemovalPlan {
  /** The snapshots, volume by volume. */
  readonly snapshots: readonly (SnapshotStatus & {
    /** The name of the volume. */
    readonly volume: string;
  })[];
  /** Bytes that the removal of all of them would free. */
  readonly freedBytes: number;
}

/**
 * Describes the volumes of a pool without a look at their chunks.
 *
 * @param base The open pool.
 * @returns The volumes, the first one first.
 */
export function summarizeVolumes(base: PoolBase): VolumeSummary[] {
  return base.volumes.map((volume) => summarize(base, volume, volume.record));
}

/**
 * Describes the volumes of a pool. Other work goes on meanwhile, so the numbers
 * of a pool that is written to are of slightly different times.
 *
 * @param base The open pool.
 * @returns The volumes, the first one first.
 */
export async function describeVolumes(base: PoolBase): Promise<VolumeStatus[]> {
  const described: VolumeStatus[] = [];
  for (const volume of [...base.volumes]) {
    const { record } = volume;
    const summary = summarize(base, volume, record);
    const count = await countChunks(record, volume.map, new Set());
    described.push(withCount(summary, count, base.settings.chunkSize));
  }
  return described;
}

/**
 * Finds what the removal of snapshots would free.
 *
 * @param base The open pool.
 * @param wanted The snapshots.
 * @returns The snapshots, and how much.
 * @throws {VirstorError} `not-found`, also if one is removed meanwhile.
 */
export async function planSnapshotRemoval(
  base: PoolBase,
  wanted: readonly SnapshotName[],
): Promise<SnapshotRemovalPlan> {
  const { chunkSize } = base.settings;
  const snapshots: SnapshotRemovalPlan["snapshots"][number][] = [];
  let freed = 0;
  for (const [name, its] of Map.groupBy(wanted, ({ volume }) => volume)) {
    const volume = volumeNamed(base, name, "remove a snapshot of");
    const { record } = volume;
    const find = () =>
      its.map((one) => snapshotNamed(volume, one.snapshot, "remove"));
    const found = find();
    const summary = summarize(base, volume, record);
    const chosen = new Set(found.map((one) => record.snapshots.indexOf(one)));
    const count = await countChunks(record, volume.map, chosen);
    find();
    freed += count.freed;
    const all = withCount(summary, count, chunkSize).snapshots;
    snapshots.push(
      ...all.filter((_, index) => chosen.has(index))
        .map((one) => ({ volume: name, ...one })),
    );
  }
  return { snapshots, freedBytes: freed * chunkSize };
}

function summarize(
  { format: { records }, settings: { chunkSize } }: PoolBase,
  { map, firstWrites: { limits } }: VolumeParts,
  record: VolumeRecord,
): VolumeSummary {
  const { parent } = record;
  const clones = Map.groupBy(
    clonesOfVolume(records, record.id),
    (one) => one.parent?.epoch,
  );
  const parentRecord = parent && recordById(records, parent.volume);
  const parentName = parentRecord?.snapshots.find(({ epoch }) =>
    epoch === parent?.epoch
  )?.name;
  return {
    name: record.name,
    number: record.id,
    size: record.size,
    created: record.created === 0
      ? null
      : new Date(record.created).toISOString(),
    parent: parentRecord === undefined || parentName === undefined
      ? null
      : `${parentRecord.name}@${parentName}`,
    quota: record.quota,
    reserve: record.reserve,
    onFull: record.onFull,
    readOnly: record.isReadOnly,
    usedBytes: limits.used * chunkSize,
    mappedChunks: map.mapped,
    snapshots: record.snapshots.map(({ name, size, created, epoch }) => ({
      name,
      size,
      created: new Date(created).toISOString(),
      clones: (clones.get(epoch) ?? []).map((one) => one.name),
    })),
  };
}

function withCount(
  summary: VolumeSummary,
  count: Count,
  chunkSize: number,
): VolumeStatus {
  return {
    ...summary,
    referencedBytes: count.referenced * chunkSize,
    uniqueBytes: count.unique * chunkSize,
    snapshots: summary.snapshots.map((snapshot, index) => ({
      ...snapshot,
      referencedBytes: (count.snapshotReferenced[index] ?? 0) * chunkSize,
      uniqueBytes: (count.snapshotUnique[index] ?? 0) * chunkSize,
    })),
  };
}

/** Chunks of a volume and of its snapshots. */
interface Count {
  readonly referenced: number;
  readonly unique: number;
  /** Chunks that only the chosen snapshots see. */
  readonly freed: number;
  readonly snapshotReferenced: number[];
  readonly snapshotUnique: number[];
}

/**
 * Counts a version once for all snapshots of a run, not once for each.
 *
 * @param record The volume.
 * @param map Its map.
 * @param chosen Indexes of snapshots of the volume.
 */
async function countChunks(
  { snapshots }: VolumeRecord,
  map: ForwardMap,
  chosen: ReadonlySet<number>,
): Promise<Count> {
  if (snapshots.length === 0 && map.base === undefined) {
    return countOf(map.mapped);
  }
  /** For each snapshot the first one from it on that is not chosen. */
  const keeper = snapshots.map(() => snapshots.length);
  for (let i = snapshots.length - 1; i >= 0; i--) {
    keeper[i] = chosen.has(i) ? keeper[i + 1] ?? snapshots.length : i;
  }
  /** How many snapshots more see a chunk than of the snapshot before. */
  const steps = snapshots.map(() => 0);
  const snapshotUnique = snapshots.map(() => 0);
  let [referenced, unique, freed] = [0, 0, 0];
  const step = (index: number, by: number) => {
    if (index < steps.length) steps[index] = (steps[index] ?? 0) + by;
  };
  const slice = new Slice(CHUNKS_A_LOOK);
  slice.begin();
  const see = (from: number, end: number): number => {
    step(from, 1);
    step(end, -1);
    return end - from;
  };
  const { view } = map;
  for (
    let v = view.nextMapped(0, map.virtualChunks);
    v < map.virtualChunks;
    v = view.nextMapped(v + 1, map.virtualChunks)
  ) {
    referenced++;
    let end = snapshots.length;
    if (map.component(v) !== undefined) {
      const from = firstFrom(snapshots, map.birth(v));
      if (see(from, end) === 0) unique++;
      end = from;
    }
    for (const { birth } of map.old.of(v)) {
      const from = firstFrom(snapshots, birth);
      if (from >= end) continue;
      if (see(from, end) === 1) {
        snapshotUnique[from] = (snapshotUnique[from] ?? 0) + 1;
      }
      if ((keeper[from] ?? from) >= end) freed++;
      end = from;
    }
    if (map.base?.component(v) !== undefined) see(0, end);
    if (!slice.spend(1)) continue;
    await turn();
    slice.begin();
  }
  let seen = 0;
  const snapshotReferenced = steps.map((by) => seen += by);
  return { referenced, unique, freed, snapshotReferenced, snapshotUnique };
}

/** The count of a volume without snapshots that is no clone. */
function countOf(mapped: number): Count {
  return {
    referenced: mapped,
    unique: mapped,
    freed: 0,
    snapshotReferenced: [],
    snapshotUnique: [],
  };
}
