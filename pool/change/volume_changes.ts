/**
 * Creating, removing, renaming, resizing, cloning and flattening volumes.
 *
 * @module
 */

import { inBytes, nameOf, VirstorError } from "../../errors.ts";
import {
  type ChunkView,
  ForwardMap,
  InFlight,
  newestSnapshot,
  newVolume,
  SnapshotView,
  VIRTUAL_SIZE_MAX,
} from "../core/mod.ts";
import { flushMembers, type PoolBase, type VolumeParts } from "../io/mod.ts";
import type { VolumeRecord } from "../../metadata/native/mod.ts";
import { assertFlattens, copyAll, snapshotsOf } from "./flattening.ts";
import { Job } from "./jobs.ts";
import { renamePool } from "./rename_pool.ts";
import type { ChangeTools } from "./snapshot_changes.ts";
import {
  assertHasVolumes,
  assertNewName,
  type RunChange,
  snapshotNamed,
  volumeNamed,
  withRecord,
} from "./volume_list.ts";
import {
  assertFree,
  assertLimits,
  type VolumeSettings,
  withSettings,
} from "./volume_settings.ts";

/** The highest number of a volume. */
const VOLUME_NUMBER_MAX = 0xffff;

/** The changes of the volumes of an open pool. */
export class VolumeChanges {
  readonly #base: PoolBase;
  readonly #run: RunChange;
  readonly #tools: ChangeTools;
  readonly #flattening = new InFlight();

  /**
   * Creates the changes of an open pool.
   *
   * @internal
   * @param base The open pool.
   * @param run The queue of changes.
   * @param tools What the changes use beside the pool.
   */
  constructor(base: PoolBase, run: RunChange, tools: ChangeTools) {
    this.#base = base;
    this.#run = run;
    this.#tools = tools;
  }

