/**
 * The chunks that are set aside for volumes: other volumes cannot take the last
 * ones.
 *
 * @module
 */

import type { Space } from "../space/mod.ts";

/** A volume that may have chunks set aside. */
export interface ReserveHolder {
  /** How many chunks are set aside for it, used or not. */
  readonly reserveChunks: number;
  /** How many chunks it uses. */
  readonly used: number;
}

/** The reserves of all volumes of a pool. */
export class Reserves {
  readonly #space: Pick<Space, "free">;
  /** By the number of the volume; only those with a reserve. */
  readonly #holders = new Map<number, ReserveHolder>();

  /**
   * Starts with nothing set aside.
   *
   * @param space The free chunks.
   */
  constructor(space: Pick<Space, "free">) {
    this.#space = space;
  }

  /**
   * Notes what is set aside for a volume, in place of what was before.
   *
   * @param volume The number of the volume.
   * @param holder The volume; undefined if it is removed.
   */
  set(volume: number, holder: ReserveHolder | undefined): void {
    if (holder === undefined || holder.reserveChunks === 0) {
      this.#holders.delete(volume);
    } else this.#holders.set(volume, holder);
  }

  /** How many chunks are set aside that their volumes do not use yet. */
  get lacking(): number {
    return this.#lackOf(undefined);
  }

  /**
   * Counts the free chunks that are not set aside for other volumes.
   *
   * @param volume The number of the volume that asks.
   * @returns How many; below 0 if more is set aside than is free.
   */
  freeFor(volume: number): number {
    return this.#space.free - this.#lackOf(volume);
  }

  /**
   * Whether a volume may take a free chunk, if there is one.
   *
   * @param volume The number of the volume.
   * @returns Whether it may.
   */
  allow(volume: number): boolean {
    return this.#holders.size === 0 || this.freeFor(volume) > 0;
  }

  #lackOf(other: number | undefined): number {
    let lack = 0;
    for (const [number, { reserveChunks, used }] of this.#holders) {
      if (number !== other) lack += Math.max(0, reserveChunks - used);
    }
    return lack;
  }
}
