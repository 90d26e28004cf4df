/**
 * The records of the volumes of a pool: finding them, and checking names.
 *
 * @module
 */

import { isVolumeName, type VolumeRecord } from "../../metadata/native/mod.ts";
import { nameOf, VirstorError } from "../../errors.ts";
import { snapshotByName } from "../core/mod.ts";
import type { PoolBase, VolumeParts } from "../io/mod.ts";

/** Bytes of the longest name. */
const NAME_SIZE_MAX = 255;

/** What changes need beside the parts of the pool. */
export interface VolumeHooks {
  /**
   * Opens a volume that has a record.
   *
   * @param map Its map.
   */
  open(map: VolumeParts["map"]): void;
  /**
   * Closes a volume: no request of it is in flight afterwards.
   *
   * @param number The number of the volume.
   */
  close(number: number): Promise<void>;
  /**
   * Refuses writes to a volume from now on, or takes them again.
   *
   * @param number The number of the volume.
   * @param isReadOnly Whether writes are refused.
   */
  setReadOnly(number: number, isReadOnly: boolean): void;
  /**
   * Closes the open disk of a snapshot, if there is one.
   *
   * @param number The number of the volume.
   * @param epoch The epoch of the snapshot.
   */
  closeSnapshot(number: number, epoch: number): Promise<void>;
}

/** A snapshot of a volume. */
export interface SnapshotName {
  /** The name of the volume. */
  readonly volume: string;
  /** The name of the snapshot. */
  readonly snapshot: string;
}

/** Runs a change when those before it have ended. */
export type RunChange = <T>(change: () => Promise<T>) => Promise<T>;

/**
 * Refuses changes of volumes that the format does not have.
 *
 * @param base The open pool.
 * @param what What is refused, as in `create a volume`.
 * @throws {VirstorError} `unsupported` in format 1.
 */
export function assertHasVolumes(
  { format, settings: { name } }: PoolBase,
  what: string,
): void {
  if (!format.isDense) return;
  throw new VirstorError(
    "unsupported",
    `Cannot ${what} in pool "${name}": its format, that of FreeBSD's ` +
      "gvirstor, has one volume and no snapshots",
  );
}

/**
 * Finds an open volume.
 *
 * @param base The open pool.
 * @param name The volume's name.
 * @param what What fails without it, as in `remove volume`.
 * @returns The volume.
 * @throws {VirstorError} `not-found`.
 */
export function volumeNamed(
  { volumes, settings }: PoolBase,
  name: string,
  what: string,
): VolumeParts {
  const found = volumes.find(({ record }) => record.name === name);
  if (found !== undefined) return found;
  throw new VirstorError(
    "not-found",
    `Cannot ${what} "${nameOf(settings.name, name)}": pool ` +
      `"${settings.name}" has no such volume`,
  );
}

/**
 * Finds a snapshot.
 *
 * @param volume The open volume.
 * @param name The snapshot's name.
 * @param what What fails without it, as in `remove`.
 * @returns The snapshot.
 * @throws {VirstorError} `not-found`.
 */
export function snapshotNamed(
  { record, base: { settings } }: Pick<VolumeParts, "record" | "base">,
  name: string,
  what: string,
): VolumeRecord["snapshots"][number] {
  const found = snapshotByName(record.snapshots, name);
  if (found !== undefined) return found;
  throw new VirstorError(
    "not-found",
    `Cannot ${what} "${nameOf(settings.name, record.name, name)}": there is ` +
      "no such snapshot",
  );
}

/**
 * Checks the name of a new volume or snapshot.
 *
 * @param name The name.
 * @param taken The names that are in use.
 * @param what What has the name, as in `create volume "a"`.
 * @throws {VirstorError} `invalid`, `exists`.
 */
export function assertNewName(
  name: string,
  taken: readonly string[],
  what: string,
): void {
  if (!isVolumeName(name)) {
    throw new VirstorError(
      "invalid",
      `Cannot ${what}: a name has 1 to ${NAME_SIZE_MAX} bytes, without "/", ` +
        '"@" and control characters',
    );
  }
  if (taken.includes(name)) {
    throw new VirstorError("exists", `Cannot ${what}: it exists already`);
  }
}

/**
 * The clones of a snapshot.
 *
 * @param records All volumes.
 * @param volume The number of the volume.
 * @param epoch The epoch of the snapshot; any unless given.
 * @returns The clones.
 */
export function clonesOf(
  records: readonly VolumeRecord[],
  volume: number,
  epoch?: number,
): VolumeRecord[] {
  return records.filter(({ parent }) =>
    parent?.volume === volume && (epoch === undefined || parent.epoch === epoch)
  );
}

/**
 * Replaces a record.
 *
 * @param records All volumes.
 * @param record The new record of one of them.
 * @returns All volumes, with the new record.
 */
export function withRecord(
  records: readonly VolumeRecord[],
  record: VolumeRecord,
): VolumeRecord[] {
  return records.map((one) => one.id === record.id ? record : one);
}
