/**
 * The life of a pool with volumes and snapshots on simulated disks, beside its
 * model: requests, kills, power cuts, and what must hold at any time.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  type FullPolicy,
  openPool,
  type Pool,
  type Volume,
} from "../../pool/mod.ts";
import type { SnapshotDisk } from "../../pool/snapshot_disk.ts";
import {
  differenceOf,
  type ModelSnapshot,
  type ModelVolume,
  modelVolume,
  type ModelVolumes,
  type TimedWrite,
} from "../helpers/volumes_model.ts";
import { bootIdOf, FILES } from "./in_worlds.ts";
import { BLOCK, contentOf, ModelPool } from "./model_pool.ts";
import { hasNativeMagic } from "./native_checker.ts";
import { Random } from "./random.ts";
import { SimulatedDisk, type Survivors } from "./simulated_disk.ts";
import { emptied, turn, within } from "./turns.ts";
import {
  CHUNK_BLOCKS,
  contentOfFile,
  POOL,
  VIRTUAL_CHUNKS,
} from "./volumes_files.ts";
import { checkLive } from "./world_checks.ts";
import { checkWalk } from "./volumes_walk.ts";

const TURNS_TO_SETTLE = 4000;
/** A change of the volumes that is under way. */
interface PendingChange {
  /** The volumes if it takes effect. */
  readonly after: () => ModelVolumes;
}

/** A pool, its disks and its model. */
export class VolumesLife {
  /** Where everything is kept. */
  readonly disk: SimulatedDisk;
  /** Decides everything. */
  readonly random: Random;
  /** Whether superblocks are longer than their slots, until a rollback. */
  readonly isLong: boolean;
  /** Decides which requests go through lanes, and how long these take. */
  readonly laneRandom: Random;
  /** The files, components or not. */
  readonly paths: readonly string[];
  /** What was done. */
  readonly log: string[] = [];
  /** What there is. */
  volumes: ModelVolumes;
  /** A rollback that is under way: the volume as it was, and will be. */
  rolling: { old: Volume; id: number; disk: ModelPool } | undefined;
  /** What writes do that find no chunk. */
  onFull: FullPolicy = "delay";
  /** Whether limits of a volume are being set. */
  isSetting = false;
  /** Requests on lanes: a thread learns of the end of a pool later. */
  readonly onLanes = new Set<Promise<void>>();
  /** How often limits were set, or a file system became full. */
  limitChanges = 0;

  #pool: Pool | undefined;
  #change: PendingChange | undefined;
  readonly #running = new Map<Promise<void>, AbortController>();
  /** The writes of this process. */
  readonly writes: TimedWrite[] = [];
  /** Counts what happens. */
  clock = 0;
  /** The number of the last write. */
  serial = 0;
  #fault: unknown;
  #process = 0;
  #boot = 1;
  #isClosing = false;

  /**
   * Makes a pool; it is not open.
   *
   * @param directory Where its files are.
   * @param seed Decides everything.
   * @param isLong Whether superblocks are longer than their slots.
   */
  constructor(directory: string, seed: number, isLong = false) {
    this.isLong = isLong;
    this.random = new Random(seed);
    this.laneRandom = new Random(seed + 1);
    this.disk = new SimulatedDisk({ punches: this.random.chance(80) });
    this.disk.hasColdReads = this.random.chance(50);
    this.disk.coldTurns = this.random.pick([0, 3, 40]);
    this.disk.flushTurns = this.random.pick([1, 1, 4]);
    this.paths = FILES.map((file) => `${directory}/${file}`);
    const counts = this.paths.map(() => 6 + this.random.below(14));
    for (const [index, path] of this.paths.entries()) {
      this.disk.create(path, contentOfFile(index, counts, isLong));
    }
    const disk = new ModelPool(VIRTUAL_CHUNKS * CHUNK_BLOCKS);
    this.volumes = [modelVolume(POOL, disk)];
  }

