/**
 * A pool on simulated disks, a model beside it, and the steps that both take.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { encodeFreebsdLabel } from "../../metadata/mod.ts";
import { checkComponents, openPool } from "../../pool/mod.ts";
import type { Pool } from "../../pool/mod.ts";
import { assertFreebsd } from "../helpers/freebsd_checker.ts";
import { BLOCK, contentOf, fillBlock, ModelPool } from "./model_pool.ts";
import type { Random } from "./random.ts";
import type { Survivors } from "./simulated_disk.ts";
import { SimulatedDisk } from "./simulated_disk.ts";

/** Small enough that thousands of worlds can end in a minute. */
const CHUNK = 2048;
const VIRTUAL_CHUNKS = 64;
const COMPONENT = 6 * CHUNK + 512;
const BLOCKS_PER_CHUNK = CHUNK / BLOCK;
/** Virtual chunks that steps touch: few, so that they meet. */
const TOUCHED = 8;

/** What can be done to a pool. */
export const STEPS = [
  "first write",
  "overwrite",
  "write across chunks",
  "discard",
  "write zeroes",
  "flush",
  "add",
  "remove",
] as const;

/** One of them. */
export type Step = typeof STEPS[number];

/** A pool, its disks and its model. */
export class World {
  /** Where everything is kept. */
  readonly disk: SimulatedDisk;
  /** What is promised. */
  readonly model: ModelPool;
  /** Paths of real, empty files: they stand for the simulated ones. */
  readonly #paths: readonly string[];
  #pool: Pool | undefined;
  #writes = 1;

  private constructor(
    disk: SimulatedDisk,
    model: ModelPool,
    paths: readonly string[],
  ) {
    this.disk = disk;
    this.model = model;
    this.#paths = paths;
  }

  /**
   * Makes a pool of two components that were full of rubbish, and files for
   * two more.
   *
   * @param directory Where its paths are.
   * @param punches Whether holes can be punched.
   * @returns The world; the pool is not open.
   */
  static create(directory: string, punches: boolean): World {
    const disk = new SimulatedDisk({ punches });
    const paths = ["a", "b", "c", "d"].map((name) => `${directory}/${name}`);
    for (const [index, path] of paths.entries()) {
      const content = new Uint8Array(COMPONENT).fill(0xee);
      content.fill(0, COMPONENT - 512);
      if (index < 2) putLabel(content, index);
      if (index === 0) content.fill(0, 0, VIRTUAL_CHUNKS * 8);
      disk.create(path, content);
    }
    const model = new ModelPool(VIRTUAL_CHUNKS * BLOCKS_PER_CHUNK);
    return new World(disk, model, paths);
  }

