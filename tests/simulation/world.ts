/**
 * A pool on simulated disks, a model beside it, and what both of them take.
 *
 * @module
 */

import { type ErrorCode, VirstorError } from "../../errors.ts";
import { checkComponents } from "../../pool/mod.ts";
import type { FullPolicy, Pool, Volume } from "../../pool/mod.ts";
import type { OpenDevice } from "../../pool/core/mod.ts";
import { modelVolume } from "../helpers/volumes_model.ts";
import { EnlargedFiles } from "./enlarged_files.ts";
import { bootIdOf, FILES } from "./in_worlds.ts";
import { MembersModel } from "./members_model.ts";
import { BLOCK, filledBlocks, ModelPool } from "./model_pool.ts";
import type { Random } from "./random.ts";
import { componentsIn, RemoteMember } from "./remote_member.ts";
import { SimulatedDisk, type Survivors } from "./simulated_disk.ts";
import { type Step, takeStep } from "./steps.ts";
import { turn, within } from "./turns.ts";
import { takeAndOverwrite } from "./view_requests.ts";
import { ViewsModel } from "./views_model.ts";
import { checkWalk } from "./volumes_walk.ts";
import { checkVolumes, findVolumes } from "./world_volumes.ts";
import {
  checkLive,
  checkSecondOpen,
  isAtRest,
  stopSound,
  summaryOf,
} from "./world_checks.ts";
import { FREEBSD_WORLD } from "./world_freebsd.ts";
import { POOL, type WorldFormat, type WorldOptions } from "./world_format.ts";
import { NATIVE_WORLD } from "./world_native.ts";

/** The first of the files are components. */
const MEMBERS = 2;
/** After so many turns nothing happens any more unless something is wrong. */
const TURNS_TO_SETTLE = 2000;

export type { WorldOptions };
interface BlockChange {
  readonly first: number;
  readonly count: number;
  readonly content: number;
  readonly promise: "done" | "maybe" | "durable";
}

/** A pool, its disks and its model. */
export class World {
  /** Where everything is kept. */
  readonly disk: SimulatedDisk;
  /** What is promised of its volumes and snapshots. */
  readonly views: ViewsModel;
  /** What is promised of its components. */
  readonly members: MembersModel;
  /** What is special about its format. */
  readonly format: WorldFormat;
  /** All files, whether they are components or not. */
  readonly paths: readonly string[];
  /** The component on another machine, if there is one. */
  readonly remote: RemoteMember | undefined;
  /** Files that were enlarged, and not taken in yet. */
  readonly enlarged: EnlargedFiles = new EnlargedFiles();
  #pool: Pool | undefined;
  /** What writes do when there is no chunk for them. */
  onFull: FullPolicy = "error";
  #openDevice: OpenDevice | undefined;
  #writes = 1;
  #names = 0;
  /** How often the machine was started. */
  #boot = 1;
  #isClosing = false;
  /** The first volume, if it was closed, or is about to be. */
  #withoutVolume: { readonly volume: Volume; isClosed: boolean } | undefined;
  /** What happened to the files unnoticed. */
  #trouble = "";

  private constructor(
    format: WorldFormat,
    disk: SimulatedDisk,
    paths: readonly string[],
    models: Pick<World, "views" | "members" | "remote">,
  ) {
    this.remote = models.remote;
    this.format = format;
    this.disk = disk;
    this.views = models.views;
    this.members = models.members;
    this.paths = paths;
  }

  /**
   * Makes a pool of two components that were full of rubbish, and files for
   * two more.
   *
   * @param options What it is like.
   * @returns The world; the pool is not open.
   */
  static create(options: WorldOptions): World {
    const { directory, format: name, punches, isRemote = false } = options;
    const format = name === "native" ? NATIVE_WORLD : FREEBSD_WORLD;
    const disk = new SimulatedDisk({ punches });
    const paths = FILES.map((file) => `${directory}/${file}`);
    for (const [index, path] of paths.entries()) {
      disk.create(path, format.content(index));
    }
    const { virtualChunks, chunkSize } = format;
    const model = new ModelPool(virtualChunks * chunkSize / BLOCK);
    const views = new ViewsModel([modelVolume(POOL, model)]);
    const members = MembersModel.of(paths, MEMBERS);
    const remote = isRemote
      ? RemoteMember.create(disk, paths[0] ?? "", chunkSize)
      : undefined;
    return new World(format, disk, paths, { views, members, remote });
  }

