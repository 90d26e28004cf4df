/**
 * The space that volumes and snapshots take.
 *
 * @module
 */

import { Slice } from "../device/block/mod.ts";
import {
  clonesOfVolume,
  firstFrom,
  type FullPolicy,
  recordById,
  turn,
} from "./core/mod.ts";
import type { PoolBase, VolumeParts } from "./io/mod.ts";

/** Chunks that are examined between two looks at the clock. */
const CHUNKS_A_LOOK = 256;

/** The status of a snapshot. */
export interface SnapshotStatus {
  /** The name. */
  readonly name: string;
  /** Bytes of the volume when the snapshot was taken. */
  readonly size: number;
  /** When it was taken, ISO 8601. */
  readonly created: string;
  /** Bytes of the chunks that it sees. */
  readonly referencedBytes: number;
  /** Bytes that its removal would free. */
  readonly uniqueBytes: number;
  /** The names of its clones. */
  readonly clones: readonly string[];
}

/** The status of a volume. */
export interface VolumeStatus {
  /** The name. */
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
  /** Bytes of the chunks that it sees. */
  readonly referencedBytes: number;
  /** Bytes of the chunks that nothing else sees. */
  readonly uniqueBytes: number;
  /** Its snapshots, the oldest first. */
  readonly snapshots: readonly SnapshotStatus[];
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
    described.push(await describeVolume(base, volume));
  }
  return described;
}

async function describeVolume(
  { format: { records }, settings: { chunkSize } }: PoolBase,
  volume: VolumeParts,
): Promise<VolumeStatus> {
  const { record } = volume;
  const { snapshots, parent } = record;
  const count = await countChunks(volume);
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
    usedBytes: volume.firstWrites.limits.used * chunkSize,
    referencedBytes: count.referenced * chunkSize,
    uniqueBytes: count.unique * chunkSize,
    snapshots: snapshots.map(({ name, size, created, epoch }, index) => ({
      name,
      size,
      created: new Date(created).toISOString(),
      referencedBytes: (count.snapshotReferenced[index] ?? 0) * chunkSize,
      uniqueBytes: (count.snapshotUnique[index] ?? 0) * chunkSize,
      clones: (clones.get(epoch) ?? []).map((one) => one.name),
    })),
  };
}

/** Chunks of a volume and of its snapshots. */
interface Count {
  referenced: number;
  unique: number;
  readonly snapshotReferenced: number[];
  readonly snapshotUnique: number[];
}

/** Counts a version once for all snapshots of a run, not once for each. */
async function countChunks({ record, map }: VolumeParts): Promise<Count> {
  const { snapshots } = record;
  /** How many snapshots more see a chunk than of the snapshot before. */
  const steps = snapshots.map(() => 0);
  const snapshotUnique = snapshots.map(() => 0);
  let [referenced, unique] = [0, 0];
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
      end = from;
    }
    if (map.base?.component(v) !== undefined) see(0, end);
    if (!slice.spend(1)) continue;
    await turn();
    slice.begin();
  }
  let seen = 0;
  const snapshotReferenced = steps.map((by) => seen += by);
  return { referenced, unique, snapshotReferenced, snapshotUnique };
}
