/**
 * Mapping free chunks.
 *
 * A chunk is mapped in this order: data, entry of the chunk table (both in the
 * page cache), forward map. A stop before the entry leaves the chunk free; after
 * it the data are there. Nothing is awaited in between.
 *
 * @module
 */

import type { Completion } from "../../device/block/mod.ts";
import { VirstorError } from "../../errors.ts";
import {
  applied,
  caughtUp,
  type Component,
  type ForwardMap,
  type HostSpaces,
  nextMinimum,
  type PassedMark,
  passedMarks,
  type PoolSettings,
} from "../core/mod.ts";
import type { PoolFormat } from "../format/mod.ts";
import type { Settling } from "./settling.ts";
import type { Freeing, Space } from "../space/mod.ts";

/** What a mapper works with. */
export interface MapperParts {
  /** The pool's settings. */
  readonly settings: PoolSettings;
  /** The format, with the components. */
  readonly format: PoolFormat;
  /** The free chunks. */
  readonly space: Space;
  /** Chunks that are being freed. */
  readonly freeing: Freeing;
  /** The free space of the host's file systems. */
  readonly hosts: HostSpaces;
  /** Provisional mappings. */
  readonly settling: Settling;
  /**
   * Stops all writes for good, because the state on disk is unknown.
   *
   * @param cause What happened.
   * @returns The error to throw.
   */
  readonly fail: (cause: unknown) => VirstorError;
}

/** Maps free chunks, for all volumes of a pool. */
export class ChunkMapper {
  readonly #parts: MapperParts;
  #passed: readonly PassedMark[] = [];
  /** With fewer free chunks another watermark is passed. */
  #next = 0;
  /** Whether entries of the chunk table are being collected. */
  #isTogether = false;
  /** Whether a watermark may have been passed meanwhile. */
  #isToWatch = false;

  /**
   * Creates a mapper.
   *
   * @param parts What it works with.
   */
  constructor(parts: MapperParts) {
    this.#parts = parts;
  }

  /**
   * The component whose next chunk may be taken now.
   *
   * @returns The component; undefined if no chunk is free and ready.
   * @throws {VirstorError} `failed`.
   */
  fresh(): Component | undefined {
    try {
      return this.#parts.space.fresh();
    } catch (error) {
      throw this.#parts.fail(error);
    }
  }

  /**
   * The component to map to in place of one whose file system has just refused
   * a write because it is full.
   *
   * @param error The error of the write.
   * @returns The component; undefined if the write failed for another reason,
   *   or no chunk elsewhere is free and ready.
   * @throws {VirstorError} `failed`.
   */
  elsewhere(error: unknown): Component | undefined {
    const { isDense } = this.#parts.format;
    const isNoSpace = error instanceof VirstorError &&
      error.code === "no-space";
    if (isDense || !isNoSpace) return undefined;
    const next = this.fresh();
    return next?.refusal === undefined ? next : undefined;
  }

  /**
   * Maps a virtual chunk to a free chunk. If the component's file system turns
   * out to be full, another component takes its place. Without data it reads as zeroes, also
   * if another version was seen before.
   *
   * @param map The map of the volume.
   * @param virtualChunk The chunk; it is unmapped, or there are no data.
   * @param component What {@linkcode fresh} returned.
   * @param source The data; undefined for none.
   * @param within The offset of the data in the chunk, bytes.
   * @throws {VirstorError} `no-space`, `io`: nothing is mapped. `failed`.
   */
  map(
    map: ForwardMap,
    virtualChunk: number,
    component: Component,
    source: Uint8Array | undefined,
    within: number,
  ): void {
    const { settings: { chunkSize }, space, hosts } = this.#parts;
    const chunk = component.next;
    if (source !== undefined) {
      const at = chunk * chunkSize + within;
      try {
        applied(hosts.write(component, source, at));
      } catch (error) {
        space.spoil(component);
        const other = this.elsewhere(error);
        if (other === undefined) throw error;
        return this.map(map, virtualChunk, other, source, within);
      }
      // It needed space, and got it.
      component.refusal = undefined;
    }
    // A free chunk reads as zeroes, durably: a mapping that hides a version is
    // provisional only if it has data.
    this.#record(map, virtualChunk, component, chunk, false);
    map.replace(virtualChunk, component, chunk);
    space.take(component);
    this.#watchUse(component);
  }

