/**
 * Files of components that were enlarged, for the pool to take in. A cut may
 * come before the pool has: then the next open goes on.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  openPool,
  openToGrow,
  type Pool,
  type PoolOptions,
} from "../../pool/mod.ts";
import { SLOT_BYTES } from "../helpers/native_raw.ts";
import type { SimulatedDisk } from "./simulated_disk.ts";
import type { World } from "./world.ts";

/** Room for a table and labels at the new end, and for two chunks more. */
const MORE = 2 * SLOT_BYTES + (3 + 2) * 4096;

/** The files that were enlarged, by path. */
export class EnlargedFiles {
  /** Their sizes before, while they are not taken in. */
  #before: ReadonlyMap<string, number> = new Map();
  /** All that were taken in: once is enough. */
  #taken: ReadonlySet<string> = new Set();

  /**
   * Begins with what is known of the same files of another machine.
   *
   * @param other That of the other machine.
   */
  become(other: EnlargedFiles): void {
    this.#before = other.#before;
    this.#taken = other.#taken;
  }

  /**
   * Whether a file may be enlarged.
   *
   * @param path Its path.
   * @returns Whether it never was.
   */
  may(path: string): boolean {
    return !this.#taken.has(path) && !this.#before.has(path);
  }

  /**
   * Enlarges a file.
   *
   * @param disk Where it is.
   * @param path Its path.
   */
  begin(disk: SimulatedDisk, path: string): void {
    const file = disk.file(path);
    this.#before = new Map([...this.#before, [path, file.size]]);
    file.resize(file.size + MORE);
  }

  /**
   * The pool has answered.
   *
   * @param disk Where the file is.
   * @param path The path of the file.
   * @param isTakenIn Whether it is taken in; else it gets its size again.
   */
  end(disk: SimulatedDisk, path: string, isTakenIn: boolean): void {
    const before = this.#before.get(path);
    this.#before = new Map([...this.#before].filter(([one]) => one !== path));
    if (isTakenIn) this.#taken = new Set([...this.#taken, path]);
    else if (before !== undefined) disk.file(path).resize(before);
  }

  /**
   * Opens a pool, and lets it take in what it has not.
   *
   * @param world Where the files are.
   * @param components Files with labels at their ends.
   * @param options How.
   * @returns The pool.
   */
  async open(
    world: Pick<World, "disk" | "format">,
    components: readonly string[],
    options: PoolOptions,
  ): Promise<Pool> {
    const { disk, format: { isComponent } } = world;
    const paths = disk.files.filter(({ path, bytes }) => {
      const before = this.#before.get(path);
      return components.includes(path) ||
        (before !== undefined && isComponent(bytes.subarray(0, before)));
    }).map(({ path }) => path);
    for (const path of this.#before.keys()) {
      // It has left the pool, or its label is at its new end.
      if (!paths.includes(path)) this.end(disk, path, false);
      else if (components.includes(path)) this.end(disk, path, true);
    }
    const [first] = this.#before.keys();
    if (first === undefined) return await openPool(paths, options);
    const pool = await openToGrow(paths, first, options);
    for (const path of this.#before.keys()) {
      const isTakenIn = await growsAgain(pool, path);
      if (!isTakenIn) await pool.close();
      this.end(disk, path, isTakenIn);
      if (!isTakenIn) return await this.open(world, components, options);
    }
    return pool;
  }
}

/** Whether a pool takes in a component; not while it is being evacuated. */
async function growsAgain(pool: Pool, path: string): Promise<boolean> {
  try {
    await pool.grow(path);
    return true;
  } catch (error) {
    if (error instanceof VirstorError && error.code === "invalid") return false;
    throw error;
  }
}
