/**
 * Chunks that are being moved to another component. A write to such a chunk
 * goes to both places, so that the copy misses nothing. Reads use the old
 * place.
 *
 * @module
 */

import type { Completion, WriteZeroesOptions } from "../../device/block/mod.ts";
import { assert } from "../../errors.ts";
import type { ChunkDevice, ComponentDevice } from "./component_device.ts";
import type { WrittenRanges } from "./written_ranges.ts";

/** A chunk that is being copied from one component to another. */
export interface MirroredChunk {
  /** The component that holds it. */
  readonly source: { readonly device: ChunkSource };
  /** Its number on the source. */
  readonly from: number;
  /** The component that it moves to. */
  readonly target: { readonly device: ChunkTarget };
  /** Its number on the target. */
  readonly to: number;
  /** Why the copy is unusable; undefined if it is sound. */
  fault: unknown;
  /**
   * What was changed, in both places, while a piece is being read; bytes from
   * the start of the chunk. Undefined while none is.
   */
  written?: WrittenRanges | undefined;
}

/** The device that a chunk is copied from. */
export type ChunkSource = Pick<
  ComponentDevice,
  "read" | "extents" | "isRemote"
>;

/** The device that a chunk is copied to. */
export type ChunkTarget = ChunkDevice & Pick<ComponentDevice, "behind">;

/** The chunk I/O of a component, some chunks of which are being moved. */
export class MovingChunks implements ChunkDevice {
  readonly #device: ChunkDevice;
  readonly #chunkSize: number;
  /** The moves, by the chunk's number on this component. */
  readonly #moves = new Map<number, MirroredChunk>();

  /**
   * Wraps the chunk I/O of a component; no chunk is being moved yet.
   *
   * @param device The component's own chunk I/O.
   * @param chunkSize Bytes of a chunk.
   */
  constructor(device: ChunkDevice, chunkSize: number) {
    this.#device = device;
    this.#chunkSize = chunkSize;
  }

  /** How many chunks are being moved; each has its new place already. */
  get count(): number {
    return this.#moves.size;
  }

  /** The chunks that are being moved. */
  get moves(): Iterable<Pick<MirroredChunk, "target" | "to">> {
    return this.#moves.values();
  }

  /**
   * Starts a move: from now on, writes to the chunk go to both places.
   *
   * @param move The chunk.
   */
  begin(move: MirroredChunk): void {
    this.#moves.set(move.from, move);
  }

  /**
   * Asserts that a move is under way, so that its copy has missed no write.
   *
   * @param move The chunk.
   */
  assertMoving(move: MirroredChunk): void {
    assert(
      this.#moves.get(move.from) === move,
      "writes to a moving chunk go to both places",
    );
  }

  /**
   * Ends a move: from now on, writes to the chunk go to one place.
   *
   * @param move The chunk.
   */
  end(move: MirroredChunk): void {
    this.#moves.delete(move.from);
  }

  /**
   * Reads from the old place.
   *
   * @param target The buffer to fill.
   * @param offset Offset on the component, bytes.
   * @returns The result of the component's read.
   */
  read(target: Uint8Array, offset: number): Completion {
    return this.#device.read(target, offset);
  }

  /**
   * Writes to the old place, and to the new place if the chunk is being moved.
   *
   * @param source The bytes to write, all in one chunk.
   * @param offset Offset on the component, bytes.
   * @returns When the old place has it. The new one has it before the entry that
   *   makes it count.
   */
  write(source: Uint8Array, offset: number): Completion {
    const pending = this.#device.write(source, offset);
    this.#mirror(
      offset,
      source.length,
      (target, at) => target.write(source, at),
    );
    return pending;
  }

  /**
   * Discards in the old place, and in the new one if the chunk is being moved.
   *
   * @param offset Offset on the component, bytes.
   * @param length Bytes to discard, all in one chunk.
   * @returns As {@linkcode write}.
   */
  discard(offset: number, length: number): Completion {
    const pending = this.#device.discard(offset, length);
    this.#mirror(offset, length, (target, at) => target.discard(at, length));
    return pending;
  }

  /**
   * Zeroes the old place, and the new place if the chunk is being moved.
   *
   * @param offset Offset on the component, bytes.
   * @param length Bytes to zero, all in one chunk.
   * @param options How to zero.
   * @returns As {@linkcode write}.
   */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Completion {
    const pending = this.#device.writeZeroes(offset, length, options);
    this.#mirror(
      offset,
      length,
      (target, at) => target.writeZeroes(at, length, options),
    );
    return pending;
  }

  #mirror(
    offset: number,
    length: number,
    act: (target: ChunkDevice, at: number) => Completion,
  ): void {
    const chunk = Math.floor(offset / this.#chunkSize);
    const move = this.#moves.get(chunk);
    if (move === undefined || move.fault !== undefined) return;
    const at = offset + (move.to - chunk) * this.#chunkSize;
    const within = offset - chunk * this.#chunkSize;
    move.written?.add(within, within + length);
    const failed = (error: unknown) => {
      // The old place has the data: the request succeeds, the move fails.
      move.fault ??= error;
    };
    try {
      act(move.target.device, at)?.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}
