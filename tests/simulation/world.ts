/**
 * A pool on simulated disks, a model beside it, and what both of them take.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { checkComponents, openPool } from "../../pool/mod.ts";
import type { FormatName, Pool } from "../../pool/mod.ts";
import { FILES } from "./in_worlds.ts";
import { BLOCK, contentOf, fillBlock, ModelPool } from "./model_pool.ts";
import type { Random } from "./random.ts";
import type { Survivors } from "./simulated_disk.ts";
import { SimulatedDisk } from "./simulated_disk.ts";
import type { Step } from "./steps.ts";
import { takeStep } from "./steps.ts";
import { turn, within } from "./turns.ts";
import { FREEBSD_WORLD } from "./world_freebsd.ts";
import type { RawComponent, StoppedPool, WorldFormat } from "./world_format.ts";
import { NATIVE_WORLD } from "./world_native.ts";

/** After so many turns nothing happens any more unless something is wrong. */
const TURNS_TO_SETTLE = 2000;

/** What a world is like. */
export interface WorldOptions {
  /** Where its {@linkcode FILES} are. */
  readonly directory: string;
  /** The format of its pool. */
  readonly format: FormatName;
  /** Whether holes can be punched. */
  readonly punches: boolean;
}

/** A pool, its disks and its model. */
export class World {
  /** Where everything is kept. */
  readonly disk: SimulatedDisk;
  /** What is promised. */
  readonly model: ModelPool;
  /** What is special about its format. */
  readonly format: WorldFormat;
  /** All files, whether they are components or not. */
  readonly paths: readonly string[];
  #pool: Pool | undefined;
  #writes = 1;
  /** What happened behind everybody's back. */
  #trouble = "";

  private constructor(
    format: WorldFormat,
    disk: SimulatedDisk,
    model: ModelPool,
    paths: readonly string[],
  ) {
    this.format = format;
    this.disk = disk;
    this.model = model;
    this.paths = paths;
  }

  /**
   * Makes a pool of two components that were full of rubbish, and files for
   * two more.
   *
   * @param options What it is like.
   * @returns The world; the pool is not open.
   */
  static create({ directory, format: name, punches }: WorldOptions): World {
    const format = name === "native" ? NATIVE_WORLD : FREEBSD_WORLD;
    const disk = new SimulatedDisk({ punches });
    const paths = FILES.map((file) => `${directory}/${file}`);
    for (const [index, path] of paths.entries()) {
      disk.create(path, format.content(index));
    }
    const { virtualChunks, chunkSize } = format;
    const model = new ModelPool(virtualChunks * chunkSize / BLOCK);
    return new World(format, disk, model, paths);
  }

  /** The open pool. */
  get pool(): Pool {
    if (this.#pool === undefined) throw new Error("The pool is not open");
    return this.#pool;
  }

  /** Blocks of a chunk. */
  get chunkBlocks(): number {
    return this.format.chunkSize / BLOCK;
  }

  /** Opens the pool, from all files that carry a label. */
  async open(): Promise<void> {
    const { disk } = this;
    const { epoch } = disk;
    const components = disk.files
      .filter(({ bytes }) => this.format.isComponent(bytes))
      .map(({ path }) => path);
    this.#pool = await within(
      () => "Opening the pool does not end",
      openPool(components, {
        openDevice: disk.open,
        onFull: "error",
        onEvent: ({ kind, message }) => {
          const isHarmed = disk.isFaulty || disk.isDown || disk.epoch !== epoch;
          if (kind === "failed" && !isHarmed) this.#trouble = message;
        },
      }),
    );
  }

