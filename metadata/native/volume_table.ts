/**
 * The volume table of format 2: the volumes of a pool with their snapshots, and
 * its invariants. `volume_records.ts` encodes it.
 *
 * @module
 */

import { inBytes } from "../../errors.ts";
import { isUuid } from "../common/mod.ts";
import { VOLUMES_MAX } from "./chunk_entry.ts";
import { isVolumeName } from "./native_name.ts";

/** The maximum of sizes, quotas and reserves, bytes. */
const SIZE_MAX = 2 ** 53;
/** Number of epochs: an epoch is a u32. */
const EPOCHS = 2 ** 32;

/** All volumes of a pool. */
export interface VolumeTable {
  /**
   * The UUID of the boot that last opened the pool for writing, as Linux gives
   * it; all zeroes if unknown.
   */
  readonly bootId: string;
  /** The volumes; the first one has id 0. */
  readonly volumes: readonly VolumeRecord[];
}

/** A volume. */
export interface VolumeRecord {
  /** Unique, 0 to 65535; volume 0 is always listed first. */
  readonly id: number;
  /**
   * Unique, {@linkcode isVolumeName} holds; except that volume 0 has the name of
   * the pool.
   */
  readonly name: string;
  /** Bytes, whole chunks, up to 2^53; volume 0 has the virtual size. */
  readonly size: number;
  /** The current epoch, u32: the birth of new entries. */
  readonly epoch: number;
  /** Milliseconds since 1970; 0 if unknown. */
  readonly created: number;
  /** The view that a clone looks into; undefined if the volume is no clone. */
  readonly parent: ViewRecord | undefined;
  /** Bytes that the volume may use at most, up to 2^53; 0: no limit. */
  readonly quota: number;
  /** Bytes set aside for the volume, up to 2^53; 0: none. */
  readonly reserve: number;
  /** Whether clients may only read it. */
  readonly isReadOnly: boolean;
  /** Policy for a full pool; "": the policy that the pool was opened with. */
  readonly onFull: VolumeFullPolicy;
  /** The snapshots, ascending by epoch; names and epochs are unique. */
  readonly snapshots: readonly SnapshotRecord[];
  /**
   * After rollbacks, the births that no view sees: ascending and disjoint,
   * below the volume's epoch, without the epoch of any snapshot.
   */
  readonly dead: readonly EpochRange[];
}

/** What writes to a volume do while they find no space. */
export type VolumeFullPolicy =
  | "" // as the pool was opened
  | "delay" // they wait
  | "error"; // they fail

/** A view: what a volume held at an epoch. */
export interface ViewRecord {
  /** The id of another volume. */
  readonly volume: number;
  /** The epoch of one of its snapshots. */
  readonly epoch: number;
}

/** A snapshot. */
export interface SnapshotRecord {
  /** Unique among the volume's snapshots; {@linkcode isVolumeName} holds. */
  readonly name: string;
  /** The volume's epoch that the snapshot ended, below the current one. */
  readonly epoch: number;
  /** The size of the volume at that time, bytes. */
  readonly size: number;
  /** Milliseconds since 1970; 0 if unknown. */
  readonly created: number;
}

/** A range of epochs. */
export interface EpochRange {
  /** The first epoch. */
  readonly first: number;
  /** The last epoch, inclusive. */
  readonly last: number;
}

/** What a volume table must agree with: a superblock has these fields. */
export interface VolumeTablePool {
  /** The pool's name. */
  readonly name: string;
  /** Bytes of volume 0. */
  readonly virtualSize: number;
  /** Bytes of a chunk. */
  readonly chunkSize: number;
}

/**
 * Checks a volume table.
 *
 * @param table Any volume table.
 * @param pool The pool, sound.
 * @returns What is wrong, naming the volume, or "" if nothing is.
 */
export function findingInVolumes(
  { bootId, volumes }: VolumeTable,
  pool: VolumeTablePool,
): string {
  if (!isUuid(bootId)) return `the boot id is "${bootId}"`;
  const first = volumes[0];
  if (first?.id !== 0) return "volume 0 is not listed first";
  if (first.name !== pool.name) {
    return `the name of volume 0 is "${first.name}", that of the pool is ` +
      `"${pool.name}"`;
  }
  if (first.size !== pool.virtualSize) {
    return `the size of volume 0 is ${inBytes(first.size)}, the virtual size ` +
      `is ${inBytes(pool.virtualSize)}`;
  }
  const byId = new Map<number, VolumeRecord>();
  const names = new Set<string>();
  for (const volume of volumes) {
    const { id, name } = volume;
    if (!(Number.isInteger(id) && id >= 0 && id < VOLUMES_MAX)) {
      return `a volume has id ${id}`;
    }
    if (byId.has(id)) return `volume ${id} is listed twice`;
    if (id !== 0 && !isVolumeName(name)) {
      return `the name of volume ${id} is "${name}"`;
    }
    if (names.has(name)) return `two volumes have the name "${name}"`;
    byId.set(id, volume);
    names.add(name);
    const finding = findingInFields(volume, pool) ||
      findingInSnapshots(volume, pool) || findingInDead(volume);
    if (finding !== "") return finding;
  }
  return findingInParents(volumes, byId);
}

