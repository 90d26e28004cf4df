/**
 * A component of an open pool: its device, and the state of its chunks.
 *
 * @module
 */

import type { HostSpace } from "../../device/file/mod.ts";
import { assert } from "../../errors.ts";
import { ChunkSet } from "./chunk_set.ts";
import type { ChunkDevice, ComponentDevice } from "./component_device.ts";
import { MovingChunks } from "./moving_chunks.ts";

/** How a component is divided. */
export interface ComponentGeometry {
  /** Bytes that the pool uses, whole sectors. */
  readonly size: number;
  /** Chunks that fit on it. */
  readonly chunkCount: number;
  /** Chunks at its start that hold the map, not data (format 1). */
  readonly chunkReserved: number;
  /** The only file name that its label accepts; "" for any (format 1). */
  readonly hardcodedName: string;
  /** Bytes of the sector that holds its label; default 512 (format 1). */
  readonly sectorSize?: number;
}

/** A file system refuses writes because it is full. */
export interface Refusal {
  /** When it refused the first write, milliseconds since 1970. */
  readonly since: number;
  /** Whether the free space that it reported about then explains it. */
  isExplained: boolean;
}

/** A component of an open pool. */
export class Component {
  /** The component's device. */
  readonly device: ComponentDevice;
  /** How it is divided; it changes only when the component has grown. */
  geometry: ComponentGeometry;
  /**
   * The number of this component in the forward map, from 1. It stays the same
   * while the pool is open; {@linkcode index} may change.
   */
  readonly id: number;
  /** The component's position in the pool, from 0. */
  index: number;
  /** The free chunks, ready or not. */
  readonly freeChunks: ChunkSet;
  /** How many chunks are mapped, or about to be. */
  used = 0;
  /** How many used chunks have no entry in the chunk table yet. */
  unrecorded = 0;
  /** How many chunks are being freed. */
  releasing = 0;
  /**
   * Counts how often chunks were unmapped. A read that finds the count changed
   * may have read a chunk that was unmapped and mapped anew meanwhile.
   */
  givenBack = 0;
  /** The same of each chunk, where a read may take any time. */
  readonly #givenBackOf: Uint32Array | undefined;
  /**
   * All free chunks below this number durably read as zeroes, and may be
   * allocated.
   */
  ready: number;
  /** Set while free chunks from `ready` on are being zeroed. */
  preparing: Promise<void> | undefined;
  /**
   * A write to a free chunk failed during that time: `ready` must not advance
   * past it.
   */
  spoiled = false;
  /** No chunk of the component is allocated, since it is being removed. */
  fenced = false;
  /** Its chunks are to be moved to other components; then it is removed. */
  evacuating = false;
  /** The space of its file system when last asked; undefined if unknown. */
  host: HostSpace | undefined;
  /** Set while its file system refuses writes because it is full. */
  refusal: Refusal | undefined;

  #data: ChunkDevice;
  #moves: MovingChunks | undefined;

  /**
   * Creates a component with all chunks free, and none of them ready.
   *
   * @param id Its number in the forward map, from 1.
   * @param index Its position in the pool, from 0.
   * @param device Its device.
   * @param geometry Its fixed properties.
   */
  constructor(
    id: number,
    index: number,
    device: ComponentDevice,
    geometry: ComponentGeometry,
  ) {
    const { chunkCount, chunkReserved } = geometry;
    this.id = id;
    this.index = index;
    this.device = device;
    this.#data = device;
    this.geometry = geometry;
    if (device.isRemote === true) {
      this.#givenBackOf = new Uint32Array(chunkCount);
    }
    this.freeChunks = new ChunkSet(chunkCount, chunkReserved);
    this.ready = chunkReserved;
  }

  /**
   * The chunk I/O of the component: the device itself, or {@linkcode moves},
   * which writes a chunk that is being moved to both places.
   */
  get data(): ChunkDevice {
    return this.#data;
  }

  /** The chunks that are being moved to other components; undefined unless
   * {@linkcode allowMoves} was called. */
  get moves(): MovingChunks | undefined {
    return this.#moves;
  }

  /** How many chunks are being moved; each has its new place already. */
  get moving(): number {
    return this.#moves?.count ?? 0;
  }

  /**
   * Allows chunks to be moved to other components. Has no effect when repeated.
   *
   * @param chunkSize Bytes of a chunk.
   */
  allowMoves(chunkSize: number): void {
    if (this.#moves !== undefined) return;
    this.#moves = new MovingChunks(this.device, chunkSize);
    this.#data = this.#moves;
  }

  /**
   * Lets no chunk move to another component any more.
   *
   * *Requires*: no chunk is being moved.
   */
  forbidMoves(): void {
    assert(this.moving === 0, "no chunk of a kept component is half moved");
    this.#moves = undefined;
    this.#data = this.device;
  }

  /** Frees the chunks that its geometry has got; they are not ready. */
  takeGrowth(): void {
    this.freeChunks.grow(this.geometry.chunkCount);
  }

  /** How many chunks are free. */
  get free(): number {
    return this.freeChunks.size;
  }

  /** The lowest free chunk; `freeChunks.end` if there is none. */
  get next(): number {
    return this.freeChunks.first();
  }

  /**
   * How many chunks are unmapped and not free yet: they are being freed, or
   * could not be freed.
   */
  get freeing(): number {
    const { chunkCount, chunkReserved } = this.geometry;
    return chunkCount - chunkReserved - this.used - this.free;
  }

  /**
   * Counts chunks as given back.
   *
   * @param chunks Their numbers; they are unmapped.
   */
  giveBack(chunks: readonly number[]): void {
    this.givenBack++;
    const counts = this.#givenBackOf;
    if (counts === undefined) return;
    for (const chunk of chunks) counts[chunk] = (counts[chunk] ?? 0) + 1;
  }

  /**
   * A number that changes when a chunk is given back.
   *
   * @param chunk Its number.
   * @returns The number; without remote reads it also changes for other chunks.
   */
  givenBackOf(chunk: number): number {
    return this.#givenBackOf?.[chunk] ?? this.givenBack;
  }

  /**
   * Counts a free chunk as used.
   *
   * @param chunk Its number.
   */
  use(chunk: number): void {
    this.freeChunks.delete(chunk);
    this.used++;
  }
}
