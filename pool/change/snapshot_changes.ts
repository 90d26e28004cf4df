/**
 * Taking and removing snapshots, and rolling volumes back to them.
 *
 * @module
 */

import { nameOf, quoted, VirstorError } from "../../errors.ts";
import type { VolumeRecord } from "../../metadata/native/mod.ts";
import { type ForwardMap, mappedChunks, newestSnapshot } from "../core/mod.ts";
import {
  flushMembers,
  giveBackAhead,
  type PoolBase,
  type VolumeParts,
} from "../io/mod.ts";
import type { Collector } from "./collector.ts";
import { Job, type Jobs } from "./jobs.ts";
import { rolledBack, withTaken } from "./snapshot_records.ts";
import { FreedInTurns, sweepAll, UnseenSweep } from "./sweeps.ts";
import {
  assertHasVolumes,
  assertNewName,
  clonesOf,
  type RunChange,
  type SnapshotName,
  snapshotNamed,
  type VolumeHooks,
  volumeNamed,
  withRecord,
} from "./volume_list.ts";
import {
  planSnapshotRemoval,
  type SnapshotRemovalPlan,
} from "./volume_status.ts";

/** Snapshots of a volume that are being removed. */
interface RemovedSnapshots {
  readonly parts: VolumeParts;
  readonly snapshots: VolumeRecord["snapshots"];
}

/** How to roll a volume back. */
export interface RollbackOptions {
  /** Also remove the snapshots that are newer; default false. */
  readonly removesNewer?: boolean;
}

/** What changes of snapshots and volumes use beside the pool. */
export interface ChangeTools {
  /** Opens and closes volumes. */
  readonly hooks: VolumeHooks;
  /** Frees what removed volumes and snapshots leave. */
  readonly collector: Collector;
  /** Shows how far long changes are. */
  readonly jobs: Jobs;
}

