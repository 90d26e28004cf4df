/**
 * The open volumes of a pool, and the disks of their snapshots.
 *
 * @module
 */

import { assert, nameOf, quoted, VirstorError } from "../errors.ts";
import {
  type Health,
  type PoolSettings,
  recordById,
  SnapshotView,
  type VolumeState,
} from "./core/mod.ts";
import {
  assertHasVolumes,
  snapshotNamed,
  type VolumeHooks,
  volumeNamed,
} from "./change/mod.ts";
import { readableAt } from "./io/mod.ts";
import { type ChangedRange, changedRanges } from "./changed_ranges.ts";
import { SnapshotDisk } from "./snapshot_disk.ts";
import { Volume } from "./volume.ts";
import type { PoolWiring } from "./wiring.ts";

/** The open volumes of a pool. */
export class PoolVolumes implements VolumeHooks {
  readonly #settings: PoolSettings;
  readonly #health: Health;
  readonly #wiring: PoolWiring;
  /** The volumes, the first one first. */
  #open: readonly Volume[] = [];
  /** The disks of snapshots that were asked for, by their number and epoch. */
  readonly #snapshots = new Map<string, SnapshotDisk>();

  /**
   * Opens the volumes of a pool.
   *
   * @param wiring The parts of the pool.
   * @param volumes The volumes, and the place of each of their chunks.
   */
  constructor(wiring: PoolWiring, volumes: readonly VolumeState[]) {
    this.#wiring = wiring;
    this.#settings = wiring.base.settings;
    this.#health = wiring.health;
    this.#open = volumes.map((one) => this.#volumeOf(one))
      .sort((a, b) => a.number - b.number);
  }

  /** The open volumes, the first one first. */
  get all(): readonly Volume[] {
    return this.#open;
  }

