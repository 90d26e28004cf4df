/**
 * A component of an open pool: a device, and which of its chunks are in use.
 *
 * @module
 */

import { assert } from "../../errors.ts";
import { ChunkSet } from "./chunk_set.ts";
import type { ChunkDevice, ComponentDevice } from "./component_device.ts";
import { MovingChunks } from "./moving_chunks.ts";

/** What is fixed of a component while the pool is open. */
export interface ComponentGeometry {
  /** Bytes, whole sectors. */
  readonly size: number;
  /** Chunks that fit on it. */
  readonly chunkCount: number;
  /** Chunks at its start that are not for data. */
  readonly chunkReserved: number;
  /** The only file name it may have, or "". */
  readonly hardcodedName: string;
  /** Format 1: bytes of the sector that its label is in; 512 if absent. */
  readonly sectorSize?: number;
}

/** That a file system has refused a write for want of space. */
export interface Refusal {
  /** When it did so for the first time, milliseconds since 1970. */
  readonly since: number;
  /** Whether the room that it had at about that time explains it. */
  isExplained: boolean;
}

/** A component of an open pool. */
export class Component {
  /** What it is kept on. */
  readonly device: ComponentDevice;
  /** Its fixed sizes. */
  readonly geometry: ComponentGeometry;
  /**
   * Its number in the forward map, from 1, the same while the pool is open
   * (its place among the components may change).
   */
  readonly id: number;
  /** Its place among the components of the pool, from 0. */
  index: number;
  /** Chunks that can be handed out, or could once they are ready. */
  readonly freeChunks: ChunkSet;
  /** Chunks in use for data: a virtual chunk is mapped to each. */
  used = 0;
  /** Chunks on their way to be free. */
  releasing = 0;
  /**
   * How often chunks were given back: what was read of a chunk meanwhile may
   * be another's by now.
   */
  givenBack = 0;
  /**
   * Free chunks below this one are known to read as zeroes, durably, and may
   * be handed out.
   */
  ready: number;
  /** Set while free chunks beyond `ready` are being made to read as zeroes. */
  preparing: Promise<void> | undefined;
  /**
   * A write to a free chunk has failed since then: what is being made ready
   * lies behind a chunk that is not.
   */
  spoiled = false;
  /** On its way out of the pool: no chunk of it is handed out. */
  fenced = false;
  /** What is on it is to be moved to others; then it leaves. */
  evacuating = false;
  /** Bytes that its file system had left when it was asked last. */
  hostFree: number | undefined;
  /** Set while its file system refuses writes for want of space. */
  refusal: Refusal | undefined;

  #data: ChunkDevice;
  #moves: MovingChunks | undefined;

  /**
   * Creates a component with nothing allocated and nothing known of its free
   * chunks.
   *
   * @param id Its number in the forward map.
   * @param index Its place among the components.
   * @param device What it is kept on.
   * @param geometry Its fixed sizes.
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
    this.freeChunks = new ChunkSet(chunkCount, chunkReserved);
    this.ready = chunkReserved;
  }

  /**
   * Where chunks are written: the device, or {@linkcode moves}, which writes a
   * chunk that is being moved to both places.
   */
  get data(): ChunkDevice {
    return this.#data;
  }

  /** The chunks that are being moved off; undefined if none may be. */
  get moves(): MovingChunks | undefined {
    return this.#moves;
  }

  /** How many chunks are being moved off: each has its new place already. */
  get moving(): number {
    return this.#moves?.count ?? 0;
  }

  /**
   * From now on chunks may be moved off. Has no effect when repeated.
   *
   * @param chunkSize Bytes of a chunk.
   */
  allowMoves(chunkSize: number): void {
    if (this.#moves !== undefined) return;
    this.#moves = new MovingChunks(this.device, chunkSize);
    this.#data = this.#moves;
  }

  /** From now on no chunk is moved off. Requires that none is being moved. */
  forbidMoves(): void {
    assert(this.moving === 0, "no chunk of what stays is half way");
    this.#moves = undefined;
    this.#data = this.device;
  }

  /** Chunks that are free. */
  get free(): number {
    return this.freeChunks.size;
  }

  /** The next chunk to be allocated: the lowest that is free, or none's. */
  get next(): number {
    return this.freeChunks.first();
  }

  /**
   * Chunks that hold no data any more, and are not free yet: on their way, or
   * could not be freed.
   */
  get freeing(): number {
    const { chunkCount, chunkReserved } = this.geometry;
    return chunkCount - chunkReserved - this.used - this.free;
  }

  /**
   * Takes note that a free chunk holds data.
   *
   * @param chunk Its number.
   */
  use(chunk: number): void {
    this.freeChunks.delete(chunk);
    this.used++;
  }
}