  /** The open pool. */
  get pool(): Pool {
    if (this.#pool === undefined) throw new Error("The pool is not open");
    return this.#pool;
  }

  /** Whether a change of volumes, snapshots or components is under way. */
  get isChanging(): boolean {
    return this.#change !== undefined;
  }

  /**
   * Records a fault.
   *
   * @param error What happened.
   */
  fault(error: unknown): void {
    this.#fault ??= error;
  }

  /** Throws the first fault, if there was one. */
  assertSound(): void {
    const { misused } = this.disk;
    if (misused !== "") throw new Error(misused);
    if (this.#fault !== undefined) throw this.#fault;
  }

  /**
   * Opens the pool, which may be interrupted again and again.
   *
   * @param mayCut Whether that may happen.
   */
  async open(mayCut = true): Promise<void> {
    const { disk, random } = this;
    for (let cuts = 0;; cuts++) {
      if (mayCut && cuts < 2 && random.chance(30)) {
        disk.crashAt(disk.changes + random.below(25));
      }
      const process = this.#process;
      const paths = disk.files.filter(({ bytes }) => hasNativeMagic(bytes))
        .map(({ path }) => path);
      try {
        const bootId = bootIdOf(this.#boot);
        this.#pool = await within(
          () => "The open does not end",
          openPool(paths, {
            openDevice: disk.open,
            bootId,
            onFull: this.onFull,
            onEvent: ({ kind, message }) => {
              if (process !== this.#process || disk.isDown) return;
              const isBad = kind === "failed" ||
                (kind === "evacuation-failed" && !disk.isAnyFull);
              if (isBad) this.fault(new Error(message));
            },
          }),
        );
        if (disk.isDown) throw new Error("cut");
        disk.crashAt(Infinity);
        this.#isClosing = false;
        await this.#found();
        return;
      } catch (error) {
        if (!disk.isDown) throw error;
        this.log.push("cut during open");
        this.#lose();
      }
    }
  }

  /** Kills the process, or cuts the power: everything that runs is gone. */
  #lose(): void {
    const { random, disk, log } = this;
    const isKill = random.chance(45);
    this.isSetting = false;
    this.#process++;
    this.#pool = undefined;
    this.#running.clear();
    this.onLanes.clear();
    this.writes.splice(0);
    const survivors: Survivors = isKill
      ? "all"
      : random.pick<Survivors>(["some", "some", "none"]);
    log.push(isKill ? "KILL" : `POWER CUT (${survivors} survive)`);
    if (!isKill) this.#boot++;
    disk.restart(survivors, random);
    const disks = new Set(
      [this.volumes, this.#change?.after() ?? []].flat()
        .map((one) => one.disk),
    );
    for (const one of disks) {
      one.abandon();
      if (!isKill) one.lose();
    }
  }

  /** Ends the process in one way or the other, and opens the pool again. */
  async cut(): Promise<void> {
    this.#lose();
    await this.open();
  }

  /** Holds what an open finds against what there may be. */
  async #found(): Promise<void> {
    const before = this.volumes;
    const after = this.#change?.after();
    this.#change = undefined;
    this.rolling = undefined;
    const seen = await this.pool.describeVolumes();
    const errors: string[] = [];
    for (const volumes of after === undefined ? [before] : [after, before]) {
      const difference = differenceOf(volumes, seen, BLOCK);
      if (difference !== "") {
        errors.push(difference);
        continue;
      }
      try {
        const found = this.readAll(volumes);
        this.volumes = volumes.map((one) => ({
          ...one,
          mayBeFlat: false,
          parent: seen.find(({ name }) => name === one.name)?.parent === null
            ? undefined
            : one.parent,
        }));
        for (const [disk, contents] of found) disk.restart(contents);
        await checkLive(this.pool);
        return;
      } catch (error) {
        errors.push(error instanceof Error ? error.message : String(error));
      }
    }
    throw new Error(errors.join("; or: "));
  }

  /**
   * Reads everything, and narrows what snapshots may hold to what they do.
   *
   * @param volumes What there should be.
   * @returns What the volumes hold.
   * @throws {Error} If anything holds what it may not.
   */
  readAll(volumes: ModelVolumes = this.volumes): Map<ModelPool, number[]> {
    const found = new Map<ModelPool, number[]>();
    const unlessGone = (read: () => void) => {
      try {
        read();
      } catch (error) {
        const isGone = error instanceof VirstorError && this.isChanging &&
          (error.code === "not-found" || error.code === "shutdown");
        if (!isGone) throw error;
      }
    };
    for (const volume of volumes) {
      const { name, disk } = volume;
      if (this.rolling?.id !== volume.id) {
        unlessGone(() => {
          const device = this.pool.volume(name);
          found.set(disk, this.#read(device, (b) => disk.allowed(b)));
        });
      }
      for (const one of volume.snapshots) {
        unlessGone(() => this.readSnapshot(volume, one));
      }
    }
    return found;
  }

  /**
   * Reads a snapshot, and narrows what it may hold.
   *
   * @param volume Its volume.
   * @param snapshot The snapshot.
   * @returns What it holds.
   */
  readSnapshot(volume: ModelVolume, snapshot: ModelSnapshot): number[] {
    const { contents } = snapshot;
    const disk = this.pool.snapshotDisk(volume.name, snapshot.name);
    const found = this.#read(disk, (b) => contents[b] ?? new Set());
    for (const [b, content] of found.entries()) {
      contents[b] = new Set([content]);
    }
    return found;
  }

  /** Reads all of a disk, without a wait. */
  #read(
    device: Volume | SnapshotDisk,
    allowed: (block: number) => ReadonlySet<number>,
  ): number[] {
    const { hasColdReads } = this.disk;
    this.disk.hasColdReads = false;
    const bytes = new Uint8Array(device.size);
    try {
      device.read(bytes, 0);
    } finally {
      this.disk.hasColdReads = hasColdReads;
    }
    return Array.from({ length: device.size / BLOCK }, (_, block) => {
      const start = block * BLOCK;
      const found = contentOf(block, bytes.subarray(start, start + BLOCK));
      if (allowed(block).has(found)) return found;
      throw new Error(
        `Block ${block} of ${device.name} holds ${found}, it may hold ` +
          `${[...allowed(block)]}`,
      );
    });
  }

  /**
   * Where requests to a volume go now, and what they are held against.
   *
   * @param volume The volume.
   * @returns The device and the model; undefined while it is closed.
   */
  target(
    volume: ModelVolume,
  ): { device: Volume; disk: ModelPool } | undefined {
    const device = this.pool.volumes.find(({ name }) => name === volume.name);
    if (device === undefined) return undefined;
    const { rolling } = this;
    if (rolling?.id !== volume.id || device === rolling.old) {
      return { device, disk: volume.disk };
    }
    return { device, disk: rolling.disk };
  }

  /**
   * Begins a request.
   *
   * @param act Does it; given a signal that ends waits.
   * @param onEnd Called with whether it was done, unless the process ended.
   * @param volume The volume that it writes to, if it does.
   */
  start(
    act: (signal: AbortSignal) => unknown,
    onEnd: (isDone: boolean) => void,
    volume?: ModelVolume,
  ): void {
    const controller = new AbortController();
    const process = this.#process;
    const { limitChanges } = this;
    const mayLackSpace = this.#mayLackSpace(volume);
    const run = async () => {
      let isDone = false;
      try {
        await act(controller.signal);
        isDone = true;
      } catch (error) {
        const mayLack = mayLackSpace || limitChanges !== this.limitChanges ||
          this.#mayLackSpace(volume);
        if (process === this.#process && !this.#mayFail(error, mayLack)) {
          this.fault(error);
        }
      }
      if (process !== this.#process) return;
      try {
        onEnd(isDone);
      } catch (error) {
        this.fault(error);
      }
    };
    const running: Promise<void> = run().finally(() =>
      this.#running.delete(running)
    );
    this.#running.set(running, controller);
  }

  /** Whether a write to a volume may fail for want of space. */
  #mayLackSpace(volume: ModelVolume | undefined): boolean {
    if (this.isSetting || this.disk.isAnyFull) return true;
    const now = this.volumes.find(({ id }) => id === volume?.id);
    const onFull = now?.limits.onFull ?? "";
    return (onFull === "" ? this.onFull : onFull) === "error";
  }

  #mayFail(error: unknown, mayLackSpace: boolean): boolean {
    if (this.disk.isDown) return true;
    if (!(error instanceof VirstorError)) return false;
    const { code } = error;
    if (code === "no-space") return mayLackSpace;
    if (code === "shutdown") return this.isChanging || this.#isClosing;
    return code === "cancelled";
  }

  /**
   * Begins a change of the volumes, which may be interrupted.
   *
   * @param act Does it.
   * @param after The volumes if it takes effect.
   * @param onDone Called after it.
   */
  begin(
    act: () => Promise<unknown>,
    after: () => ModelVolumes = () => this.volumes,
    onDone: () => void = () => {},
  ): void {
    this.#change = { after };
    this.start(act, (isDone) => {
      const volumes = isDone ? after() : this.volumes;
      this.rolling = undefined;
      if (!this.disk.isDown || isDone) {
        this.#change = undefined;
        this.volumes = volumes;
        if (isDone && !this.disk.isDown && !this.#isClosing) onDone();
      }
    });
  }

  /** Waits for the change that is under way. */
  async changed(): Promise<void> {
    if (!this.isChanging) return;
    await this.#until(() => !this.isChanging || this.disk.isDown);
  }

  /** Waits until nothing is under way; makes room if it has to. */
  async drain(): Promise<void> {
    await this.#until(() => this.#running.size === 0 || this.disk.isDown);
    this.assertSound();
  }

  /** Waits until nothing goes on beside the requests, and checks all. */
  async rest(): Promise<void> {
    await this.drain();
    await this.#until(() => this.#isAtRest || this.disk.isDown);
    if (this.disk.isDown) return;
    this.readAll();
    await checkLive(this.pool);
    if (this.disk.isDown || !this.#isAtRest) return;
    await checkWalk(this.pool);
  }

  get #isAtRest(): boolean {
    const { evacuation, components, freeingChunks, jobs } = this.pool.status();
    const hasRoom = components.some((one) => !one.evacuating && one.free > 0);
    const isMoving = evacuation?.state === "moving" ||
      (evacuation?.state === "waiting" && hasRoom);
    const isLeaving = components.some((one) =>
      one.evacuating && one.used === 0
    );
    return freeingChunks === 0 && jobs.length === 0 && !isMoving && !isLeaving;
  }

  async #until(isSo: () => boolean): Promise<void> {
    for (let turns = 1; turns <= TURNS_TO_SETTLE; turns++) {
      if (isSo()) {
        await turn();
        if (isSo()) return;
      }
      await turn();
      const { delayed, freeChunks } = this.pool.status();
      if (turns % 40 !== 0 || delayed.count === 0) continue;
      const isPatient = freeChunks > 0 && turns < TURNS_TO_SETTLE / 2;
      if (isPatient && !this.#isLimited) continue;
      this.log.push("cancel all");
      for (const controller of this.#running.values()) controller.abort();
    }
    throw new Error(`No rest: ${JSON.stringify(this.pool.status())}`);
  }

  /** Whether a write waits that may not take a free chunk. */
  get #isLimited(): boolean {
    return this.pool.volumes.some(({ delayed, parts: { firstWrites } }) =>
      delayed.size > 0 && !firstWrites.limits.mayTake
    );
  }

  /** Stops the pool, whatever is under way, and opens it again. */
  async reopen(): Promise<void> {
    this.log.push("close");
    this.#isClosing = true;
    try {
      await within(() => "The close does not end", this.pool.close());
    } catch (error) {
      if (!this.disk.isDown) throw error;
    }
    await turn();
    await emptied(this.onLanes);
    this.assertSound();
    if (this.disk.isDown) return await this.cut();
    this.disk.crashAt(Infinity);
    if (this.#running.size > 0) throw new Error("A request outlives the pool");
    this.#process++;
    this.#pool = undefined;
    this.writes.splice(0);
    for (const { disk } of this.volumes) disk.flush();
    await this.open(false);
  }
}