  /** The open pool. */
  get pool(): Pool {
    if (this.#pool === undefined) throw new Error("The pool is not open");
    return this.#pool;
  }

  /** What is promised of the first volume, as it is open now. */
  get model(): ModelPool {
    const [first] = this.views.volumes;
    if (first === undefined) throw new Error("A pool has a first volume");
    return this.views.diskOf(first, this.firstVolume);
  }

  /**
   * Whether a volume was closed: no request is answered any more.
   *
   * @param device The volume.
   * @returns Whether that is so.
   */
  isClosed(device: Volume): boolean {
    const noted = this.#withoutVolume;
    return noted?.isClosed === true && noted.volume === device;
  }

  /** The first volume; undefined while it is rolled back. */
  get firstVolume(): Volume | undefined {
    return this.#pool?.volumes.find(({ number }) => number === 0);
  }

  /** Opens files for the process that has the pool open. */
  get openDevice(): OpenDevice {
    return this.#openDevice ?? this.disk.open;
  }

  /** Blocks of a chunk. */
  get chunkBlocks(): number {
    return this.format.chunkSize / BLOCK;
  }

  /** Opens the pool, from all files that carry a label. */
  async open(onFull: FullPolicy = this.onFull): Promise<void> {
    const { disk, remote, format: { isComponent } } = this;
    const { epoch } = disk;
    this.#isClosing = false;
    this.#withoutVolume = undefined;
    const components = await componentsIn(disk, remote, isComponent);
    this.#pool = await within(
      () => "Opening the pool does not end",
      this.enlarged.open(this, components, {
        openDevice: this.#openDevice = remote?.opener(disk) ?? disk.open,
        bootId: bootIdOf(this.#boot),
        onFull,
        onEvent: ({ kind, message }) => {
          const isHarmed = disk.isFaulty || disk.isDown || disk.epoch !== epoch;
          const isTrouble = kind === "failed" ||
            message.startsWith("The evacuation stopped");
          if (isTrouble && !isHarmed) this.#trouble = message;
        },
      }),
    );
  }

  /** Stops the pool cleanly. */
  async close(): Promise<void> {
    const pool = this.#pool;
    if (pool === undefined) return;
    this.#isClosing = true;
    await within(() => "Stopping the pool does not end", pool.close());
  }

  /** Closes the volume of the pool, which stays open. */
  async closeVolume(): Promise<void> {
    const volume = this.firstVolume;
    if (volume === undefined) return;
    const noted = this.#withoutVolume ??= { volume, isClosed: false };
    await within(() => "Closing the volume does not end", volume.close());
    noted.isClosed = true;
    if (volume.requestsInFlight === 0 && volume.delayed.size === 0) return;
    throw new Error("The volume is closed, and a request is in flight");
  }

  /**
   * Checks that a request was answered by a volume that was open.
   *
   * @param wasClosed Whether the volume was closed when the request began.
   * @throws {Error} If it was.
   */
  assertAnswered(wasClosed: boolean): void {
    if (wasClosed) throw new Error("A closed volume answered a request");
  }

  /** How commands may be refused, whatever they are. */
  get refusals(): readonly ErrorCode[] {
    return this.#isClosing ? ["shutdown"] : [];
  }

  /**
   * Takes a step, and notes what it promises. What an interrupted step may have
   * done is noted, too.
   *
   * @param step What to do.
   * @param random Decides where.
   */
  async take(step: Step, random: Random): Promise<void> {
    await within(
      () => `The step "${step}" does not end: ${summaryOf(this.pool)}`,
      takeStep(this, step, random),
    );
  }

  /**
   * Waits until nothing goes on beside the requests.
   *
   * @throws {Error} If that takes for ever, or an evacuation has stopped.
   */
  async settle(): Promise<void> {
    for (let turns = 0; turns < TURNS_TO_SETTLE; turns++) {
      // What has come to rest is at rest one turn later, too.
      if (isAtRest(this)) {
        await turn();
        if (isAtRest(this)) return;
      }
      await turn();
    }
    throw new Error(`The pool does not come to rest: ${summaryOf(this.pool)}`);
  }

  /**
   * The machine starts again after a cut. Everything that is promised then is
   * checked; what is found is there from now on. The pool is stopped afterwards.
   *
   * @param survivors What is left of what was not flushed.
   * @param random Decides what survives by chance.
   * @param rawDirectory Where files for checkers of raw bytes go; undefined:
   *   only what needs none is checked.
   * @throws {Error} If a promise was broken, with what was found.
   */
  async restart(
    survivors: Survivors,
    random: Random,
    rawDirectory?: string,
  ): Promise<void> {
    this.lose(survivors, random);
    await this.recover(rawDirectory);
  }

  /**
   * What {@linkcode restart} does once the power is back.
   *
   * @param rawDirectory As there.
   * @throws {Error} If a promise was broken, with what was found.
   */
  async recover(rawDirectory?: string): Promise<void> {
    // Nothing here makes room, so nothing may wait for it.
    await this.open("error");
    // What is found is what there is from now on: the cut has decided.
    await findVolumes(this);
    this.checkRunning().forEach((contents, disk) => disk.restart(contents));
    this.members.restart(this.pool.status().components);
    await checkLive(this.pool);
    if (!this.views.isPlain) await takeAndOverwrite(this);
    await this.settle();
    const found = this.checkRunning().get(this.model) ?? [];
    await checkLive(this.pool);
    if (!this.views.isPlain) await checkWalk(this.pool);
    const { status, members } = await stopSound(this);
    await this.format.checkStopped({ status, members, found }, rawDirectory);
    // What was being added and is left out is no business of the pool.
    const { findings } = await checkComponents(
      members.map(({ path }) => path),
      { openDevice: this.disk.open },
    );
    if (findings.length > 0) throw new Error(JSON.stringify(findings));
    await checkSecondOpen(this, members);
  }

  /**
   * The power goes, and nothing is checked yet.
   *
   * @param survivors What is left of what was not flushed.
   * @param random Decides what survives by chance.
   */
  lose(survivors: Survivors, random: Random): void {
    this.#pool = undefined;
    this.disk.restart(survivors, random);
    this.remote?.lose(this.disk, survivors, random);
    this.views.abandon();
    this.members.abandon();
    if (survivors === "all") return;
    this.#boot++;
    this.views.lose();
  }

  /**
   * A copy that goes its own way; its pool is not open.
   *
   * @returns The copy.
   */
  clone(): World {
    const { format, disk, views, members, paths } = this;
    const copy = new World(format, disk.clone(), paths, {
      views: views.clone(),
      members: members.clone(),
      remote: this.remote?.clone(),
    });
    copy.enlarged.become(this.enlarged);
    copy.#writes = this.#writes;
    copy.#names = this.#names;
    copy.#boot = this.#boot;
    copy.onFull = this.onFull;
    return copy;
  }

  /**
   * Checks that what can be read is what is promised while it runs.
   *
   * @returns The content of each block of each disk.
   * @throws {Error} If anything is not.
   */
  checkRunning(): Map<ModelPool, number[]> {
    this.checkTrouble();
    this.members.check(this.pool.status().components);
    // Nothing can be read; the next open finds what is there.
    if (this.#withoutVolume !== undefined) return new Map();
    return checkVolumes(this, this.views.volumes);
  }

  /**
   * Checks that no fault happened that no caller receives.
   *
   * @throws {Error} If something did.
   */
  checkTrouble(): void {
    const { misused } = this.disk;
    const trouble = this.#trouble === "" ? misused : this.#trouble;
    if (trouble !== "") throw new Error(trouble);
  }

  /**
   * A name that was not used before.
   *
   * @param letter Its first letter.
   * @returns The name.
   */
  newName(letter: string): string {
    this.#names++;
    return `${letter}${this.#names}`;
  }

  /**
   * Writes blocks that differ from all others.
   *
   * @param first The first block.
   * @param count How many.
   * @param fua Whether to force them to the disk.
   * @param device Where to; the first volume unless given.
   * @param through How they reach the pool.
   */
  async write(
    first: number,
    count: number,
    fua: boolean,
    device: Volume = this.pool.volume(),
    through: (bytes: Uint8Array, offset: number) => void | Promise<void> = (
      bytes,
      offset,
    ) => device.write(bytes, offset, { fua }),
  ): Promise<void> {
    const content = this.#writes++;
    const bytes = filledBlocks(content, first, count);
    const promise = fua ? "durable" : "done";
    await this.#attempt(device, { first, count, content, promise }, () => {
      return through(bytes, first * BLOCK);
    });
  }