  /**
   * Creates a volume that reads as zeroes.
   *
   * @param name Its name: 1 to 255 bytes, without "/", "@" and control
   *   characters.
   * @param size Its size, bytes, rounded up to whole chunks.
   * @returns Its size, bytes.
   * @throws {VirstorError} `invalid`, `exists`, `no-space` if the superblock has
   *   no room for it, `unsupported` in format 1: nothing has changed.
   */
  create(name: string, size: number): Promise<{ size: number }> {
    return this.#run(async () => {
      const what = `create volume "${this.#nameOf(name)}"`;
      assertHasVolumes(this.#base, what);
      const { chunkSize } = this.#base.settings;
      const chunks = Math.ceil(size / chunkSize);
      if (!(size > 0) || chunks * chunkSize > VIRTUAL_SIZE_MAX) {
        throw new VirstorError(
          "invalid",
          `Cannot ${what} of ${inBytes(size)}: it is 1 to ` +
            `${VIRTUAL_SIZE_MAX} bytes (8 PiB)`,
        );
      }
      const record = this.#newRecord(name, chunks * chunkSize, what);
      await this.#add(record, new ForwardMap(chunks, record.id));
      return { size: record.size };
    });
  }

  /**
   * Removes a volume, and frees its chunks: beside the requests, and in turns
   * with other changes.
   *
   * @param name Its name.
   * @param onRemoved Called once it is removed, durably, and before its chunks
   *   are free. The next open frees what is left then.
   * @returns How many chunks were freed, once they are free.
   * @throws {VirstorError} `not-found`; `invalid` for the first volume; `exists`
   *   if it has snapshots: nothing has changed. `failed`; `shutdown` if the pool
   *   is closed before all is free.
   */
  async remove(
    name: string,
    onRemoved: () => void = () => {},
  ): Promise<{ freedChunks: number }> {
    const { freed } = await this.#run(async () => {
      const { format, settings } = this.#base;
      const what = `remove volume "${this.#nameOf(name)}"`;
      assertHasVolumes(this.#base, what);
      const { record, map } = volumeNamed(this.#base, name, "remove volume");
      if (record.id === 0) {
        throw new VirstorError(
          "invalid",
          `Cannot ${what}: the first volume of pool "${settings.name}" stays`,
        );
      }
      if (record.snapshots.length > 0) {
        throw new VirstorError(
          "exists",
          `Cannot ${what}: it has the snapshots ${
            snapshotsOf(settings.name, record)
          }, remove them first`,
        );
      }
      await this.#tools.hooks.close(record.id);
      this.#base.reserves.set(record.id, undefined);
      await format.setVolumes(format.records.filter((one) => one !== record));
      // In an object: the change does not wait for what it begins.
      return { freed: this.#tools.collector.collectVolume(map, name) };
    });
    onRemoved();
    return { freedChunks: await freed };
  }

  /**
   * Renames a volume. Connections stay.
   *
   * @param name Its name.
   * @param to The new name.
   * @throws {VirstorError} `not-found`, `exists`, `invalid`: nothing has changed.
   */
  rename(name: string, to: string): Promise<void> {
    return this.#run(async () => {
      const { format, settings } = this.#base;
      const what = `rename volume "${this.#nameOf(name)}" to "${
        this.#nameOf(to)
      }"`;
      assertHasVolumes(this.#base, what);
      const parts = volumeNamed(this.#base, name, "rename volume");
      const { record } = parts;
      if (record.id === 0) {
        throw new VirstorError(
          "invalid",
          `Cannot ${what}: the first volume has the name of pool ` +
            `"${settings.name}"`,
        );
      }
      assertNewName(to, format.records.map((one) => one.name), what);
      await format.setVolumes(
        withRecord(format.records, { ...record, name: to }),
      );
      // They name the volume when it is full.
      parts.firstWrites.limits.apply(parts.record);
    });
  }

  /**
   * Renames the pool, and with it its first volume, durably and atomically.
   *
   * @param to The new name.
   * @param prepare Called before the first write; if it throws, nothing changes.
   * @throws {VirstorError} `exists`, `invalid`, `no-space`; `unsupported` in
   *   format 1: nothing has changed. `failed`.
   */
  renamePool(
    to: string,
    prepare: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    return this.#run(() => renamePool(this.#base, to, prepare));
  }

  /**
   * Sets the limits of a volume, durably. They hold at once, also for writes
   * that wait. Whether the volume is read-only, new connections learn as they
   * begin; the writes of others fail.
   *
   * @param name The name of the volume.
   * @param settings What to set.
   * @throws {VirstorError} `not-found`, `invalid`; `no-space` if what is to be
   *   set aside is not free; `unsupported` in format 1: nothing has changed.
   *   `failed`.
   */
  set(name: string, settings: VolumeSettings): Promise<void> {
    return this.#run(async () => {
      const what = `set limits of volume "${this.#nameOf(name)}"`;
      assertHasVolumes(this.#base, what);
      const parts = volumeNamed(this.#base, name, "set limits of volume");
      const before = parts.record;
      const record = withSettings(before, settings);
      assertLimits(record, this.#base.settings.chunkSize, what);
      if (record.reserve > before.reserve) assertFree(parts, record, what);
      // They hold from here on, so that no chunk that was counted is taken.
      this.#apply(parts, record);
      try {
        const { format } = this.#base;
        await format.setVolumes(withRecord(format.records, record));
      } catch (error) {
        this.#apply(parts, before);
        throw error;
      }
    });
  }

  /** Puts limits into force, and lets writes go on that wait. */
  #apply({ firstWrites }: VolumeParts, record: VolumeRecord): void {
    firstWrites.limits.apply(record);
    this.#tools.hooks.setReadOnly(record.id, record.isReadOnly);
    for (const one of this.#base.volumes) one.firstWrites.resume();
  }

  /**
   * Makes a volume of what a snapshot sees. It takes no space until it is
   * written to, and keeps the snapshot.
   *
   * @param volume The volume of the snapshot.
   * @param snapshot The name of the snapshot.
   * @param name The name of the clone.
   * @throws {VirstorError} `not-found`, `exists`, `invalid`, `no-space`:
   *   nothing has changed.
   */
  clone(volume: string, snapshot: string, name: string): Promise<void> {
    return this.#run(async () => {
      const from = this.#nameOf(volume, snapshot);
      const what = `clone "${from}" as "${this.#nameOf(name)}"`;
      assertHasVolumes(this.#base, what);
      const parts = volumeNamed(this.#base, volume, "clone a snapshot of");
      const { epoch, size } = snapshotNamed(parts, snapshot, "clone");
      const parent = { volume: parts.record.id, epoch };
      const record = { ...this.#newRecord(name, size, what), parent };
      const chunks = size / this.#base.settings.chunkSize;
      const map = new ForwardMap(chunks, record.id);
      map.setBase(new SnapshotView(parts.map, epoch, chunks));
      await this.#add(record, map);
    });
  }

  /**
   * Copies what a clone shares with its parent, beside the requests, and then
   * cuts the tie.
   *
   * @param name The name of the clone.
   * @throws {VirstorError} `not-found`; `invalid` if it is no clone; `exists` if
   *   it has snapshots; `no-space` if no chunk is free: what was copied stays.
   */
  async flatten(name: string): Promise<void> {
    await this.#flattening.track(this.#flatten(name));
  }

  /**
   * Waits until no volume is being flattened. That ends with an error once the
   * volumes are closed.
   *
   * @internal
   */
  async settle(): Promise<void> {
    await this.#flattening.settled();
  }

  async #flatten(name: string): Promise<void> {
    // A change, so that the pool refuses it where it takes none.
    const parts = await this.#run(() =>
      Promise.try(() => {
        assertHasVolumes(this.#base, `flatten volume "${this.#nameOf(name)}"`);
        const parts = volumeNamed(this.#base, name, "flatten volume");
        assertFlattens(parts);
        return parts;
      })
    );
    const { map } = parts;
    const { base } = map;
    if (base === undefined) return;
    const job = new Job("flatten", [name], () => map.virtualChunks);
    await this.#tools.jobs.show(job, () => this.#copyAndCut(parts, base, job));
  }

  async #copyAndCut(
    parts: VolumeParts,
    base: ChunkView,
    job: Job,
  ): Promise<void> {
    const { map, record: { name } } = parts;
    await copyAll(parts, base, job);
    await this.#run(async () => {
      // Its number may be another volume's by now.
      if (!this.#base.volumes.includes(parts)) {
        throw new VirstorError(
          "not-found",
          `Cannot flatten volume "${this.#nameOf(name)}": it was removed, or ` +
            "rolled back",
        );
      }
      assertFlattens(parts);
      const { format } = this.#base;
      // Most is copied by now, and is passed over.
      await copyAll(parts, base, job);
      // Copies are provisional: after a power cut the parent would be missed.
      await flushMembers(this.#base);
      const record = { ...parts.record, parent: undefined };
      await format.setVolumes(withRecord(format.records, record));
      map.setBase(undefined);
    });
  }

  #nameOf(volume: string, snapshot = ""): string {
    return nameOf(this.#base.settings.name, volume, snapshot);
  }

  #newRecord(name: string, size: number, what: string): VolumeRecord {
    const { records } = this.#base.format;
    assertNewName(name, records.map((one) => one.name), what);
    const { removed } = this.#base;
    const taken = new Set([...records.map(({ id }) => id), ...removed.keys()]);
    let id = 1;
    while (taken.has(id)) id++;
    if (id > VOLUME_NUMBER_MAX) {
      throw new VirstorError(
        "no-space",
        `Cannot ${what}: there are ${VOLUME_NUMBER_MAX} volumes`,
      );
    }
    return newVolume({ id, name, size, created: Date.now() });
  }

  async #add(record: VolumeRecord, map: ForwardMap): Promise<void> {
    const { format } = this.#base;
    await format.setVolumes([...format.records, record]);
    map.setComponents(format.members);
    map.setEpoch(record.epoch);
    map.share(newestSnapshot(record));
    this.#tools.hooks.open(map);
  }
}