function findingInFields(volume: VolumeRecord, pool: VolumeTablePool): string {
  const { id, size, epoch, created, quota, reserve } = volume;
  if (!isSize(size, pool)) {
    return `the size of volume ${id} is ${inBytes(size)}, not whole chunks`;
  }
  if (epoch >>> 0 !== epoch) return `the epoch of volume ${id} is ${epoch}`;
  if (!isTime(created)) {
    return `the creation time of volume ${id} is out of range`;
  }
  if (!isAmount(quota)) return `the quota of volume ${id} is out of range`;
  if (!isAmount(reserve)) return `the reserve of volume ${id} is out of range`;
  return "";
}

function findingInSnapshots(
  { id, epoch: current, snapshots }: VolumeRecord,
  pool: VolumeTablePool,
): string {
  // There may be thousands of volumes, most of them without snapshots.
  if (snapshots.length === 0) return "";
  const names = new Set<string>();
  let previous = -1;
  for (const { name, epoch, size, created } of snapshots) {
    if (!isVolumeName(name)) {
      return `the name of a snapshot of volume ${id} is "${name}"`;
    }
    const which = `snapshot "${name}" of volume ${id}`;
    if (names.has(name)) return `${which} is listed twice`;
    if (epoch >>> 0 !== epoch || epoch >= current) {
      return `the epoch of ${which} is ${epoch}, that of the volume is ` +
        current;
    }
    if (epoch <= previous) {
      return `the epoch of ${which} is ${epoch}, after ${previous}`;
    }
    if (!isSize(size, pool)) {
      return `the size of ${which} is ${inBytes(size)}, not whole chunks`;
    }
    if (!isTime(created)) {
      return `the creation time of ${which} is out of range`;
    }
    names.add(name);
    previous = epoch;
  }
  return "";
}

function findingInDead(
  { id, epoch: current, snapshots, dead }: VolumeRecord,
): string {
  let previous = -1;
  let next = 0;
  for (const { first, last } of dead) {
    const which = `the dead epochs ${first} to ${last} of volume ${id}`;
    const isRange = first >>> 0 === first && last >>> 0 === last;
    if (!isRange || first > last) return `${which} are no range`;
    if (last >= current) return `${which} are not below its epoch ${current}`;
    if (first <= previous) return `${which} do not come after ${previous}`;
    while ((snapshots[next]?.epoch ?? EPOCHS) < first) next++;
    const snapshot = snapshots[next];
    if (snapshot !== undefined && snapshot.epoch <= last) {
      return `${which} contain snapshot "${snapshot.name}"`;
    }
    previous = last;
  }
  return "";
}

function findingInParents(
  volumes: readonly VolumeRecord[],
  byId: ReadonlyMap<number, VolumeRecord>,
): string {
  const snapshotEpochs = new Map<number, ReadonlySet<number>>();
  for (const { id, parent } of volumes) {
    if (parent === undefined) continue;
    const snapshots = byId.get(parent.volume)?.snapshots;
    if (snapshots === undefined) {
      return `the parent of volume ${id} is volume ${parent.volume}, which ` +
        "does not exist";
    }
    const epochs = snapshotEpochs.get(parent.volume) ??
      new Set(snapshots.map(({ epoch }) => epoch));
    snapshotEpochs.set(parent.volume, epochs);
    if (!epochs.has(parent.epoch)) {
      return `the parent of volume ${id} is epoch ${parent.epoch} of volume ` +
        `${parent.volume}, which is no snapshot`;
    }
  }
  return findingInCycles(volumes, byId);
}

/** Follows the parents of each volume, and of none twice. */
function findingInCycles(
  volumes: readonly VolumeRecord[],
  byId: ReadonlyMap<number, VolumeRecord>,
): string {
  const done = new Set<number>();
  for (const volume of volumes) {
    if (volume.parent === undefined) continue;
    const line = new Set<number>();
    let at: VolumeRecord | undefined = volume;
    while (at !== undefined && !done.has(at.id)) {
      if (line.has(at.id)) return `volume ${at.id} is its own ancestor`;
      line.add(at.id);
      at = at.parent && byId.get(at.parent.volume);
    }
    line.forEach((id) => done.add(id));
  }
  return "";
}

function isSize(size: number, { chunkSize }: VolumeTablePool): boolean {
  return size >= chunkSize && size <= SIZE_MAX && size % chunkSize === 0;
}

function isAmount(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= 0 && bytes <= SIZE_MAX;
}

function isTime(created: number): boolean {
  return Number.isSafeInteger(created) && created >= 0;
}