  /**
   * Finds a volume.
   *
   * @param name The volume's name; the first volume unless given.
   * @returns The volume.
   * @throws {VirstorError} `not-found`; `busy` while it is rolled back.
   */
  find(name: string | undefined): Volume {
    const found = this.#open.find((one) =>
      name === undefined ? one.number === 0 : one.name === name
    );
    if (found !== undefined) return found;
    const { name: pool } = this.#settings;
    const record = this.#wiring.base.format.records.find((one) =>
      name === undefined ? one.id === 0 : one.name === name
    );
    if (record !== undefined) {
      throw new VirstorError(
        "busy",
        `Cannot use volume "${nameOf(pool, record.name)}": it is being ` +
          "rolled back",
      );
    }
    const names = this.#open.map((one) => nameOf(pool, one.name));
    const only = names.length === 1 ? "only " : "";
    throw new VirstorError(
      "not-found",
      `Cannot find volume "${nameOf(pool, name ?? "")}": pool "${pool}" has ` +
        only + quoted(names),
    );
  }

  /**
   * The disk of a snapshot.
   *
   * @param volume The name of the volume.
   * @param snapshot The name of the snapshot.
   * @returns The disk, the same one each time.
   * @throws {VirstorError} `not-found`.
   */
  snapshotDisk(volume: string, snapshot: string): SnapshotDisk {
    const { base } = this.#wiring;
    const parts = volumeNamed(base, volume, "read a snapshot of");
    const { record } = parts;
    const found = snapshotNamed(parts, snapshot, "read");
    const key = `${record.id}@${found.epoch}`;
    const open = this.#snapshots.get(key);
    if (open !== undefined) return open;
    const { id: pool } = this.#settings;
    const view = readableAt(parts, found);
    const identity = { snapshot, id: `${pool}/${key}` };
    const disk = new SnapshotDisk(parts, view, this.#health, identity);
    this.#snapshots.set(key, disk);
    return disk;
  }

  /**
   * Finds what a volume has changed since a snapshot.
   *
   * @param volume The name of the volume.
   * @param from The name of the snapshot.
   * @param to The name of a newer snapshot; what the volume is now if undefined.
   * @returns The ranges that may differ, in order, whole chunks.
   * @throws {VirstorError} `not-found`, also if a snapshot or the volume is
   *   removed meanwhile, or the volume is rolled back; `io` if a component is
   *   missing; `unsupported` in format 1.
   */
  diff(
    volume: string,
    from: string,
    to: string | undefined,
  ): Promise<ChangedRange[]> {
    const { base } = this.#wiring;
    assertHasVolumes(base, "compare a volume with a snapshot");
    const parts = volumeNamed(base, volume, "compare volume");
    this.#assertComparable(volume);
    const { chunkSize } = this.#settings;
    const epochs: number[] = [];
    const viewOf = (name: string) => {
      const { epoch, size } = snapshotNamed(parts, name, "compare");
      epochs.push(epoch);
      return new SnapshotView(parts.map, epoch, size / chunkSize);
    };
    const views = {
      from: viewOf(from),
      to: to === undefined ? parts.map.view : viewOf(to),
    };
    return changedRanges(views, chunkSize, () => {
      const { record: { snapshots } } = parts;
      const isThere = base.volumes.includes(parts) &&
        epochs.every((epoch) => snapshots.some((one) => one.epoch === epoch));
      if (isThere) return;
      throw new VirstorError(
        "not-found",
        `Cannot compare volume "${nameOf(this.#settings.name, volume)}": a ` +
          "snapshot was removed meanwhile, or the volume was removed or " +
          "rolled back",
      );
    });
  }

  /**
   * Begins to close all volumes and disks.
   *
   * @returns What ends as they are closed; none rejects.
   */
  closeAll(): Promise<void>[] {
    return [...this.#open, ...this.#snapshots.values()].map((one) =>
      one.close()
    );
  }

  /**
   * Opens a volume that has a record.
   *
   * @param map Its map.
   */
  open(map: VolumeState["map"]): void {
    const { records } = this.#wiring.base.format;
    const record = recordById(records, map.volume);
    assert(record !== undefined, "a volume that is opened has a record");
    this.#add({ record, map });
  }

  /**
   * Closes a volume: no request of it is in flight afterwards.
   *
   * @param number The number of the volume.
   */
  async close(number: number): Promise<void> {
    const volume = this.#open.find((one) => one.number === number);
    await volume?.close();
    this.#open = this.#open.filter((one) => one !== volume);
    const { volumes } = this.#wiring;
    const at = volumes.findIndex(({ map }) => map.volume === number);
    if (at >= 0) volumes.splice(at, 1);
  }

  /**
   * Closes the disk of a snapshot, if there is one.
   *
   * @param number The number of the volume.
   * @param epoch The epoch of the snapshot.
   */
  async closeSnapshot(number: number, epoch: number): Promise<void> {
    const key = `${number}@${epoch}`;
    await this.#snapshots.get(key)?.close();
    this.#snapshots.delete(key);
  }

  /**
   * Refuses writes to a volume from now on, or takes them again.
   *
   * @param number The number of the volume.
   * @param isReadOnly Whether writes are refused.
   */
  setReadOnly(number: number, isReadOnly: boolean): void {
    this.#open.find((one) => one.number === number)?.setReadOnly(isReadOnly);
  }

  /** Refuses to compare views that miss the chunks of a component. */
  #assertComparable(volume: string): void {
    const { name, missing } = this.#settings;
    if (missing.length === 0) return;
    throw new VirstorError(
      "io",
      `Cannot compare volume "${nameOf(name, volume)}": what has changed may ` +
        "be on a component that is missing",
    );
  }

  #add(state: VolumeState): void {
    const open = [...this.#open, this.#volumeOf(state)];
    this.#open = open.sort((a, b) => a.number - b.number);
  }

  #volumeOf(state: VolumeState): Volume {
    return new Volume(this.#wiring.open(state), this.#health);
  }
}
