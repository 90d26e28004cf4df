/**
 * What bounds the chunks of a volume: its quota, the reserves of other volumes,
 * and what its writes do where there is no chunk for them.
 *
 * @module
 */

import { inBytes, nameOf, VirstorError } from "../../errors.ts";
import type { VolumeRecord } from "../../metadata/native/mod.ts";
import type { ForwardMap, FullPolicy, PoolSettings } from "../core/mod.ts";
import type { FullPool } from "./full_pool.ts";
import type { ReserveHolder, Reserves } from "./reserves.ts";

/** What the limits of a volume work with. */
export interface VolumeLimitParts {
  /** The settings of the pool. */
  readonly settings: PoolSettings;
  /** What writes do when no chunk is free. */
  readonly full: FullPool;
  /** The reserves of all volumes. */
  readonly reserves: Reserves;
}

/** The limits of a volume. */
export class VolumeLimits implements ReserveHolder {
  readonly #parts: VolumeLimitParts;
  readonly #map: ForwardMap;
  readonly #copying: () => number;
  #record: VolumeRecord;
  /** The most chunks that the volume may use. */
  #quotaChunks = Infinity;
  #reserveChunks = 0;
  /** Whether it was said that writes wait for the quota. */
  #saidQuota = false;

  /**
   * Starts with the limits of a record.
   *
   * @param parts What the volume shares with the others of its pool.
   * @param map The map of the volume.
   * @param record What the superblock says of the volume.
   * @param copying Returns how many chunks copies have taken that are not done.
   */
  constructor(
    parts: VolumeLimitParts,
    map: ForwardMap,
    record: VolumeRecord,
    copying: () => number,
  ) {
    this.#parts = parts;
    this.#map = map;
    this.#copying = copying;
    this.#record = record;
    this.apply(record);
  }

  /** How many chunks the volume uses, those of its snapshots included. */
  get used(): number {
    return this.#map.mapped + this.#map.old.size + this.#copying();
  }

  /** How many chunks are set aside for the volume, used or not. */
  get reserveChunks(): number {
    return this.#reserveChunks;
  }

  /** The most chunks that the volume may use. */
  get quotaChunks(): number {
    return this.#quotaChunks;
  }

  /** How many chunks the volume may take before it reaches its quota. */
  get quotaLeft(): number {
    return Math.max(0, this.#quotaChunks - this.used);
  }

  /** How many free chunks are not set aside for other volumes. */
  get freeChunks(): number {
    return Math.max(0, this.#parts.reserves.freeFor(this.#map.volume));
  }

  /** Whether the volume has reached its quota. */
  get isAtQuota(): boolean {
    return this.used >= this.#quotaChunks;
  }

  /** Whether the volume may take a free chunk, if there is one. */
  get mayTake(): boolean {
    return !this.isAtQuota && this.#parts.reserves.allow(this.#map.volume);
  }

  /** Whether writes that wait fail, because of the policy. */
  get refuses(): boolean {
    return this.isAtQuota
      ? this.#policy === "error"
      : this.#parts.full.refuses(this.#policy);
  }

  /** Why writes wait, as in `the pool was full`. */
  get cause(): string {
    return this.isAtQuota
      ? `volume "${this.#name}" was at its quota`
      : "the pool was full";
  }

  /**
   * Takes over the limits of a record.
   *
   * @param record What the superblock says of the volume from now on.
   */
  apply(record: VolumeRecord): void {
    const { settings: { chunkSize }, reserves } = this.#parts;
    this.#record = record;
    this.#quotaChunks = record.quota === 0
      ? Infinity
      : Math.floor(record.quota / chunkSize);
    this.#reserveChunks = Math.ceil(record.reserve / chunkSize);
    reserves.set(record.id, this);
  }

  /**
   * A write is about to wait for a chunk.
   *
   * @returns Whether it waits because of the quota, or because the pool is full.
   * @throws {VirstorError} `no-space` if it may not wait.
   */
  admit(): boolean {
    if (this.refuses) throw this.error();
    const { full, reserves } = this.#parts;
    if (!this.isAtQuota) return full.admit(!reserves.allow(this.#map.volume));
    if (this.#saidQuota) return true;
    this.#saidQuota = true;
    const { onEvent, fullTimeoutSeconds } = this.#parts.settings;
    onEvent({
      kind: "delayed",
      message: `Volume "${this.#name}" has reached its quota of ` +
        `${inBytes(this.#record.quota)}: writes wait until the quota is ` +
        "raised or space is given back",
      fullTimeoutSeconds,
    });
    return true;
  }

  /** No write of the volume waits any more. */
  noneWaits(): void {
    const { full, settings } = this.#parts;
    if (this.#saidQuota) {
      this.#saidQuota = false;
      settings.onEvent({
        kind: "resumed",
        message: `No write to volume "${this.#name}" waits for its ` +
          "quota any more",
        freeChunks: full.freeChunks,
      });
    }
    full.noneWaits();
  }

  /**
   * Makes the error for a write, or other work, that finds no chunk.
   *
   * @param what What fails, as in `flatten volume "vm/a"`; a write unless given.
   * @returns The error, with code `no-space`.
   */
  error(what?: string): VirstorError {
    const { quota } = this.#record;
    if (!this.isAtQuota) {
      const { full, reserves } = this.#parts;
      return full.error(!reserves.allow(this.#map.volume), what);
    }
    return new VirstorError(
      "no-space",
      `Cannot ${what ?? `write to volume "${this.#name}"`}: its quota of ` +
        `${inBytes(quota)} is reached`,
    );
  }

  /** The name as users type it. */
  get #name(): string {
    return nameOf(this.#parts.settings.name, this.#record.name);
  }

  get #policy(): FullPolicy {
    const { onFull } = this.#record;
    return onFull === "" ? this.#parts.settings.onFull : onFull;
  }
}
