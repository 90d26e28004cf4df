/**
 * A component of an open pool: a device, and which of its chunks are in use.
 *
 * @module
 */

import {
  type BlankRanges,
  FileDevice,
  type FileDeviceOptions,
  type FlushObserver,
  type LentSync,
} from "../../device/file/mod.ts";
import type { BlockDevice } from "../../device/block/mod.ts";
import type { LentDescriptor } from "../../device/leases/mod.ts";
import type { OpenElsewhere } from "../../device/linux/mod.ts";
import { ChunkSet } from "./chunk_set.ts";

/** What a component is kept on. */
export interface ComponentDevice extends BlockDevice {
  /** Where it was found. */
  readonly path: string;
  /** The same for two devices if and only if they are the same file. */
  readonly identity: string;
  /** Whether it is on a disk that turns, if that is known. */
  readonly rotational?: boolean;
  /**
   * What else had it open when it was locked exclusively; absent if nothing can
   * have.
   */
  readonly openElsewhere?: OpenElsewhere;
  /** Told when what was written becomes durable. */
  observer: FlushObserver | undefined;
  /**
   * The next byte that is in no hole, where the system tells.
   *
   * @param offset Where to look from.
   * @returns Its offset; the size if there is none, `offset` if unknown.
   */
  nextData?(offset: number): number;
  /**
   * Fills the beginning of `target` with what is there without waiting.
   *
   * @param target Where the bytes go; not empty.
   * @param offset The first byte.
   * @returns Bytes; the rest is for `readCold`, which is there too then.
   */
  readCached?(target: Uint8Array, offset: number): number;
  /**
   * Fills `target`, while others go on. `close` waits for it.
   *
   * @param target Where the bytes go.
   * @param offset The first byte.
   * @param done Bytes of the beginning that `readCached` has read.
   * @returns Rejected with `io`.
   */
  readCold?(target: Uint8Array, offset: number, done?: number): Promise<void>;
  /**
   * Lends its descriptor to other threads, who use it as long as they have
   * leases.
   *
   * @returns It, if there is one.
   */
  lend?(): LentDescriptor | undefined;
  /** Others have written to what was lent: there is something to flush. */
  touched?(): void;
  /**
   * Whether another thread may make it durable: its descriptor can be lent, and
   * no flush of it is in flight.
   */
  readonly maySyncElsewhere?: boolean;
  /**
   * Begins a flush that another thread carries out.
   *
   * Requires `maySyncElsewhere`.
   *
   * @returns What is to be done; undefined if there is nothing to make durable.
   */
  syncElsewhere?(): LentSync | undefined;
  /**
   * How much room its file system has, found out while others go on.
   *
   * @returns Bytes, or undefined if that is not known.
   */
  hostFree?(): Promise<number | undefined>;
  /** What of it holds no data, where that can be told. */
  readonly blanks?: Blanks | undefined;
}

/** What of a device holds no data. */
export type Blanks = Pick<BlankRanges, "isBlank" | "widen">;

/** What is done to chunks: each request lies inside one of them. */
export type ChunkDevice = Pick<
  BlockDevice,
  "read" | "write" | "discard" | "writeZeroes"
>;

/** Opens what a component is kept on; tests put faulty devices here. */
export type OpenDevice = (
  path: string,
  options: FileDeviceOptions,
) => ComponentDevice;

/**
 * The usual {@linkcode OpenDevice}: a file or a block device.
 *
 * @param path Where it is.
 * @param options How to open and lock it.
 * @returns The open device.
 */
export function openFileDevice(
  path: string,
  options: FileDeviceOptions,
): ComponentDevice {
  return new FileDevice(path, options);
}

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
  /**
   * Where its chunks are read and written: the device, unless some of them are
   * being moved.
   */
  data: ChunkDevice;
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
    this.data = device;
    this.geometry = geometry;
    this.freeChunks = new ChunkSet(chunkCount, chunkReserved);
    this.ready = chunkReserved;
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
