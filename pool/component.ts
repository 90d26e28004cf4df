/**
 * A component of an open pool: a device, and which of its chunks are in use.
 *
 * @module
 */

import type { BlockDevice, FileDeviceOptions } from "../device/mod.ts";
import { FileDevice } from "../device/mod.ts";

/** What a component is kept on. */
export interface ComponentDevice extends BlockDevice {
  /** Where it was found. */
  readonly path: string;
  /** The same for two devices if and only if they are the same file. */
  readonly identity: string;
}

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
  /**
   * The next chunk to be allocated. Chunks from `chunkReserved` up to this one
   * are in use, the others are free: format 1 leaves no gaps.
   */
  next: number;
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
    this.id = id;
    this.index = index;
    this.device = device;
    this.geometry = geometry;
    this.next = geometry.chunkReserved;
    this.ready = geometry.chunkReserved;
  }

  /** Chunks in use for data. */
  get used(): number {
    return this.next - this.geometry.chunkReserved;
  }

  /** Chunks that are neither in use nor reserved. */
  get free(): number {
    return this.geometry.chunkCount - this.next;
  }
}
