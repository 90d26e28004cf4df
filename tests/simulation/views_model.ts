/**
 * What a pool in a simulated world promises of its volumes and snapshots, for
 * changes that overlap and may be interrupted.
 *
 * A pool has one queue for the changes of its volumes, so they take effect in
 * the order in which they began: after a cut, the first of those in flight have
 * been done, and the others have not.
 *
 * @module
 */

import {
  type ModelVolume,
  type ModelVolumes,
  withVolume,
} from "../helpers/volumes_model.ts";
import { BLOCK, ModelPool } from "./model_pool.ts";

/** What a change does. */
export interface ChangeEffect {
  /** What the volumes may be after it; nothing if it must be refused. */
  readonly after: readonly ModelVolumes[];
  /** Whether it may be refused. */
  readonly mayRefuse: boolean;
}

/** A change of the volumes that has begun. */
export interface VolumesChange {
  /** What it is, for a complaint. */
  readonly what: string;
  /** The volume that a rollback opens anew: its id, and what it holds then. */
  readonly rolled?: { readonly id: number; readonly disk: ModelPool };
  /** The volume as the rollback has opened it, once it is seen. */
  device?: object;

  /**
   * What it does, when it is its turn.
   *
   * @param before The volumes.
   * @returns What may become of them.
   */
  effect(before: ModelVolumes): ChangeEffect;
}

/** The volumes that a pool may have. */
export class ViewsModel {
  /** One; several only after a cut, until it is known what is there. */
  #candidates: readonly ModelVolumes[];
  /** The changes in flight, in their order. */
  #pending: VolumesChange[] = [];
  /** What each device that was seen holds. */
  #devices = new WeakMap<object, ModelPool>();

  /**
   * Creates a model.
   *
   * @param candidates What the volumes may be.
   */
  constructor(...candidates: readonly ModelVolumes[]) {
    this.#candidates = candidates;
  }

  /** The volumes when the changes in flight began. */
  get volumes(): ModelVolumes {
    const [volumes] = this.#candidates;
    if (volumes === undefined) throw new Error("A pool has volumes");
    return volumes;
  }

  /** Whether a change is in flight. */
  get isChanging(): boolean {
    return this.#pending.length > 0;
  }

  /** Whether there is one volume, without snapshots, and nothing else. */
  get isPlain(): boolean {
    return this.outcomes.every(([first, ...more]) =>
      more.length === 0 && first?.snapshots.length === 0
    );
  }

  /** All that the volumes may be, if nothing is waited for. */
  get outcomes(): ModelVolumes[] {
    let last = [...this.#candidates];
    const all = [...last];
    for (const change of this.#pending) {
      last = last.flatMap((before) => {
        const { after, mayRefuse } = change.effect(before);
        return after.length === 0 || mayRefuse ? [...after, before] : after;
      });
      all.push(...last);
    }
    return all;
  }

  /**
   * A change begins. From now on it may be seen.
   *
   * @param change The change.
   */
  begin(change: VolumesChange): void {
    this.#pending.push(change);
  }

  /**
   * A change was done.
   *
   * @param change The change.
   * @param isSo Whether the volumes are this, where they may be several things.
   * @returns Whether it belongs to this process.
   * @throws {Error} If it had to be refused.
   */
  done(
    change: VolumesChange,
    isSo: (volumes: ModelVolumes) => boolean = () => true,
  ): boolean {
    if (!this.#end(change)) return false;
    const { after } = change.effect(this.volumes);
    if (after.length === 0) throw new Error(`Not refused: ${change.what}`);
    const found = after.find(isSo);
    if (found === undefined) {
      throw new Error(`It is not what is there after "${change.what}"`);
    }
    this.#candidates = [found];
    return true;
  }

  /**
   * A change was refused.
   *
   * @param change The change.
   * @param error How.
   * @throws {Error} If it must not be.
   */
  refused(change: VolumesChange, error: unknown): void {
    if (!this.#end(change)) return;
    const { after, mayRefuse } = change.effect(this.volumes);
    if (after.length === 0 || mayRefuse) return;
    throw new Error(`"${change.what}" was refused: ${error}`);
  }

  /**
   * A change will not take place: the pool is closed, or has no room.
   *
   * @param change The change.
   */
  dropped(change: VolumesChange): void {
    this.#end(change);
  }

  #end(change: VolumesChange): boolean {
    const at = this.#pending.indexOf(change);
    if (at < 0) return false;
    this.#pending.splice(at, 1);
    const { device, rolled } = change;
    if (device !== undefined && rolled !== undefined) {
      this.#devices.set(device, rolled.disk);
    }
    return true;
  }

  /**
   * Changes what is known of a volume.
   *
   * @param id The volume.
   * @param known What is known of it now.
   */
  note(id: number, known: Partial<ModelVolume>): void {
    this.#candidates = this.#candidates.map((volumes) => {
      const one = volumes.find((volume) => volume.id === id);
      return one === undefined
        ? volumes
        : withVolume(volumes, { ...one, ...known });
    });
  }