  /**
   * Maps several chunks without data; their entries reach the page cache
   * together, before the call returns. Until then the caller acknowledges
   * nothing and leases nothing.
   *
   * @param work Calls {@linkcode map}, and awaits nothing. No callback of the
   *   pool's user runs before the entries are in the page cache.
   * @throws {VirstorError} `failed`, and what `work` throws.
   */
  mapTogether(work: () => void): void {
    const { format, fail } = this.#parts;
    this.#isTogether = true;
    try {
      format.recordTogether(work);
    } catch (error) {
      throw fail(error);
    } finally {
      this.#isTogether = false;
    }
    if (this.#isToWatch) this.watch();
  }

  /**
   * Takes a free chunk that a copy goes to. The entry is written later, by
   * {@linkcode mapCopy}, or {@linkcode giveUp} frees the chunk.
   *
   * @param component What {@linkcode fresh} returned.
   * @returns The chunk.
   */
  take(component: Component): number {
    const chunk = component.next;
    this.#parts.space.take(component);
    component.unrecorded++;
    this.#watchUse(component);
    return chunk;
  }

  /**
   * Maps a virtual chunk to a chunk that holds a copy of what it hides.
   *
   * @param map The map of the volume.
   * @param virtualChunk The chunk.
   * @param component The component of the copy.
   * @param chunk What {@linkcode take} returned.
   * @throws {VirstorError} `failed`.
   */
  mapCopy(
    map: ForwardMap,
    virtualChunk: number,
    component: Component,
    chunk: number,
  ): void {
    this.#record(map, virtualChunk, component, chunk, true);
    component.unrecorded--;
    map.replace(virtualChunk, component, chunk);
    this.#parts.settling.add(component, chunk);
  }

  /**
   * Frees a chunk that was taken for a copy.
   *
   * @param component The component.
   * @param chunk What {@linkcode take} returned.
   */
  giveUp(component: Component, chunk: number): void {
    component.unrecorded--;
    this.#parts.freeing.add(component, [chunk]);
  }

  /**
   * Clears the entries of chunks in the page cache.
   *
   * @param component The component.
   * @param chunks The chunks, in any order.
   * @throws {VirstorError} `failed`.
   */
  release(component: Component, chunks: readonly number[]): void {
    const { format, settling, fail } = this.#parts;
    try {
      format.recordRelease(component, chunks.toSorted((a, b) => a - b));
    } catch (error) {
      throw fail(error);
    }
    settling.forget(component, chunks);
  }

  /**
   * Waits until everything that was done to the components is complete.
   *
   * @returns Undefined if it is; else rejects if a part of it never will be.
   */
  caughtUp(): Completion {
    return caughtUp(this.#parts.format.members);
  }

  /** Says which watermarks were passed since the last look. */
  watch(): void {
    this.#isToWatch = false;
    const { settings, format: { members } } = this.#parts;
    const { watermarks, chunkSize, onEvent } = settings;
    const passed = passedMarks(members, watermarks, chunkSize);
    this.#next = nextMinimum(members, watermarks, chunkSize);
    for (const one of passed) {
      if (this.#passed.some(({ mark }) => mark === one.mark)) continue;
      onEvent({ kind: "watermark", ...one });
    }
    this.#passed = passed;
  }

  #watchUse(component: Component): void {
    const isLow = this.#parts.space.free < this.#next;
    if (!isLow && component.used !== 1) return;
    if (this.#isTogether) this.#isToWatch = true;
    else this.watch();
  }

  #record(
    map: ForwardMap,
    virtualChunk: number,
    component: Component,
    chunk: number,
    isCopy: boolean,
  ): void {
    const { format, space, fail } = this.#parts;
    const owner = isCopy ? map.provisionalOwner : map.owner;
    try {
      format.recordMapping(virtualChunk, owner, component, chunk);
    } catch (error) {
      // It may have data by now, and belongs to no virtual chunk.
      if (!isCopy) space.spoil(component);
      throw fail(error);
    }
  }
}
