/**
 * An open pool: components, the space on them, and the queue of changes. Its
 * volumes are the block devices; see {@linkcode Volume}.
 *
 * @module
 */

import { assert } from "../errors.ts";
import {
  type Component,
  type EventHub,
  type Finding,
  type Health,
  type MissedEvents,
  type PoolEvent,
  type PoolSettings,
  StopPatience,
  type VolumeState,
} from "./core/mod.ts";
import {
  type AddOptions,
  type AddResult,
  Collector,
  describeVolumes,
  type GrowResult,
  Jobs,
  type LiveSettings,
  planRemoval,
  type PoolControl,
  type RemoveOptions,
  type RemovePlan,
  type RemoveResult,
  type ResizeOptions,
  type ResumeOptions,
  SnapshotChanges,
  summarizeVolumes,
  VolumeChanges,
  type VolumeStatus,
} from "./change/mod.ts";
import { flushMembers, type PoolBase } from "./io/mod.ts";
import type { PoolFormat } from "./format/mod.ts";
import type { ChangedRange } from "./changed_ranges.ts";
import { PoolView } from "./pool_view.ts";
import { PoolVolumes } from "./pool_volumes.ts";
import type { SnapshotDisk } from "./snapshot_disk.ts";
import { describePool, type PoolStatus } from "./status.ts";
import type { Volume } from "./volume.ts";
import { wirePool } from "./wiring.ts";

/** A pool that is open, with its components locked. */
export class Pool {
  /** The settings; {@linkcode set} replaces some of them. */
  readonly settings: PoolSettings;
  /** Changes of the volumes: create, remove, rename, clone, flatten. */
  readonly volumeChanges: VolumeChanges;
  /** Changes of the snapshots: take, remove, roll back. */
  readonly snapshotChanges: SnapshotChanges;
  /** @internal What can be shown besides the status. */
  readonly view: PoolView;
  readonly #events: EventHub;
  readonly #format: PoolFormat;
  readonly #base: PoolBase;
  readonly #volumes: PoolVolumes;
  readonly #control: PoolControl;
  readonly #health: Health;
  readonly #jobs = new Jobs();
  readonly #collector: Collector;
  #closed: Promise<void> | undefined;

