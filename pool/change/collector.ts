/**
 * Frees what removed volumes and snapshots have left, beside the requests.
 *
 * A removal is done once it is recorded. What it leaves is freed in pieces,
 * each a change of its own, so that other changes need not wait for all of it.
 * Nothing is moved until the last piece: an evacuation would look for chunks
 * that no volume has. A stop in the middle loses nothing: the next open finds
 * what nothing sees.
 *
 * @module
 */

import { abandon } from "../../device/block/mod.ts";
import {
  counted,
  inBytes,
  nameInPool,
  quoted,
  VirstorError,
} from "../../errors.ts";
import { type ForwardMap, InFlight } from "../core/mod.ts";
import type { PoolBase } from "../io/mod.ts";
import type { Evacuation } from "./evacuation.ts";
import { Job, type Jobs } from "./jobs.ts";
import { type Sweep, UnseenSweep, VolumeSweep } from "./sweeps.ts";
import type { RunChange } from "./volume_list.ts";

/** What a collector works with. */
export interface CollectorParts {
  /** The open pool. */
  readonly base: PoolBase;
  /** The queue of changes. */
  readonly run: RunChange;
  /** Is held while there is anything to free. */
  readonly evacuation: Pick<Evacuation, "hold" | "release">;
  /** Shows how far it is. */
  readonly jobs: Jobs;
}

/** Frees chunks that nothing sees any more. */
export class Collector {
  readonly #parts: CollectorParts;
  readonly #inFlight = new InFlight();
  /** The last sweep that was begun; sweeps run one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Starts with nothing to free.
   *
   * @param parts What it works with.
   */
  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  /**
   * Frees the old versions of a volume that no snapshot sees any more.
   *
   * *Requires*: a change calls this, and has recorded that a snapshot is gone.
   *
   * @param map The map of the volume.
   * @param names The snapshots, as `VOLUME@SNAPSHOT`.
   * @returns How many chunks were freed, once they are free. If the caller
   *   drops the promise, its rejection counts as handled.
   */
  collectUnseen(
    map: ForwardMap,
    names: readonly string[],
  ): Promise<number> {
    const job = new Job("free", names, () => map.old.chunks);
    return this.#collect(new UnseenSweep(this.#parts.base, map, job));
  }

  /**
   * Frees all chunks of a volume that was removed. Its number is not used again
   * before.
   *
   * *Requires*: a change calls this, no superblock lists the volume, and no
   * request of it is in flight.
   *
   * @param map The map of the volume.
   * @param name The name of the volume.
   * @returns As {@linkcode collectUnseen}.
   */
  collectVolume(map: ForwardMap, name: string): Promise<number> {
    const { base } = this.#parts;
    const all = map.mapped;
    const job = new Job("free", [name], () => all);
    base.removed.set(map.volume, map);
    return this.#collect(
      new VolumeSweep(base, map, job),
      () => base.removed.delete(map.volume),
    );
  }

  /** Waits until all is released that removals before this call have left. */
  async swept(): Promise<void> {
    await this.#last;
  }

  /** Waits until nothing is being freed, or the pool refuses to go on. */
  async settle(): Promise<void> {
    await this.#inFlight.settled();
  }

  #collect(sweep: Sweep, onSwept: () => void = () => {}): Promise<number> {
    const { evacuation, jobs } = this.#parts;
    // The change that calls this holds the evacuation: no move is in flight.
    abandon(evacuation.hold());
    const swept = this.#sweep(sweep, this.#last).then(onSwept)
      .finally(() => evacuation.release());
    this.#last = swept.catch(() => {});
    const freed = jobs.show(sweep.job, async () => {
      await swept;
      return await this.#freed(sweep.job);
    });
    abandon(this.#inFlight.track(freed.then(() => {})));
    return freed;
  }

  /** Frees all, in turns with other changes. */
  async #sweep(sweep: Sweep, before: Promise<unknown>): Promise<void> {
    await before;
    while (!await this.#parts.run(() => sweep.piece()));
  }

  /** Waits until what was released is free, and says so. */
  async #freed({ names, freed }: Job): Promise<number> {
    const { base: { freeing, settings } } = this.#parts;
    const isFree = await freeing.settledSoFar();
    const what = quoted(names.map((one) => nameInPool(settings.name, one)));
    if (!isFree) {
      throw new VirstorError(
        "shutdown",
        `Cannot free all chunks of ${what}: pool "${settings.name}" is closed`,
      );
    }
    const bytes = inBytes(freed * settings.chunkSize);
    settings.onEvent({
      kind: "freed",
      message: `Freed ${counted(freed, "chunk")} of ${what}: ${bytes}`,
      names,
      chunks: freed,
    });
    return freed;
  }
}
