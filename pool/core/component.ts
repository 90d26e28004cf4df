/**
 * A component of an open pool: its device, and the state of its chunks.
 *
 * @module
 */

import {
  type BlankRanges,
  FileDevice,
  type FileDeviceOptions,
  type FlushObserver,
} from "../../device/file/mod.ts";
import type { BlockDevice } from "../../device/block/mod.ts";
import type { LentDescriptor } from "../../device/leases/mod.ts";
import type { OpenElsewhere } from "../../device/linux/mod.ts";
import { ChunkSet } from "./chunk_set.ts";

/** The device of a component: a block device with a path. */
export interface ComponentDevice extends BlockDevice {
  /** The path that it was opened with. */
  readonly path: string;
  /** Equal for two devices if and only if they are the same file. */
  readonly identity: string;
  /** Whether it lies on a rotating disk; absent if unknown. */
  readonly rotational?: boolean;
  /**
   * Which other user had it open when it was locked exclusively; absent if
   * there can be none.
   */
  readonly openElsewhere?: OpenElsewhere;
  /** Receives the beginning and the end of each flush. */
  observer: FlushObserver | undefined;
  /**
   * Finds the next byte that is not in a hole, where the system reports holes.
   *
   * @param offset Where to start, bytes.
   * @returns The offset of that byte; the device's size if there is none;
   *   `offset` if unknown.
   */
  nextData?(offset: number): number;
  /**
   * Reads as much of `target` as is available without waiting for the disk.
   *
   * @param target The buffer to fill from its start; not empty.
   * @param offset The offset of the first byte.
   * @returns Bytes that were read. `readCold`, which is present whenever this
   *   method is, reads the rest.
   */
  readCached?(target: Uint8Array, offset: number): number;
  /**
   * Reads without blocking the event loop. `close` waits for it.
   *
   * @param target The buffer to fill.
   * @param offset The offset of the first byte of `target`.
   * @param done Bytes at the start of `target` that `readCached` has read.
   * @returns Rejects with `io`.
   */
  readCold?(target: Uint8Array, offset: number, done?: number): Promise<void>;
  /**
   * Lends the descriptor to other threads, which use it while they hold leases.
   *
   * @returns The descriptor, if there is one to lend.
   */
  lend?(): LentDescriptor | undefined;
  /** Notes that another thread has written, so that the next flush runs. */
  touched?(): void;
  /**
   * Asks the file system for its free space, without blocking the event loop.
   *
   * @returns Free bytes; undefined if unknown.
   */
  hostFree?(): Promise<number | undefined>;
  /** The ranges known to hold no data; absent if unknown. */
  readonly blanks?: Blanks | undefined;
}

/** The ranges of a device that hold no data. */
export type Blanks = Pick<BlankRanges, "isBlank" | "widen">;

/** Chunk I/O: each request lies inside one chunk. */
export type ChunkDevice = Pick<
  BlockDevice,
  "read" | "write" | "discard" | "writeZeroes"
>;

/** Opens the device of a component; tests pass devices with faults. */
export type OpenDevice = (
  path: string,
  options: FileDeviceOptions,
) => ComponentDevice;

/**
 * The default {@linkcode OpenDevice}: opens a file or a block device.
 *
 * @param path The path of the file.
 * @param options How to open and lock it.
 * @returns The open device.
 */
export function openFileDevice(
  path: string,
  options: FileDeviceOptions,
): ComponentDevice {
  return new FileDevice(path, options);
}

/** The properties of a component that are fixed while the pool is open. */
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
  /**
   * The chunk I/O of the component: the device itself, or a wrapper while some
   * of its chunks are being moved.
   */
  data: ChunkDevice;
  /** The properties that are fixed while the pool is open. */
  readonly geometry: ComponentGeometry;
  /**
   * The number of this component in the forward map, from 1. It stays the same
   * while the pool is open; {@linkcode index} may change.
   */
  readonly id: number;
  /** The component's position in the pool, from 0. */
  index: number;
  /** The free chunks, ready or not. */
  readonly freeChunks: ChunkSet;
  /** How many chunks are mapped. */
  used = 0;
  /** How many chunks are being freed. */
  releasing = 0;
  /**
   * Counts how often chunks were unmapped. A read that finds the count changed
   * may have read a chunk that was unmapped and mapped anew meanwhile.
   */
  givenBack = 0;
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
  /** Free bytes of its file system when last asked; undefined if unknown. */
  hostFree: number | undefined;
  /** Set while its file system refuses writes because it is full. */
  refusal: Refusal | undefined;

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
    this.data = device;
    this.geometry = geometry;
    this.freeChunks = new ChunkSet(chunkCount, chunkReserved);
    this.ready = chunkReserved;
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
   * Counts a free chunk as used.
   *
   * @param chunk Its number.
   */
  use(chunk: number): void {
    this.freeChunks.delete(chunk);
    this.used++;
  }
}