  /**
   * Takes over what {@linkcode openPool} has read and put right.
   *
   * @internal
   * @param settings What does not change.
   * @param events Hands out the events that the settings receive.
   * @param format The format, with the components.
   * @param volumes The volumes, and the place of each of their chunks.
   */
  constructor(
    settings: PoolSettings,
    events: EventHub,
    format: PoolFormat,
    volumes: readonly VolumeState[],
  ) {
    this.settings = settings;
    this.#events = events;
    this.#format = format;
    const wiring = wirePool(settings, format);
    const { base, health, control } = wiring;
    [this.#health, this.#control, this.#base] = [health, control, base];
    this.view = new PoolView(base);
    this.#volumes = new PoolVolumes(wiring, volumes);
    const run = control.run.bind(control);
    const [{ evacuation }, jobs] = [control, this.#jobs];
    const runBeside = control.runBeside.bind(control);
    this.#collector = new Collector({ base, run: runBeside, evacuation, jobs });
    const tools = { hooks: this.#volumes, collector: this.#collector, jobs };
    this.volumeChanges = new VolumeChanges(base, run, tools);
    this.snapshotChanges = new SnapshotChanges(base, run, tools);
  }

  /**
   * Makes the first free chunks ready, where that costs nothing, so that the
   * first write does not wait; goes on with what a stop left half way.
   *
   * @internal
   * @param freed Unmapped chunks that are not free yet.
   * @param evacuation What becomes of an evacuation that was under way.
   */
  async begin(
    freed: ReadonlyMap<Component, readonly number[]>,
    { paused = false, bytesPerSecond = 0 }: ResumeOptions = {},
  ): Promise<void> {
    for (const [one, chunks] of freed) this.#base.freeing.add(one, chunks);
    await this.#base.space.prepareFirst();
    for (const { device } of this.#format.members) device.inUse?.();
    if (!paused) this.#control.evacuation.start(bytesPerSecond);
  }

  /** The pool's name. */
  get name(): string {
    return this.settings.name;
  }

  /** Tells pools of the same name apart: a UUID, or a number. */
  get id(): string {
    return this.settings.id;
  }

  /**
   * Finds a volume.
   *
   * @param name The volume's name; the first volume unless given.
   * @returns The volume: a block device.
   * @throws {VirstorError} `not-found` if the pool has no volume of that name;
   *   `busy` while the volume is rolled back.
   */
  volume(name?: string): Volume {
    return this.#volumes.find(name);
  }

  /** The volumes of the pool; the first one has the pool's name. */
  get volumes(): readonly Volume[] {
    return this.#volumes.all;
  }

  /**
   * What a volume was when a snapshot was taken.
   *
   * @param volume The name of the volume.
   * @param snapshot The name of the snapshot.
   * @returns A read-only block device, the same one each time.
   * @throws {VirstorError} `not-found`.
   */
  snapshotDisk(volume: string, snapshot: string): SnapshotDisk {
    return this.#volumes.snapshotDisk(volume, snapshot);
  }

  /**
   * Describes the volumes and their snapshots. It looks at every chunk, a slice
   * at a time.
   *
   * @returns The volumes, the first one first.
   */
  describeVolumes(): Promise<VolumeStatus[]> {
    return describeVolumes(this.#base);
  }

  /**
   * Finds what a volume has changed since a snapshot.
   *
   * @param volume The name of the volume.
   * @param from The name of the snapshot.
   * @param to The name of a newer snapshot; what the volume is now unless given.
   * @returns The ranges that may differ, in order, whole chunks.
   * @throws {VirstorError} `not-found`.
   */
  diff(volume: string, from: string, to?: string): Promise<ChangedRange[]> {
    return this.#volumes.diff(volume, from, to);
  }

  /**
   * Subscribes to the events of the pool, from the next one on. Several
   * subscribers may read at the same time, each at its own pace. 256 events
   * wait for a subscriber at most: then the pool drops the oldest, and the
   * subscriber next reads how many it has missed.
   *
   * @returns The events. They end when the pool is closed, and when the loop
   *   that reads them ends (or `return()` is called).
   */
  events(): AsyncIterableIterator<PoolEvent | MissedEvents> {
    return this.#events.subscribe();
  }

  /**
   * Looks how much room the host's file systems have, for
   * {@linkcode status}. Does not wait long for a file system that hangs.
   */
  async lookAtHosts(): Promise<void> {
    await this.#base.hosts.look(this.#format.members);
  }

  /**
   * Describes the state of the pool.
   *
   * @returns A snapshot.
   */
  status(): PoolStatus {
    return describePool({
      settings: this.settings,
      format: this.#format,
      summaries: summarizeVolumes(this.#base),
      volumes: this.volumes,
      evacuation: this.#control.evacuation.status,
      lost: this.#control.evacuation.losses.status,
      jobs: this.#jobs.status,
      state: this.#health.state,
      reason: this.#health.reason,
    });
  }

  /**
   * Adds components, in one atomic step, and lets waiting writes go on.
   *
   * @param paths Where they are.
   * @param options How.
   * @returns What was added.
   * @throws {VirstorError} `invalid`, `exists`, `not-found`, `busy`: nothing
   *   has changed then. `failed`: no more writes are taken.
   */
  add(paths: readonly string[], options: AddOptions = {}): Promise<AddResult> {
    return this.#control.add(paths, options);
  }

  /**
   * Takes in what the file or device of a component got. Throws `failed` if the
   * state on disk is unknown; else nothing has changed.
   * @param path The component.
   * @returns What it got.
   */
  grow(path: string): Promise<GrowResult> {
    return this.#control.grow(path);
  }

  /**
   * Removes components, in one atomic step. Those that hold chunks are
   * evacuated first, beside the requests, if need be by the next open.
   * {@linkcode status} tells how far it is.
   *
   * @param paths Which ones.
   * @param options How.
   * @returns Which ones were removed, and which ones will be.
   * @throws {VirstorError} `invalid` if one is no member or has to stay,
   *   `no-space` if the others have no room: nothing has changed then.
   *   `failed`: no more writes are taken.
   */
  remove(
    paths: readonly string[],
    options: RemoveOptions = {},
  ): Promise<RemoveResult> {
    return this.#control.remove(paths, options);
  }

  /**
   * What {@linkcode remove} would do.
   *
   * @param paths Which components.
   * @returns How much would move, and whether there is room for it.
   * @throws {VirstorError} `invalid` if one is no member or has to stay.
   */
  planRemove(paths: readonly string[]): RemovePlan {
    return planRemoval(this.#base, paths);
  }

  /**
   * Ends an evacuation: the components stay. What was moved stays moved.
   *
   * @param paths Which ones; each is on its way out.
   * @returns Which ones stay.
   * @throws {VirstorError} `invalid` if one is not on its way out; `failed`.
   */
  cancelRemove(paths: readonly string[]): Promise<{ kept: string[] }> {
    return this.#control.cancelRemove(paths);
  }

  /**
   * Waits until a component that is being removed has been evacuated and has
   * left the pool. The wait also ends when the removal does not go on. A rejection
   * that the caller drops does not end the program.
   *
   * @param path The component, as {@linkcode remove} and {@linkcode status}
   *   give it.
   * @returns Resolves when the component has left, at once if it has already.
   * @throws {VirstorError} `invalid` if the component is not being removed,
   *   `not-found` if there is no such file; `cancelled` if it stays; `io` if an
   *   error has stopped the evacuation; `failed`, `shutdown` if the pool takes
   *   no more changes.
   */
  evacuated(path: string): Promise<void> {
    return this.#control.evacuated(path);
  }

  /**
   * Gives a volume another size, in one atomic step. Connections that are open
   * learn of it when they connect again.
   *
   * @param virtualSize Bytes, rounded up to whole chunks.
   * @param options Which volume, and whether it may become smaller.
   * @returns Its size.
   * @throws {VirstorError} `invalid`, `unsupported` in format 1: nothing has
   *   changed then. `failed`: no more writes are taken.
   */
  async resize(
    virtualSize: number,
    options: ResizeOptions & { readonly volume?: string } = {},
  ): Promise<{ virtualSize: number }> {
    const { volume = this.volume().name, ...how } = options;
    // Only a volume without old versions can become smaller.
    if (how.force === true) await this.#collector.swept();
    return await this.#control.resize(volume, virtualSize, how);
  }

  /**
   * Replaces settings until the pool is closed, also for writes that wait.
   *
   * @param live Which ones; the others stay.
   * @throws {VirstorError} `invalid`, `read-only`, `failed`, `shutdown`.
   */
  set(live: LiveSettings): Promise<void> {
    return this.#control.set(live);
  }

  /**
   * Holds what is on disk against what is in memory, while I/O goes on.
   *
   * @returns What does not agree.
   */
  check(): Promise<Finding[]> {
    return this.#control.check();
  }

  /** Writes that wait for space fail with `shutdown`, and so do later ones. */
  endWaiting(): void {
    for (const one of this.volumes) one.endWaiting();
  }

  /**
   * Stops. The pool refuses new requests and changes with `shutdown`, and so
   * ends writes that wait for space, changes that wait for their turn, and
   * discards and zeroing between two turns. The pool waits for the requests in
   * flight, the change that has begun and the chunks that are being freed or
   * made ready, makes everything durable, brings the labels up to date and
   * unlocks the components.
   *
   * @returns Done when nothing writes to the components any more.
   * @throws {VirstorError} `io` if not everything could be made durable; the
   *   components are unlocked all the same.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close().finally(() => this.#events.close());
    return this.#closed;
  }

  /** Stops, at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const patience = new StopPatience(this.#format, this.settings);
    try {
      await this.#end();
    } finally {
      for (const { device } of this.#format.members) await device.close();
      patience.end();
    }
  }

  async #end(): Promise<void> {
    const { space, freeing, hosts } = this.#base;
    this.#health.close();
    hosts.stop();
    const ended = this.#volumes.closeAll();
    freeing.stop();
    // Requests, changes and freeing are refused from here on.
    await this.#control.settle();
    await this.volumeChanges.settle();
    await this.#collector.settle();
    this.#control.waits.end(this.#health.stopError());
    for (const one of ended) await one;
    await space.settle();
    await freeing.settle();
    for (const { requestsInFlight } of this.volumes) {
      assert(requestsInFlight === 0, "no request begins in a closed pool");
    }
    if (this.#health.state === "failed" || this.settings.readOnly) return;
    await flushMembers(this.#base);
    await this.#format.stop();
  }
}
