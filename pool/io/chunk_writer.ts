/**
 * Writes to one chunk of a volume, at once: in place, to a chunk that is mapped
 * for it, or to a copy of a chunk that a snapshot sees.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import type { Component, ForwardMap, HostSpaces } from "../core/mod.ts";
import type { ChunkCopies, CopyPiece } from "./chunk_copies.ts";
import type { ChunkMapper } from "./chunk_mapper.ts";
import type { DelayedWrites } from "./delayed_writes.ts";
import type { VolumeLimits } from "./volume_limits.ts";

/** What writes to chunks work with. */
export interface ChunkWriterParts {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  /** The map of the volume. */
  readonly map: ForwardMap;
  /** The free space of the host's file systems. */
  readonly hosts: HostSpaces;
  /** Maps free chunks. */
  readonly mapper: ChunkMapper;
  /** The copies of chunks. */
  readonly copies: ChunkCopies;
  /** The writes that wait: none overtakes them. */
  readonly delayed: DelayedWrites;
  /** What bounds the chunks of the volume. */
  readonly limits: VolumeLimits;
  /**
   * Unmaps a chunk whose component has no room for a write, if the chunk has no
   * data.
   */
  readonly unmaps: (write: FailedWrite) => boolean;
}

/** A write to a chunk that has failed. */
export interface FailedWrite {
  /** The virtual chunk; mapped. */
  readonly virtualChunk: number;
  /** Why it failed. */
  readonly error: unknown;
}

/** Writes to the chunks of a volume. */
export class ChunkWriter {
  /** Chunks mapped since the pool was opened. */
  count = 0;
  readonly #parts: ChunkWriterParts;

  /**
   * Begins with no chunk mapped.
   *
   * @param parts What it works with.
   */
  constructor(parts: ChunkWriterParts) {
    this.#parts = parts;
  }

  /**
   * Whether the volume sees a chunk, of its own or its parent's.
   *
   * @param chunk The virtual chunk.
   * @returns Whether it is mapped in the volume's view.
   */
  isSeen(chunk: number): boolean {
    return this.#parts.map.view.component(chunk) !== undefined;
  }

  /**
   * Finds a free chunk.
   *
   * @returns The component whose next chunk the volume may take now.
   */
  fresh(): Component | undefined {
    const { limits, mapper } = this.#parts;
    return limits.mayTake ? mapper.fresh() : undefined;
  }

  /**
   * Writes in place, unless the chunk is unmapped, or was for want of room.
   *
   * @param chunk The virtual chunk.
   * @param piece The bytes.
   * @param within The offset of the first byte in the chunk.
   * @param pending Receives a promise if the write is complete later.
   * @returns Whether it is written.
   * @throws {VirstorError} `io`.
   */
  overwriteMapped(
    chunk: number,
    piece: Uint8Array,
    within: number,
    pending: Promise<void>[],
  ): boolean {
    const component = this.#parts.map.writable(chunk);
    if (component === undefined) return false;
    try {
      const written = this.overwrite(component, chunk, piece, within);
      if (written !== undefined) pending.push(written);
      return true;
    } catch (error) {
      if (!this.#parts.unmaps({ virtualChunk: chunk, error })) throw error;
      return false;
    }
  }

  /**
   * Writes to a chunk of the volume's own.
   *
   * @param component The component of the chunk.
   * @param chunk The virtual chunk.
   * @param piece The bytes.
   * @param within The offset of the first byte in the chunk.
   * @returns A promise if the write is complete later.
   * @throws {VirstorError} `io`.
   */
  overwrite(
    component: Component,
    chunk: number,
    piece: Uint8Array,
    within: number,
  ): Completion {
    const { map, chunkSize, hosts } = this.#parts;
    const at = map.chunk(chunk) * chunkSize + within;
    return hosts.write(component, piece, at);
  }

  /**
   * Writes to a chunk that has to be mapped or copied, unless none is free or
   * others wait.
   *
   * @param chunk The virtual chunk.
   * @param source The bytes.
   * @param within The offset of the first byte in the chunk.
   * @param pending Receives a promise if the write, or a copy, takes time.
   * @returns Whether the write has begun.
   * @throws {VirstorError} `io`, `failed`.
   */
  beginNow(
    chunk: number,
    source: Uint8Array,
    within: number,
    pending: Promise<void>[],
  ): boolean {
    const { copies, delayed } = this.#parts;
    const isCopying = copies.has(chunk);
    if (!isCopying && !this.isSeen(chunk)) {
      return this.#writeNow(chunk, source, within, pending);
    }
    const piece = { source, within };
    let copying: Completion;
    if (isCopying) copying = copies.join(chunk, piece);
    else {
      if (delayed.size > 0) return false;
      const target = this.fresh();
      if (target === undefined) return false;
      copying = this.copy(target, chunk, [piece]);
    }
    if (copying !== undefined) pending.push(copying);
    return true;
  }

  /**
   * Maps a chunk without data, unless none is free or others wait.
   *
   * @param chunk The virtual chunk.
   * @param pending Receives a promise if the mapping is complete later.
   * @returns Whether it is mapped.
   * @throws {VirstorError} `failed`.
   */
  mapNow(chunk: number, pending: Promise<void>[]): boolean {
    return this.#writeNow(chunk, undefined, 0, pending);
  }

  /**
   * Maps a chunk and writes to it.
   *
   * @param component What {@linkcode fresh} returned.
   * @param chunk The virtual chunk.
   * @param piece The bytes; undefined for none.
   * @param within The offset of the first byte in the chunk.
   * @returns A promise if data and mapping are complete later.
   * @throws {VirstorError} `io`, `failed`.
   */
  place(
    component: Component,
    chunk: number,
    piece: Uint8Array | undefined,
    within: number,
  ): Completion {
    const { mapper, map } = this.#parts;
    mapper.map(map, chunk, component, piece, within);
    this.count++;
    // Another component may have taken its place.
    return map.component(chunk)?.device.behind;
  }

  /**
   * Copies a chunk that the volume sees, and writes to the copy.
   *
   * @param target What {@linkcode fresh} returned.
   * @param chunk The virtual chunk.
   * @param pieces What is written after the copy.
   * @returns A promise if the copy waits.
   * @throws {VirstorError} `io`, `failed`.
   */
  copy(
    target: Component,
    chunk: number,
    pieces: readonly CopyPiece[],
  ): Completion {
    this.count++;
    return this.#parts.copies.begin(chunk, target, pieces);
  }

  #writeNow(
    chunk: number,
    piece: Uint8Array | undefined,
    within: number,
    pending: Promise<void>[],
  ): boolean {
    if (this.#parts.delayed.size > 0) return false;
    const component = this.fresh();
    if (component === undefined) return false;
    const placed = this.place(component, chunk, piece, within);
    if (placed !== undefined) pending.push(placed);
    return true;
  }
}