  /**
   * Discards blocks: an indication, what was there may be there still.
   *
   * @param first The first block.
   * @param count How many.
   * @param device Of which volume; the first one unless given.
   */
  async discard(
    first: number,
    count: number,
    device: Volume = this.pool.volume(),
  ): Promise<void> {
    const change = { first, count, content: 0, promise: "maybe" } as const;
    await this.#attempt(device, change, () => {
      return device.discard(first * BLOCK, count * BLOCK);
    });
  }

  /**
   * Zeroes blocks.
   *
   * @param first The first block.
   * @param count How many.
   * @param noHole Whether they are to keep, or to get, real space.
   * @param device Of which volume; the first one unless given.
   */
  async writeZeroes(
    first: number,
    count: number,
    noHole: boolean,
    device: Volume = this.pool.volume(),
  ): Promise<void> {
    const change = { first, count, content: 0, promise: "done" } as const;
    await this.#attempt(device, change, () => {
      return device.writeZeroes(first * BLOCK, count * BLOCK, { noHole });
    });
  }

  /** Makes everything durable that was done before. */
  async flush(by?: () => Promise<void>, volume?: Volume): Promise<void> {
    const device = volume ?? this.pool.volume();
    // A flush of one volume is one of all, unless a lane does it by itself.
    const one = [this.views.modelOf(device)];
    const flushes = (by === undefined ? this.views.disks : one)
      .map((disk) => ({ disk, flush: disk.beginFlush() }));
    const isClosed = this.isClosed(device);
    let isDone = false;
    try {
      await (by?.() ?? device.flush());
      this.assertAnswered(isClosed);
      isDone = true;
    } catch (error) {
      if (!this.isRefusal(error, device)) throw error;
    } finally {
      for (const { disk, flush } of flushes) disk.endFlush(flush, isDone);
    }
  }

  /** Does what touches blocks; what is refused in words may be half done. */
  async #attempt(
    device: Volume,
    { first, count, content, promise }: BlockChange,
    act: () => void | Promise<void>,
  ): Promise<void> {
    if (count <= 0) return;
    const disk = this.views.modelOf(device);
    const note = disk.begin(first, count, content);
    const isClosed = this.isClosed(device);
    let outcome: typeof promise = "maybe";
    try {
      await act();
      this.assertAnswered(isClosed);
      outcome = promise;
    } catch (error) {
      if (!this.isRefusal(error, device, first + count)) throw error;
    } finally {
      disk.end(note, outcome);
    }
  }

  /**
   * Whether a request was refused in words, as it may be.
   *
   * @param error What was thrown.
   * @param device Where the request went.
   * @param end The block behind the last of the request.
   * @returns Whether that is all.
   */
  isRefusal(error: unknown, device?: Volume, end = 0): boolean {
    if (!(error instanceof VirstorError)) return false;
    const { code } = error;
    // The disk may have become smaller while it was being asked for.
    return code === "no-space" || code === "cancelled" ||
      this.refusals.includes(code) ||
      (code === "shutdown" && this.#mayBeClosed(device)) ||
      (code === "invalid" && end * BLOCK > (device?.size ?? 0));
  }

  /** Whether a volume is closed, or may be: it is rolled back, or removed. */
  #mayBeClosed(device: Volume | undefined): boolean {
    return this.#withoutVolume !== undefined || this.views.isChanging ||
      device === undefined || this.#pool?.volumes.includes(device) === false;
  }
}
