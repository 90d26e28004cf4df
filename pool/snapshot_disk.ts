/**
 * A snapshot as a block device: read only.
 *
 * @module
 */

import type {
  BlockDevice,
  Completion,
  DeviceCapabilities,
  Extent,
} from "../device/block/mod.ts";
import type { Leases } from "../device/leases/mod.ts";
import { nameOf, VirstorError } from "../errors.ts";
import {
  assertInside,
  type Health,
  InFlight,
  type SnapshotView,
} from "./core/mod.ts";
import {
  leadingHole,
  mappedExtents,
  Reads,
  SnapshotLeases,
  type VolumeParts,
} from "./io/mod.ts";
import { changedContexts } from "./changed_contexts.ts";
import type { StatusContext, StatusFamily } from "./status_contexts.ts";

/** What a volume was when a snapshot was taken. */
export class SnapshotDisk implements BlockDevice {
  /** Requests may start and end at any byte. */
  readonly blockSize = 1;
  /** The disk is read-only. */
  readonly capabilities: DeviceCapabilities = {
    readOnly: true,
    discard: false,
    fastZeroes: false,
  };
  /** What clients can ask of ranges beside what has changed: nothing. */
  readonly contexts: readonly StatusContext[] = [];
  /** Tells disks of the same name apart. */
  readonly id: string;
  /** Bytes of the disk. */
  readonly size: number;

  readonly #parts: VolumeParts;
  readonly #snapshot: string;
  readonly #view: SnapshotView;
  readonly #reads: Reads;
  readonly #inFlight = new InFlight();
  #health: Health;
  #leases: SnapshotLeases | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Makes the disk of a snapshot.
   *
   * @internal
   * @param parts The volume.
   * @param view What the snapshot sees.
   * @param health Whether the pool takes requests.
   * @param identity The name of the snapshot, and an id of the disk.
   */
  constructor(
    parts: VolumeParts,
    view: SnapshotView,
    health: Health,
    { snapshot, id }: { snapshot: string; id: string },
  ) {
    const { chunkSize } = parts.base.settings;
    this.#snapshot = snapshot;
    this.id = id;
    this.size = view.virtualChunks * chunkSize;
    this.#parts = parts;
    this.#view = view;
    this.#health = health;
    const viewed = { view };
    this.#reads = new Reads(viewed, chunkSize, () => health.assertComplete());
  }

  /** The name, as `VOLUME@SNAPSHOT`; the volume may be renamed. */
  get name(): string {
    return `${this.#parts.record.name}@${this.#snapshot}`;
  }

  /** Whether a component is known to be on a rotational disk. */
  get rotational(): boolean {
    const { members } = this.#parts.base.format;
    return members.some(({ device }) => device.rotational);
  }

  /** What has changed since older snapshots. */
  get contextFamilies(): readonly StatusFamily[] {
    const { epoch } = this.#view;
    return changedContexts(this.#parts, { epoch, view: () => this.#view });
  }

  /**
   * Chunks that other threads may read by themselves.
   *
   * @internal
   */
  get leases(): Leases {
    if (this.#leases === undefined) {
      this.#leases = new SnapshotLeases(this.#parts.base, this.#view);
      if (this.#closed !== undefined) this.#leases.end();
    }
    return this.#leases;
  }

  /**
   * Reads. Chunks that the snapshot does not have read as zeroes.
   *
   * @param target The buffer to fill.
   * @param offset The offset of the first byte.
   * @returns A promise if something is not in the page cache.
   * @throws {VirstorError} `io`, `shutdown`.
   */
  read(target: Uint8Array, offset: number): Completion {
    assertInside(this, offset, target.length);
    this.#health.assertOpen();
    return this.#inFlight.track(this.#reads.read(target, offset));
  }

  /** Always throws `read-only`. */
  write(): Completion {
    throw this.#readOnly();
  }

  /** Has nothing to do: a snapshot is durable. */
  flush(): Completion {
    this.#health.assertOpen();
    return undefined;
  }

  /** Always throws `read-only`. */
  discard(): Completion {
    throw this.#readOnly();
  }

  /** Always throws `read-only`. */
  writeZeroes(): Completion {
    throw this.#readOnly();
  }

  /**
   * Tells which parts of a range hold data.
   *
   * @param offset The offset of the first byte.
   * @param length Bytes.
   * @param limit How many runs are wanted at most; all unless given.
   * @returns `hole` where the snapshot has no chunk; of the others `zero` for
   *   holes in the component's file, else `data`.
   * @throws {VirstorError} `invalid`, `shutdown`.
   */
  extents(offset: number, length: number, limit = Infinity): Extent[] {
    assertInside(this, offset, length);
    this.#health.assertOpen();
    const { missing, chunkSize } = this.#parts.base.settings;
    if (missing.length > 0) return [{ length, kind: "data" }];
    return mappedExtents({ map: this.#view, chunkSize, offset, length }, limit);
  }

  /**
   * Tells how much of a range is known at no cost to be a hole.
   *
   * @param offset The offset of the first byte.
   * @param length Bytes, above 0.
   * @returns Bytes at the start of the range that the snapshot has no chunk for.
   */
  leadingHole(offset: number, length: number): number {
    if (this.#closed !== undefined || offset + length > this.size) return 0;
    const { missing, chunkSize } = this.#parts.base.settings;
    if (missing.length > 0) return 0;
    return leadingHole({ map: this.#view, chunkSize, offset, length });
  }

  /**
   * Closes the disk; the snapshot stays.
   *
   * @returns Settles when no request is in flight.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Closes the disk, at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#health = this.#health.closedVolume(() =>
      `Snapshot "${this.#userName}"`
    );
    // From here on a thread drops what it reads.
    this.#leases?.end();
    await this.#inFlight.settled();
  }

  /** The name as users type it. */
  get #userName(): string {
    const { record, base: { settings } } = this.#parts;
    return nameOf(settings.name, record.name, this.#snapshot);
  }

  #readOnly(): VirstorError {
    return new VirstorError(
      "read-only",
      `Cannot write to "${this.#userName}": it is a snapshot`,
    );
  }
}