  /** Stops the pool cleanly. */
  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = undefined;
    if (pool === undefined) return;
    await within(() => "Stopping the pool does not end", pool.close());
  }

  /**
   * Takes a step, and notes what it promises. What a cut off step may have
   * done is noted, too.
   *
   * @param step What to do.
   * @param random Decides where.
   */
  async take(step: Step, random: Random): Promise<void> {
    await within(
      () => `The step "${step}" does not end: ${this.#summary()}`,
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
      if (this.#isAtRest()) {
        await turn();
        if (this.#isAtRest()) return;
      }
      await turn();
    }
    throw new Error(`The pool does not come to rest: ${this.#summary()}`);
  }

  #summary(): string {
    const { evacuation, components, delayed, reason } = this.pool.status();
    const chunks = components.map((one) =>
      `${one.used} used, ${one.free} free, ${one.freeing} freeing` +
      (one.evacuating ? ", evacuating" : "")
    );
    return JSON.stringify({
      evacuation,
      chunks,
      delayed: delayed.count,
      reason,
    });
  }

  #isAtRest(): boolean {
    const { evacuation, components, freeingChunks, state } = this.pool.status();
    if (state !== "open") return true;
    if (evacuation?.state === "stopped") {
      if (this.disk.isFaulty || this.disk.isDown) return freeingChunks === 0;
      throw new Error(`The evacuation stopped: ${evacuation.reason}`);
    }
    const hasRoom = components.some((one) => !one.evacuating && one.free > 0);
    const isMoving = evacuation?.state === "moving" ||
      (evacuation?.state === "waiting" && hasRoom);
    return freeingChunks === 0 && !isMoving;
  }

  /**
   * The machine starts again after a cut. Everything that is promised for
   * then is checked; what is found is what there is from now on. The pool is
   * stopped afterwards.
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
    await this.open();
    // What is found is what there is from now on: the cut has decided.
    const found = this.#checkContent();
    this.model.restart(found);
    await this.#checkLive();
    await this.settle();
    this.#checkContent();
    await this.#checkLive();
    const { status, members } = await this.#stop();
    await this.format.checkStopped({ status, members, found }, rawDirectory);
    // What was being added and is left out is no business of the pool.
    const { findings } = await checkComponents(
      members.map(({ path }) => path),
      { openDevice: this.disk.open },
    );
    if (findings.length > 0) throw new Error(JSON.stringify(findings));
    await this.#checkSecondOpen(members);
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
    if (survivors !== "all") this.model.lose();
  }

  /**
   * A copy that goes its own way; its pool is not open.
   *
   * @returns The copy.
   */
  clone(): World {
    const { format, disk, model, paths } = this;
    const copy = new World(format, disk.clone(), model.clone(), paths);
    copy.#writes = this.#writes;
    return copy;
  }

  /** Checks that what can be read is what is promised while it runs. */
  checkRunning(): void {
    this.#checkContent();
  }

  /**
   * Writes blocks that can be told from all others.
   *
   * @param first The first block.
   * @param count How many.
   * @param fua Whether to force them to the disk.
   */
  async write(first: number, count: number, fua: boolean): Promise<void> {
    const content = this.#writes++;
    const bytes = new Uint8Array(count * BLOCK);
    for (let i = 0; i < count; i++) {
      const block = bytes.subarray(i * BLOCK, (i + 1) * BLOCK);
      fillBlock(content, first + i, block);
    }
    await this.#attempt(first, count, content, fua ? "durable" : "done", () => {
      return this.pool.write(bytes, first * BLOCK, { fua });
    });
  }

  /**
   * Discards blocks: an indication, what was there may be there still.
   *
   * @param first The first block.
   * @param count How many.
   */
  async discard(first: number, count: number): Promise<void> {
    await this.#attempt(first, count, 0, "maybe", () => {
      return this.pool.discard(first * BLOCK, count * BLOCK);
    });
  }

  /**
   * Zeroes blocks.
   *
   * @param first The first block.
   * @param count How many.
   * @param noHole Whether they are to keep, or to get, real space.
   */
  async writeZeroes(
    first: number,
    count: number,
    noHole: boolean,
  ): Promise<void> {
    await this.#attempt(first, count, 0, "done", () => {
      return this.pool.writeZeroes(first * BLOCK, count * BLOCK, { noHole });
    });
  }

  /** Makes everything durable that was done before. */
  async flush(): Promise<void> {
    const flush = this.model.beginFlush();
    let isDone = false;
    try {
      await this.pool.flush();
      isDone = true;
    } finally {
      this.model.endFlush(flush, isDone);
    }
  }

  /** Does what touches blocks; what is refused in words may be half done. */
  async #attempt(
    first: number,
    count: number,
    content: number,
    promise: "done" | "maybe" | "durable",
    act: () => void | Promise<void>,
  ): Promise<void> {
    if (count <= 0) return;
    const note = this.model.begin(first, count, content);
    let outcome: typeof promise = "maybe";
    try {
      await act();
      outcome = promise;
    } catch (error) {
      if (!this.#isRefusal(error, first + count)) throw error;
    } finally {
      this.model.end(note, outcome);
    }
  }

  #isRefusal(error: unknown, end: number): boolean {
    if (!(error instanceof VirstorError)) return false;
    // The disk may have become smaller while it was being asked for.
    return error.code === "no-space" ||
      (error.code === "invalid" && end * BLOCK > this.pool.size);
  }

  /** Reads the whole disk and holds it against what is promised. */
  #checkContent(): number[] {
    if (this.#trouble !== "") throw new Error(this.#trouble);
    const { pool, model } = this;
    if (!model.mayHave(pool.size / BLOCK)) {
      throw new Error(`The disk has ${pool.size} bytes`);
    }
    const found: number[] = [];
    const bytes = new Uint8Array(BLOCK);
    for (let block = 0; block * BLOCK < pool.size; block++) {
      pool.read(bytes, block * BLOCK);
      const content = contentOf(block, bytes);
      const allowed = model.allowed(block);
      if (!allowed.has(content)) {
        throw new Error(
          `Block ${block} holds ${content}, it may hold ${[...allowed]}`,
        );
      }
      found.push(content);
    }
    this.#checkExtents(found);
    return found;
  }

  /** What is said to read as zeroes has to. */
  #checkExtents(found: readonly number[]): void {
    let end = 0;
    for (const { length, kind } of this.pool.extents(0, this.pool.size)) {
      const start = end;
      end += length;
      if (kind === "data") continue;
      const last = Math.ceil(end / BLOCK);
      if (found.slice(Math.floor(start / BLOCK), last).every(isZero)) continue;
      throw new Error(`Bytes ${start} to ${end} are no ${kind}`);
    }
  }

  async #checkLive(): Promise<void> {
    const findings = await this.pool.check();
    if (findings.length > 0) throw new Error(JSON.stringify(findings));
  }

  async #stop(): Promise<Pick<StoppedPool, "status" | "members">> {
    const status = this.pool.status();
    const { usedChunks, freeChunks, reservedChunks, physicalChunks } = status;
    if (usedChunks + freeChunks + reservedChunks !== physicalChunks) {
      throw new Error(
        `Chunks got lost: ${physicalChunks}, ${usedChunks} of them in use, ` +
          `${freeChunks} free, ${reservedChunks} reserved`,
      );
    }
    await this.close();
    const members = status.components.map(({ path }) => this.#raw(path));
    return { status, members };
  }

  async #checkSecondOpen(members: readonly RawComponent[]): Promise<void> {
    await this.open();
    await this.settle();
    await this.close();
    for (const one of members) {
      const before = this.format.essence(one);
      if (before === this.format.essence(this.#raw(one.path))) continue;
      throw new Error(`A second open changed "${one.path}"`);
    }
  }

  #raw(path: string): RawComponent {
    return { path, bytes: this.disk.file(path).bytes };
  }
}

function isZero(content: number): boolean {
  return content === 0;
}
