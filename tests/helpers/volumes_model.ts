/**
 * What a pool promises of its volumes and snapshots, as simply as can be: for
 * each block of each of them the contents that it may have. No chunk, no epoch
 * and no map appears here.
 *
 * @module
 */

import { ModelPool } from "../simulation/model_pool.ts";

/** A snapshot. */
export interface ModelSnapshot {
  /** The name. */
  readonly name: string;
  /** What each block may hold: one content, once it was read. */
  readonly contents: Set<number>[];
}

/** A snapshot that a clone was made of. */
export interface ModelParent {
  /** The id of the volume. */
  readonly volume: number;
  /** The name of the snapshot. */
  readonly snapshot: string;
}

/** What is set of a volume. */
export interface ModelLimits {
  /** The most bytes that it takes; 0 for no limit. */
  readonly quota: number;
  /** Bytes that are set aside for it. */
  readonly reserve: number;
  /** What writes do that find no chunk; "" for what the pool does. */
  readonly onFull: "" | "delay" | "error";
}

/** Nothing is set. */
const NO_LIMITS: ModelLimits = { quota: 0, reserve: 0, onFull: "" };

/** A volume. Changes make another one, with the same id. */
export interface ModelVolume {
  /** Tells volumes apart, whatever their names. */
  readonly id: number;
  /** The name. */
  readonly name: string;
  /** What its blocks may hold. */
  readonly disk: ModelPool;
  /** Its snapshots, the oldest first. */
  readonly snapshots: readonly ModelSnapshot[];
  /** What it is a clone of. */
  readonly parent: ModelParent | undefined;
  /** Whether it is being flattened: it may be no clone any more. */
  readonly mayBeFlat: boolean;
  /** What is set of it. */
  readonly limits: ModelLimits;
}

/** All volumes, the first one first. */
export type ModelVolumes = readonly ModelVolume[];

/** What a pool says of a volume. */
export interface SeenVolume extends ModelLimits {
  /** The name. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** As `VOLUME@SNAPSHOT`. */
  readonly parent: string | null;
  /** Its snapshots, the oldest first. */
  readonly snapshots: readonly {
    readonly name: string;
    readonly size: number;
  }[];
}

let lastId = 0;

/**
 * Makes a volume.
 *
 * @param name Its name.
 * @param disk What its blocks may hold.
 * @param parent What it is a clone of.
 * @returns The volume.
 */
export function modelVolume(
  name: string,
  disk: ModelPool,
  parent?: ModelParent,
): ModelVolume {
  lastId++;
  const limits = NO_LIMITS;
  const known = { snapshots: [], parent, mayBeFlat: false, limits };
  return { id: lastId, name, disk, ...known };
}

/**
 * Makes a disk that durably holds what is known.
 *
 * @param contents The content of each block.
 * @returns The disk.
 */
export function diskOf(contents: readonly number[]): ModelPool {
  const disk = new ModelPool(contents.length);
  disk.restart(contents);
  return disk;
}

/**
 * The contents of a snapshot that was read.
 *
 * @param snapshot The snapshot.
 * @returns The content of each block.
 */
export function knownContents({ name, contents }: ModelSnapshot): number[] {
  return contents.map((allowed) => {
    const [content] = allowed;
    if (content === undefined || allowed.size !== 1) {
      throw new Error(`Snapshot ${name} was not read`);
    }
    return content;
  });
}

/**
 * Replaces a volume.
 *
 * @param volumes All volumes.
 * @param volume What takes the place of the one with its id.
 * @returns All volumes.
 */
export function withVolume(
  volumes: ModelVolumes,
  volume: ModelVolume,
): ModelVolumes {
  return volumes.map((one) => one.id === volume.id ? volume : one);
}

/**
 * The clones of a snapshot.
 *
 * @param volumes All volumes.
 * @param volume The volume of the snapshot.
 * @param snapshot The name of the snapshot.
 * @returns The clones, with those that may not be any more.
 */
export function clonesOf(
  volumes: ModelVolumes,
  volume: ModelVolume,
  snapshot: string,
): ModelVolume[] {
  return volumes.filter(({ parent }) =>
    parent?.volume === volume.id && parent.snapshot === snapshot
  );
}

/**
 * Holds the volumes of a pool against the model: names, sizes and parents.
 *
 * @param volumes What there should be.
 * @param seen What there is.
 * @param blockSize Bytes of a block.
 * @returns What differs; "" if nothing does.
 */
export function differenceOf(
  volumes: ModelVolumes,
  seen: readonly SeenVolume[],
  blockSize: number,
): string {
  const wanted = volumes.map(({ name }) => name).sort().join(", ");
  const found = seen.map(({ name }) => name).sort().join(", ");
  if (wanted !== found) return `volumes ${found}, not ${wanted}`;
  for (const volume of volumes) {
    const one = seen.find(({ name }) => name === volume.name);
    if (one === undefined) return `no volume ${volume.name}`;
    if (!volume.disk.mayHave(one.size / blockSize)) {
      return `volume ${one.name} has ${one.size} bytes`;
    }
    const parent = volumes.find(({ id }) => id === volume.parent?.volume);
    const source = volume.parent === undefined || parent === undefined
      ? null
      : `${parent.name}@${volume.parent.snapshot}`;
    const mayBe = volume.mayBeFlat ? [source, null] : [source];
    if (!mayBe.includes(one.parent)) {
      return `volume ${one.name} is a clone of ${one.parent}, not ${source}`;
    }
    const limits = limitsOf(volume.limits);
    if (limits !== limitsOf(one)) {
      return `volume ${one.name} has ${limitsOf(one)}, not ${limits}`;
    }
    const snapshots = volume.snapshots.map(({ name, contents }) =>
      `${name}:${contents.length * blockSize}`
    ).join();
    const its = one.snapshots.map(({ name, size }) => `${name}:${size}`).join();
    if (snapshots !== its) {
      return `volume ${one.name} has snapshots ${its}, not ${snapshots}`;
    }
  }
  return "";
}

function limitsOf({ quota, reserve, onFull }: ModelLimits): string {
  return `quota=${quota} reserve=${reserve} on-full=${onFull}`;
}

/** A write, for the order of all of them. */
export interface TimedWrite {
  /** The disk that it went to. */
  readonly disk: ModelPool;
  /** Its number; 0 for zeroes. */
  readonly content: number;
  /** The first block. */
  readonly first: number;
  /** How many. */
  readonly count: number;
  /** When it began. */
  readonly begun: number;
  /** When it was acknowledged; never, if it was not. */
  ended: number;
}

/**
 * Checks that there is one instant at which all snapshots of a group may have
 * been taken.
 *
 * @param writes All writes.
 * @param group The contents of each snapshot, and the disk it is of.
 * @returns Whether there is such an instant.
 */
export function isOneInstant(
  writes: readonly TimedWrite[],
  group: readonly { disk: ModelPool; contents: readonly number[] }[],
): boolean {
  let [earliest, latest] = [-Infinity, Infinity];
  for (const { disk, contents } of group) {
    const its = writes.filter((one) => one.disk === disk);
    for (const [block, content] of contents.entries()) {
      const there = its.filter(({ first, count }) =>
        first <= block && block < first + count
      );
      const seen = there.find((one) => one.content === content);
      if (content === 0 || seen === undefined) continue;
      earliest = Math.max(earliest, seen.begun);
      for (const { begun, ended } of there) {
        if (begun > seen.ended) latest = Math.min(latest, ended);
      }
    }
  }
  return earliest < latest;
}
