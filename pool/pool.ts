/**
 * An open pool: components, the space on them, and the queue of changes. Its
 * volumes are the block devices; see {@linkcode Volume}.
 *
 * @module
 */

import {
  type Component,
  type EventHub,
  failedPool,
  type Finding,
  type MissedEvents,
  type PoolEvent,
  type PoolSettings,
  type VolumeState,
} from "./core/mod.ts";
import {
  type AddOptions,
  type AddResult,
  describeVolumes,
  type GrowResult,
  type LiveSettings,
  planRemoval,
  type RemoveOptions,
  type RemovePlan,
  type RemoveResult,
  type ResizeOptions,
  type ResumeOptions,
  type SnapshotChanges,
  type VolumeChanges,
  type VolumeStatus,
} from "./change/mod.ts";
import type { PoolFormat } from "./format/mod.ts";
import type { ChangedRange } from "./changed_ranges.ts";
import { OpenParts } from "./open_parts.ts";
import { PoolView } from "./pool_view.ts";
import type { SnapshotDisk } from "./snapshot_disk.ts";
import type { PoolStatus } from "./status.ts";
import type { Volume } from "./volume.ts";

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
  readonly #parts: OpenParts;
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
    this.#parts = new OpenParts(settings, format, volumes);
    this.view = new PoolView(this.#parts.base);
    this.volumeChanges = this.#parts.volumeChanges;
    this.snapshotChanges = this.#parts.snapshotChanges;
  }

  /**
   * Makes the first free chunks ready, where that costs nothing, so that the
   * first write does not wait; goes on with what a stop left half way.
   *
   * @internal
   * @param freed Unmapped chunks that are not free yet.
   * @param evacuation What becomes of an evacuation that was under way.
   */
  begin(
    freed: ReadonlyMap<Component, readonly number[]>,
    evacuation?: ResumeOptions,
  ): Promise<void> {
    return this.#parts.begin(freed, evacuation);
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
    return this.#parts.volumes.find(name);
  }

  /** The volumes of the pool; the first one has the pool's name. */
  get volumes(): readonly Volume[] {
    return this.#parts.volumes.all;
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
    return this.#parts.volumes.snapshotDisk(volume, snapshot);
  }

  /**
   * Describes the volumes and their snapshots. It looks at every chunk, a slice
   * at a time.
   *
   * @returns The volumes, the first one first.
   */
  describeVolumes(): Promise<VolumeStatus[]> {
    return describeVolumes(this.#parts.base);
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
    return this.#parts.volumes.diff(volume, from, to);
  }

  /**
   * Subscribes to the events of the pool, from the next one on. Several
   * subscribers may read at the same time, each at its own pace. 256 events
   * wait for a subscriber at most: then the pool drops the oldest, and the
   * subscriber next reads how many it has missed. What the kinds of events mean
   * is in [docs/library.md](../docs/library.md#events).
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
    const { hosts, format } = this.#parts.base;
    await hosts.look(format.members);
  }

  /**
   * Describes the state of the pool.
   *
   * @returns A snapshot.
   */
  status(): PoolStatus {
    return this.#parts.status();
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
    return this.#parts.control.add(paths, options);
  }

  /**
   * Takes in what the file or device of a component got.
   *
   * @param path The component.
   * @returns What it got.
   * @throws {VirstorError} `failed` if the state on disk is unknown; after any
   *   other error nothing has changed.
   */
  grow(path: string): Promise<GrowResult> {
    return this.#parts.control.grow(path);
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
    return this.#parts.control.remove(paths, options);
  }

  /**
   * What {@linkcode remove} would do.
   *
   * @param paths Which components.
   * @returns How much would move, and whether there is room for it.
   * @throws {VirstorError} `invalid` if one is no member or has to stay.
   */
  planRemove(paths: readonly string[]): RemovePlan {
    return planRemoval(this.#parts.base, paths);
  }

  /**
   * Ends an evacuation: the components stay. What was moved stays moved.
   *
   * @param paths Which ones; each is on its way out.
   * @returns Which ones stay.
   * @throws {VirstorError} `invalid` if one is not on its way out; `failed`.
   */
  cancelRemove(paths: readonly string[]): Promise<{ kept: string[] }> {
    return this.#parts.control.cancelRemove(paths);
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
    return this.#parts.control.evacuated(path);
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
    if (how.force === true) await this.#parts.collector.swept();
    return await this.#parts.control.resize(volume, virtualSize, how);
  }

  /**
   * Replaces settings until the pool is closed, also for writes that wait.
   *
   * @param live Which ones; the others stay.
   * @throws {VirstorError} `invalid`, `read-only`, `failed`, `shutdown`.
   */
  set(live: LiveSettings): Promise<void> {
    return this.#parts.control.set(live);
  }

  /**
   * Holds what is on disk against what is in memory, while I/O goes on.
   *
   * @returns What does not agree, and why the pool has failed, if it has.
   */
  async check(): Promise<Finding[]> {
    const findings = await this.#parts.control.check();
    const { state, reason } = this.status();
    return state === "failed" ? [failedPool(reason), ...findings] : findings;
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
    this.#closed ??= this.#parts.close().finally(() => this.#events.close());
    return this.#closed;
  }

  /** Stops, at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