  /**
   * What a volume holds. A device that was not seen before is what the first
   * rollback in flight has opened.
   *
   * @param volume The volume.
   * @param device Where requests to it go; undefined if it is closed.
   * @returns The disk.
   */
  diskOf({ id, disk }: ModelVolume, device: object | undefined): ModelPool {
    if (device === undefined) return disk;
    const known = this.#devices.get(device);
    if (known !== undefined) return known;
    const change = this.#pending.find(({ rolled, device }) =>
      rolled?.id === id && device === undefined
    );
    if (change !== undefined) change.device = device;
    const its = change?.rolled?.disk ?? disk;
    this.#devices.set(device, its);
    return its;
  }

  /**
   * What a volume of the pool holds.
   *
   * @param device The volume, open or closed.
   * @returns The disk; a new one if the volume was removed.
   */
  modelOf(device: { readonly name: string; readonly size: number }): ModelPool {
    const volume = this.volumes.find(({ name }) => name === device.name);
    // Of one that was removed nothing is promised.
    return volume === undefined
      ? new ModelPool(device.size / BLOCK)
      : this.diskOf(volume, device);
  }

  /** All disks that the volumes may have when their turn comes. */
  get disks(): ModelPool[] {
    return this.volumes.flatMap((volume) => this.disksOf(volume));
  }

  /**
   * All disks that a volume may have when its turn comes.
   *
   * @param volume The volume.
   * @returns What it has, and what rollbacks in flight will give it.
   */
  disksOf({ id, disk }: ModelVolume): ModelPool[] {
    const rolled = this.#pending.flatMap(({ rolled }) =>
      rolled?.id === id ? [rolled.disk] : []
    );
    return [disk, ...rolled];
  }

  /** The process is gone: what is in flight never ends. */
  abandon(): void {
    this.#candidates = this.outcomes;
    this.#pending = [];
    this.#devices = new WeakMap();
    for (const disk of this.#allDisks) disk.abandon();
  }

  /** The power went: what was not flushed may be lost. */
  lose(): void {
    for (const disk of this.#allDisks) disk.lose();
  }

  /**
   * It is known what there is.
   *
   * @param volumes The volumes.
   */
  settle(volumes: ModelVolumes): void {
    this.#candidates = [volumes];
    this.#pending = [];
  }

  /**
   * A copy that goes its own way; what is in flight never ends there.
   *
   * @returns The copy.
   */
  clone(): ViewsModel {
    const disks = new Map<ModelPool, ModelPool>();
    const contents = new Map<unknown, Set<number>[]>();
    const diskOf = (disk: ModelPool) => copyOf(disks, disk, () => disk.clone());
    return new ViewsModel(
      ...this.outcomes.map((volumes) =>
        volumes.map((volume) => ({
          ...volume,
          disk: diskOf(volume.disk),
          snapshots: volume.snapshots.map((one) => ({
            ...one,
            // What is known of a block is replaced, and never changed.
            contents: copyOf(contents, one.contents, () => [...one.contents]),
          })),
        }))
      ),
    );
  }

  get #allDisks(): Set<ModelPool> {
    return new Set(this.#candidates.flat().map(({ disk }) => disk));
  }
}

function copyOf<K, V>(copies: Map<K, V>, key: K, copy: () => V): V {
  const known = copies.get(key);
  if (known !== undefined) return known;
  const made = copy();
  copies.set(key, made);
  return made;
}