/** The changes of the snapshots of an open pool. */
export class SnapshotChanges {
  readonly #base: PoolBase;
  readonly #run: RunChange;
  readonly #tools: ChangeTools;

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
   * Takes snapshots, all at one instant. They hold every write that was
   * acknowledged before, durably.
   *
   * @param wanted The snapshots, of different volumes.
   * @throws {VirstorError} `invalid`, `exists`, `not-found`, `no-space` if the
   *   superblock has no room for them, `unsupported` in format 1: nothing has
   *   changed. `failed`.
   */
  take(wanted: readonly SnapshotName[]): Promise<void> {
    return this.#run(async () => {
      assertHasVolumes(this.#base, "take a snapshot");
      const taken = this.#assertMayTake(wanted);
      const { format } = this.#base;
      const created = Date.now();
      // Before an epoch begins: chunks that are copied then are of the next one.
      format.assertFits(withTaken(format.records, taken, created));
      // The next epoch begins before the superblocks list the snapshot.
      await format.listVolumes();
      await flushMembers(this.#base);
      // From here on nothing is awaited until no mapping is written to that a
      // snapshot sees: all snapshots are of one instant.
      const records = withTaken(format.records, taken, created);
      for (const { parts } of taken) {
        const { map } = parts;
        // They hold nothing, and a snapshot would keep them.
        giveBackAhead(parts, map.ahead);
        const { epoch } = map;
        map.setEpoch(epoch + 1);
        map.share(epoch);
      }
      // Mappings that became provisional during the first flush are the
      // snapshots' now: without this an open after a power cut drops them, and
      // a snapshot that a backup has read would change.
      await flushMembers(this.#base);
      try {
        await format.setVolumes(records);
      } catch (error) {
        // If superblocks may list them, so do the records, and nothing changes
        // here. Else the chunks are the volumes' own again; that the epoch has
        // advanced harms nothing (V9).
        for (const { parts: { map, record } } of taken) {
          map.share(newestSnapshot(record));
        }
        throw error;
      }
    });
  }

  /**
   * What {@linkcode removeSome} would do.
   *
   * @param wanted The snapshots.
   * @returns The snapshots, and how much would be free.
   * @throws {VirstorError} `not-found`, also if one is removed meanwhile;
   *   `unsupported` in format 1.
   */
  async planRemoval(
    wanted: readonly SnapshotName[],
  ): Promise<SnapshotRemovalPlan> {
    assertHasVolumes(this.#base, "remove a snapshot");
    return await planSnapshotRemoval(this.#base, wanted);
  }

  /**
   * Removes a snapshot, and frees the chunks that only it saw.
   *
   * @param volume The name of the volume.
   * @param snapshot The name of the snapshot.
   * @returns How many chunks were freed, once they are free.
   * @throws {VirstorError} As {@linkcode removeSome}.
   */
  remove(volume: string, snapshot: string): Promise<{ freedChunks: number }> {
    return this.removeSome([{ volume, snapshot }]);
  }

  /**
   * Removes snapshots, all in one step, and frees the chunks that only they
   * saw: beside the requests, and in turns with other changes.
   *
   * @param wanted The snapshots.
   * @param onRemoved Called once they are removed, durably, and before their
   *   chunks are free. The next open frees what is left then.
   * @returns How many chunks were freed, once they are free.
   * @throws {VirstorError} `invalid`, `not-found`; `exists` if one has clones:
   *   nothing has changed. `failed`; `shutdown` if the pool is closed before
   *   all is free.
   */
  async removeSome(
    wanted: readonly SnapshotName[],
    onRemoved: () => void = () => {},
  ): Promise<{ freedChunks: number }> {
    const freed = await this.#run(async () => {
      assertHasVolumes(this.#base, "remove a snapshot");
      const removed = this.#assertMayRemove(wanted);
      await this.#removeAll(removed);
      return removed.map(({ parts: { record, map }, snapshots }) =>
        this.#tools.collector.collectUnseen(
          map,
          snapshots.map(({ name }) => `${record.name}@${name}`),
        )
      );
    });
    onRemoved();
    let freedChunks = 0;
    for (const one of freed) freedChunks += await one;
    return { freedChunks };
  }

  /**
   * Makes a volume what it was when a snapshot was taken. The volume is closed
   * and opened anew: its clients have to connect again.
   *
   * @param volume The name of the volume.
   * @param snapshot The name of the snapshot.
   * @param options Whether newer snapshots are removed.
   * @throws {VirstorError} `not-found`; `exists` if there are newer snapshots
   *   and they may not be removed, or have clones: nothing has changed. `failed`.
   */
  rollback(
    volume: string,
    snapshot: string,
    { removesNewer = false }: RollbackOptions = {},
  ): Promise<void> {
    return this.#run(async () => {
      assertHasVolumes(this.#base, "roll a volume back");
      const parts = volumeNamed(this.#base, volume, "roll back");
      const { record, map } = parts;
      const one = snapshotNamed(parts, snapshot, "roll back to");
      const what = `roll back to "${this.#nameOf(volume, snapshot)}"`;
      const newer = record.snapshots.filter(({ epoch }) => epoch > one.epoch);
      if (newer.length > 0 && !removesNewer) {
        throw new VirstorError(
          "exists",
          `Cannot ${what}: there are newer snapshots: ` +
            quoted(newer.map((each) => this.#nameOf(volume, each.name))),
        );
      }
      for (const { name, epoch } of newer) {
        const each = this.#nameOf(volume, name);
        this.#assertNoClones(record, epoch, `${what}: snapshot "${each}"`);
      }
      const after = rolledBack(record, map, one);
      const { format } = this.#base;
      // Before the volume is closed: its clients would notice.
      format.assertFits(withRecord(format.records, after));
      await this.#tools.hooks.close(record.id);
      try {
        await this.#endEpochs(after, map);
      } catch (error) {
        // Nothing was written, or the pool has failed.
        this.#tools.hooks.open(map);
        throw error;
      }
      await this.#closeAll(record, newer);
      const name = `${volume}@${snapshot}`;
      const job = new Job("rollback", [name], () => map.mapped);
      await this.#tools.jobs.show(job, async () => {
        await this.#restore(map, one.epoch, job);
        map.resize(one.size / this.#base.settings.chunkSize);
        this.#tools.hooks.open(map);
        // Now, and not later: old versions of the epochs that are dead are newer
        // than current ones, and a new snapshot would see them.
        const rest = new Job("free", [name], () => map.old.chunks);
        await sweepAll(new UnseenSweep(this.#base, map, rest));
      });
      await flushMembers(this.#base);
    });
  }

  /** Finds the snapshots to remove, by their volumes. */
  #assertMayRemove(wanted: readonly SnapshotName[]): RemovedSnapshots[] {
    if (wanted.length === 0) {
      throw new VirstorError("invalid", "Cannot remove no snapshots");
    }
    const groups = Map.groupBy(wanted, ({ volume }) => volume);
    return Array.from(groups, ([volume, its]) => {
      const parts = volumeNamed(this.#base, volume, "remove a snapshot of");
      const { record } = parts;
      const snapshots = its.map(({ snapshot }) => {
        const one = snapshotNamed(parts, snapshot, "remove");
        const name = this.#nameOf(volume, snapshot);
        this.#assertNoClones(record, one.epoch, `remove "${name}": it`);
        return one;
      });
      return { parts, snapshots: [...new Set(snapshots)] };
    });
  }

  #assertMayTake(
    wanted: readonly SnapshotName[],
  ): { parts: VolumeParts; name: string }[] {
    if (wanted.length === 0) {
      throw new VirstorError("invalid", "Cannot take no snapshots");
    }
    return wanted.map(({ volume, snapshot: name }, index) => {
      const what = `take snapshot "${this.#nameOf(volume, name)}"`;
      const parts = volumeNamed(
        this.#base,
        volume,
        "take a snapshot of volume",
      );
      if (wanted.findIndex((one) => one.volume === volume) !== index) {
        throw new VirstorError(
          "invalid",
          `Cannot ${what}: one snapshot of a volume at a time`,
        );
      }
      assertNewName(name, parts.record.snapshots.map((one) => one.name), what);
      return { parts, name };
    });
  }

  /** Refuses to remove a snapshot that has clones. */
  #assertNoClones({ id }: VolumeRecord, epoch: number, what: string): void {
    const clones = clonesOf(this.#base.format.records, id, epoch);
    if (clones.length === 0) return;
    const names = quoted(clones.map((one) => this.#nameOf(one.name)));
    throw new VirstorError(
      "exists",
      `Cannot ${what} has clones (${names}), flatten or remove them first`,
    );
  }

  async #removeAll(removed: readonly RemovedSnapshots[]): Promise<void> {
    const { format } = this.#base;
    let { records } = format;
    for (const { parts: { record }, snapshots } of removed) {
      const rest = record.snapshots.filter((one) => !snapshots.includes(one));
      records = withRecord(records, { ...record, snapshots: rest });
    }
    await format.setVolumes(records);
    for (const { parts, snapshots } of removed) {
      // From here on no disk of them is opened; reads in flight end first.
      await this.#closeAll(parts.record, snapshots);
      parts.map.share(newestSnapshot(parts.record));
      // What waits for a copy may need none any more.
      parts.firstWrites.resume();
    }
  }

  /** Closes the disks of removed snapshots, before their chunks are freed. */
  async #closeAll(
    { id }: VolumeRecord,
    snapshots: VolumeRecord["snapshots"],
  ): Promise<void> {
    for (const { epoch } of snapshots) {
      await this.#tools.hooks.closeSnapshot(id, epoch);
    }
  }

  /** Records that no view sees what was born after a snapshot. */
  async #endEpochs(after: VolumeRecord, map: ForwardMap): Promise<void> {
    const { format } = this.#base;
    await format.setVolumes(withRecord(format.records, after));
    map.setEpoch(after.epoch);
    map.share(newestSnapshot(after));
  }

  /** Maps what the snapshot sees, and frees what was born after it. */
  async #restore(map: ForwardMap, epoch: number, job: Job): Promise<void> {
    const freed = new FreedInTurns(this.#base, job);
    for (const v of mappedChunks(map)) {
      const component = map.component(v);
      job.done++;
      if (component !== undefined && map.birth(v) > epoch) {
        const chunk = map.chunk(v);
        const version = map.old.find(v, epoch);
        if (version === undefined) map.delete(v);
        else {
          map.old.delete(v, version);
          map.set(v, version.component, version.chunk, version.birth);
        }
        freed.add({ component, chunk });
      }
      if (freed.endsTurn()) await freed.turn();
    }
    freed.end();
  }

  #nameOf(volume: string, snapshot = ""): string {
    return nameOf(this.#base.settings.name, volume, snapshot);
  }
}
