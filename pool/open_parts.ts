/**
 * What an open pool is made of, its volumes included: how the parts begin, what
 * they say of themselves, and how they end.
 *
 * @module
 */

import { assert } from "../errors.ts";
import {
  type Component,
  type Health,
  type PoolSettings,
  StopPatience,
  type VolumeState,
} from "./core/mod.ts";
import {
  Collector,
  Jobs,
  type PoolControl,
  type ResumeOptions,
  SnapshotChanges,
  summarizeVolumes,
  VolumeChanges,
} from "./change/mod.ts";
import { flushMembers, type PoolBase } from "./io/mod.ts";
import type { PoolFormat } from "./format/mod.ts";
import { PoolVolumes } from "./pool_volumes.ts";
import { describePool, type PoolStatus } from "./status.ts";
import { wirePool } from "./wiring.ts";

/** The parts of an open pool. */
export class OpenParts {
  /** What works on the pool. */
  readonly base: PoolBase;
  /** The open volumes. */
  readonly volumes: PoolVolumes;
  /** What changes the pool as a whole. */
  readonly control: PoolControl;
  /** Frees what snapshots and volumes have left. */
  readonly collector: Collector;
  /** Changes of the volumes. */
  readonly volumeChanges: VolumeChanges;
  /** Changes of the snapshots. */
  readonly snapshotChanges: SnapshotChanges;
  readonly #settings: PoolSettings;
  readonly #format: PoolFormat;
  readonly #health: Health;
  readonly #jobs = new Jobs();

  /**
   * Makes the parts, and opens the volumes.
   *
   * @param settings What does not change.
   * @param format The format, with the components.
   * @param volumes The volumes, and the place of each of their chunks.
   */
  constructor(
    settings: PoolSettings,
    format: PoolFormat,
    volumes: readonly VolumeState[],
  ) {
    this.#settings = settings;
    this.#format = format;
    const wiring = wirePool(settings, format);
    const { base, health, control } = wiring;
    this.base = base;
    this.control = control;
    this.#health = health;
    this.volumes = new PoolVolumes(wiring, volumes);
    const run = control.run.bind(control);
    const [{ evacuation }, jobs] = [control, this.#jobs];
    const runBeside = control.runBeside.bind(control);
    this.collector = new Collector({ base, run: runBeside, evacuation, jobs });
    const tools = { hooks: this.volumes, collector: this.collector, jobs };
    this.volumeChanges = new VolumeChanges(base, run, tools);
    this.snapshotChanges = new SnapshotChanges(base, run, tools);
  }

  /**
   * Makes the first free chunks ready, where that costs nothing, so that the
   * first write does not wait; goes on with what a stop left half way.
   *
   * @param freed Unmapped chunks that are not free yet.
   * @param evacuation What becomes of an evacuation that was under way.
   */
  async begin(
    freed: ReadonlyMap<Component, readonly number[]>,
    { paused = false, bytesPerSecond = 0 }: ResumeOptions = {},
  ): Promise<void> {
    for (const [one, chunks] of freed) this.base.freeing.add(one, chunks);
    await this.base.space.prepareFirst();
    for (const { device } of this.#format.members) device.inUse?.();
    if (!paused) this.control.evacuation.start(bytesPerSecond);
  }

  /**
   * Describes the state of the pool.
   *
   * @returns A snapshot.
   */
  status(): PoolStatus {
    return describePool({
      settings: this.#settings,
      format: this.#format,
      summaries: summarizeVolumes(this.base),
      volumes: this.volumes.all,
      evacuation: this.control.evacuation.status,
      lost: this.control.evacuation.losses.status,
      jobs: this.#jobs.status,
      state: this.#health.state,
      reason: this.#health.reason,
    });
  }

  /**
   * Stops, as `Pool.close` describes.
   *
   * @returns Done when nothing writes to the components any more.
   * @throws {VirstorError} `io` if not everything could be made durable; the
   *   components are unlocked all the same.
   */
  async close(): Promise<void> {
    const patience = new StopPatience(this.#format, this.#settings);
    try {
      await this.#end();
    } finally {
      for (const { device } of this.#format.members) await device.close();
      patience.end();
    }
  }

  async #end(): Promise<void> {
    const { space, freeing, hosts } = this.base;
    this.#health.close();
    hosts.stop();
    const ended = this.volumes.closeAll();
    freeing.stop();
    // Requests, changes and freeing are refused from here on.
    await this.control.settle();
    await this.volumeChanges.settle();
    await this.collector.settle();
    this.control.waits.end(this.#health.stopError());
    for (const one of ended) await one;
    await space.settle();
    await freeing.settle();
    for (const { requestsInFlight } of this.volumes.all) {
      assert(requestsInFlight === 0, "no request begins in a closed pool");
    }
    if (this.#health.state === "failed" || this.#settings.readOnly) return;
    await flushMembers(this.base);
    await this.#format.stop();
  }
}