  /** The files that are components, or may be by now. */
  get components(): string[] {
    return this.#paths.filter((path) => {
      const { current } = this.disk.file(path);
      return current[COMPONENT - 512] !== 0;
    });
  }

  /** Opens the pool. */
  async open(): Promise<void> {
    this.#pool = await openPool(this.components, {
      openDevice: this.disk.open,
      onFull: "error",
    });
  }

  /** Stops the pool cleanly. */
  async close(): Promise<void> {
    await this.#pool?.close();
    this.#pool = undefined;
  }

  /**
   * Takes a step, and notes what it promises. What a cut off step may have
   * done is noted, too.
   *
   * @param step What to do.
   * @param random Decides where.
   */
  async take(step: Step, random: Random): Promise<void> {
    const chunk = random.below(TOUCHED);
    const within = random.below(BLOCKS_PER_CHUNK);
    const first = chunk * BLOCKS_PER_CHUNK + within;
    switch (step) {
      case "first write":
        return await this.#write(first, 1, random);
      case "overwrite":
        return await this.#write(within, 1, random);
      case "write across chunks":
        return await this.#write(first, BLOCKS_PER_CHUNK + 1, random);
      case "discard":
        return await this.#zero(first, random.below(9), "discard");
      case "write zeroes":
        return await this.#zero(first, random.below(9), "writeZeroes");
      case "flush":
        await this.#running.flush();
        return this.model.flush();
      case "add":
        return await this.#whileWriting(this.#add(), first, random);
      case "remove":
        return await this.#whileWriting(this.#remove(), first, random);
    }
  }

  /**
   * The machine starts again after a cut. Everything that is promised for
   * then is checked; what is found is what there is from now on.
   *
   * @param survivors What is left of what was not flushed.
   * @param random Decides what survives by chance.
   * @param rawDirectory Where images for FreeBSD's checker go; undefined: it
   *   is left out.
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
    this.model.restart(this.#checkContent());
    const findings = await this.#running.check();
    if (findings.length > 0) throw new Error(JSON.stringify(findings));
    const { components } = this.#running.status();
    const members = components.map(({ path }) => path);
    await this.close();
    const before = this.#snapshot();
    if (rawDirectory !== undefined) await this.#checkRaw(members, rawDirectory);
    // What was being added and is left out is no business of the pool.
    const checked = await checkComponents(members, {
      openDevice: this.disk.open,
    });
    if (checked.findings.length > 0) {
      throw new Error(JSON.stringify(checked.findings));
    }
    await this.open();
    await this.close();
    const after = this.#snapshot();
    if (before !== after) throw new Error("A second open changed something");
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
    const copy = new World(
      this.disk.clone(),
      this.model.clone(),
      this.#paths,
    );
    copy.#writes = this.#writes;
    return copy;
  }

  /** Checks that what can be read is what is promised while it runs. */
  checkRunning(): void {
    this.#checkContent();
  }

  get #running(): Pool {
    if (this.#pool === undefined) throw new Error("The pool is not open");
    return this.#pool;
  }

  async #write(first: number, count: number, random: Random): Promise<void> {
    const content = this.#writes++;
    const bytes = new Uint8Array(count * BLOCK);
    for (let i = 0; i < count; i++) {
      const block = bytes.subarray(i * BLOCK, (i + 1) * BLOCK);
      fillBlock(content, first + i, block);
    }
    this.model.write(first, count, content, false);
    const fua = random.chance(10);
    try {
      await this.#running.write(bytes, first * BLOCK, { fua });
    } catch (error) {
      if (error instanceof VirstorError && error.code === "no-space") return;
      throw error;
    }
    this.model.write(first, count, content, true);
    if (fua) this.model.flush();
  }

  async #zero(
    first: number,
    length: number,
    how: "discard" | "writeZeroes",
  ): Promise<void> {
    const count = length + 1;
    this.model.write(first, count, 0, false);
    await this.#running[how](first * BLOCK, count * BLOCK);
    // A discard is an indication: what was there may be there still.
    if (how === "writeZeroes") this.model.write(first, count, 0, true);
  }

  /** Now and then a write comes in the middle of a change. */
  async #whileWriting(
    change: Promise<void>,
    first: number,
    random: Random,
  ): Promise<void> {
    const both = [change];
    if (random.chance(70)) both.push(this.#writeSoon(first, random));
    for (const result of await Promise.allSettled(both)) {
      if (result.status === "rejected") throw result.reason;
    }
  }

  async #writeSoon(first: number, random: Random): Promise<void> {
    for (let turns = random.below(40); turns > 0; turns--) {
      await Promise.resolve();
    }
    await this.#write(first, random.pick([1, BLOCKS_PER_CHUNK + 1]), random);
  }

  async #add(): Promise<void> {
    const components = this.#running.status().components;
    const members = components.map(({ path }) => path);
    const path = this.#paths.find((one) => !members.includes(one));
    if (path === undefined) return;
    const openDevice = this.disk.open;
    await this.#running.add([path], { force: true, openDevice });
  }

  async #remove(): Promise<void> {
    const { components } = this.#running.status();
    const empty = components.find(({ index, used }) => index > 0 && used === 0);
    if (empty === undefined) return;
    try {
      await this.#running.remove([empty.path]);
    } catch (error) {
      // A write that came before it has taken the first chunk of it.
      const isRefused = error instanceof VirstorError &&
        error.code === "invalid";
      if (!isRefused) throw error;
    }
  }

  /** Reads the whole disk and holds it against what is promised. */
  #checkContent(): number[] {
    const found: number[] = [];
    const bytes = new Uint8Array(BLOCK);
    for (let block = 0; block < this.model.blocks; block++) {
      this.#running.read(bytes, block * BLOCK);
      const content = contentOf(block, bytes);
      const allowed = this.model.allowed(block);
      if (!allowed.has(content)) {
        throw new Error(
          `Block ${block} holds ${content}, it may hold ${[...allowed]}`,
        );
      }
      found.push(content);
    }
    return found;
  }

  async #checkRaw(
    members: readonly string[],
    directory: string,
  ): Promise<void> {
    const paths: string[] = [];
    for (const path of members) {
      const copy = `${directory}/raw-${path.slice(path.lastIndexOf("/") + 1)}`;
      await Deno.writeFile(copy, this.disk.file(path).current);
      paths.push(copy);
    }
    assertFreebsd(paths);
  }

  #snapshot(): string {
    return this.disk.paths
      .map((path) => this.disk.file(path).current.toHex()).join();
  }
}

function putLabel(content: Uint8Array, index: number): void {
  encodeFreebsdLabel({
    name: "world",
    id: 1,
    virtualSize: VIRTUAL_CHUNKS * CHUNK,
    chunkSize: CHUNK,
    count: 2,
    hardcodedName: "",
    index,
    componentSize: COMPONENT,
    chunkCount: 6,
    chunkNext: index === 0 ? 2 : 0,
    chunkReserved: index === 0 ? 2 : 0,
    flags: index === 0 ? 3 : 0,
  }, content.subarray(COMPONENT - 512));
}
