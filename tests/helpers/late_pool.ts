/**
 * Pools with a component on another machine: a real journal, over a far side in
 * memory that takes its time.
 *
 * @module
 */

import { createSparseFile, FileDevice } from "../../device/file/mod.ts";
import { nativeGeometry, newOverflowSize } from "../../metadata/native/mod.ts";
import type { OpenDevice } from "../../pool/core/mod.ts";
import { labelPool, openPool, type Pool } from "../../pool/mod.ts";
import type { PoolOptions } from "../../pool/open.ts";
import { Journal, RemoteComponent } from "../../pool/remote/mod.ts";
import { FarMemory } from "./far_memory.ts";
import type { Scratch } from "./scratch.ts";

/** Bytes of a chunk: the smallest there is. */
export const LATE_CHUNK: number = 64 << 10;
/** The smallest journal that holds a few records. */
export const LATE_JOURNAL: number = 8192 + (256 << 10);

/** How a pool is made. */
export interface LateOptions {
  /** Chunks of each component. */
  readonly chunks?: number;
  /** Bytes of the journal. */
  readonly journalSize?: number;
  /** Virtual chunks. */
  readonly virtualChunks?: number;
  /** Whether the first component is the remote one; else the second. */
  readonly remoteFirst?: boolean;
}

/** A pool of two components, one of them on another machine. */
export class LatePool {
  /** The paths of its components. */
  readonly paths: readonly string[];
  /** The path of the remote one. */
  readonly remotePath: string;
  /** Its far side. */
  far: FarMemory;
  /** The open pool. */
  pool!: Pool;
  /** The remote component. */
  remote!: RemoteComponent;
  readonly #journalPath: string;
  readonly #journalSize: number;

  private constructor(
    paths: readonly string[],
    remotePath: string,
    journalPath: string,
    journalSize: number,
  ) {
    this.paths = paths;
    this.remotePath = remotePath;
    this.#journalPath = journalPath;
    this.#journalSize = journalSize;
    this.far = new FarMemory(0);
  }

  /** Makes a pool and opens it. */
  static async make(
    scratch: Scratch,
    options: LateOptions = {},
    open: PoolOptions = {},
  ): Promise<LatePool> {
    const {
      chunks = 12,
      journalSize = LATE_JOURNAL,
      virtualChunks = 64,
      remoteFirst = true,
    } = options;
    const paths = [scratch.file("one"), scratch.file("two")];
    await labelPool({
      name: "late",
      paths,
      createSize: (chunks + 4) * LATE_CHUNK,
      chunkSize: LATE_CHUNK,
      virtualSize: virtualChunks * LATE_CHUNK,
    });
    const path = paths[remoteFirst ? 0 : 1] ?? "";
    const late = new LatePool(
      paths,
      path,
      scratch.file("journal"),
      journalSize,
    );
    const content = await Deno.readFile(path);
    late.far = new FarMemory(content.length, content);
    await late.open(open);
    return late;
  }

  /** Opens the pool, with the journal as it was left. */
  async open(options: PoolOptions = {}): Promise<void> {
    this.remote = await this.#openRemote();
    const openDevice: OpenDevice = (path, how) =>
      path === this.remotePath ? this.remote : new FileDevice(path, how);
    this.pool = await openPool(this.paths, { openDevice, ...options });
  }

  /** Connects to the far side anew, as after the loss of this process. */
  reconnect(): void {
    this.far = new FarMemory(this.far.size, this.far.content);
  }

  async #openRemote(): Promise<RemoteComponent> {
    const { far } = this;
    const owner = {
      componentUuid: "c0c1c2c3-c4c5-46c7-88c9-cacbcccdcecf",
      generation: 7,
      componentSize: far.size,
    };
    const isNew = !await exists(this.#journalPath);
    if (isNew) createSparseFile(this.#journalPath, this.#journalSize);
    const file = new FileDevice(this.#journalPath);
    const journal = isNew
      ? await Journal.create(file, owner)
      : await Journal.open(file, owner);
    const path = this.remotePath;
    const remote = new RemoteComponent({ path, far, journal, retryMs: 1 });
    const { tableOffset } = nativeGeometry(
      far.size,
      LATE_CHUNK,
      newOverflowSize(far.size),
    );
    await remote.keep(tableOffset);
    return remote;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}
