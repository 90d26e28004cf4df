/**
 * Chunks while they are moved from one component to another: what is written
 * to one of them goes to both places, so that the copy misses nothing. Reads
 * come from the old place.
 *
 * @module
 */

import type {
  BlockDevice,
  Completion,
  WriteZeroesOptions,
} from "../../device/block/mod.ts";
import { assert } from "../../errors.ts";
import { type ChunkDevice, finished } from "./component_device.ts";

/** A chunk that is being copied from one component to another. */
export interface MirroredChunk {
  /** Where the chunk is. */
  readonly source: { readonly device: ChunkSource };
  /** Its number there. */
  readonly from: number;
  /** Where the copy goes. */
  readonly target: { readonly device: ChunkDevice };
  /** Its number there. */
  readonly to: number;
  /** What went wrong with the copy, which then cannot be used. */
  fault: unknown;
}

/** What a chunk is copied from. */
export type ChunkSource = Pick<BlockDevice, "read" | "extents">;

/** The chunks of a component, some of which are being moved. */
export class MovingChunks implements ChunkDevice {
  readonly #device: ChunkDevice;
  readonly #chunkSize: number;
  /** By the chunk's number on this component. */
  readonly #moves = new Map<number, MirroredChunk>();

  /**
   * Takes over a component's chunks; none is being moved yet.
   *
   * @param device What they are kept on.
   * @param chunkSize Bytes of a chunk.
   */
  constructor(device: ChunkDevice, chunkSize: number) {
    this.#device = device;
    this.#chunkSize = chunkSize;
  }

  /** How many chunks are being moved: each has its new place already. */
  get count(): number {
    return this.#moves.size;
  }

  /**
   * From now on writes to a chunk go to both places.
   *
   * @param move The chunk.
   */
  begin(move: MirroredChunk): void {
    this.#moves.set(move.from, move);
  }

  /**
   * Asserts that a chunk is being moved: its copy has missed no write.
   *
   * @param move The chunk.
   */
  assertMoving(move: MirroredChunk): void {
    assert(
      this.#moves.get(move.from) === move,
      "a chunk that is moved was written in both places",
    );
  }

  /**
   * From now on they go to one place again.
   *
   * @param move The chunk.
   */
  end(move: MirroredChunk): void {
    this.#moves.delete(move.from);
  }

  /**
   * Reads from the old place.
   *
   * @param target Where the bytes go.
   * @param offset The first byte on the component.
   * @returns As the component's device.
   */
  read(target: Uint8Array, offset: number): Completion {
    return this.#device.read(target, offset);
  }

  /**
   * Writes to the old place, and to the new one.
   *
   * @param source The bytes.
   * @param offset The first byte on the component.
   * @returns Nothing: it is done.
   */
  write(source: Uint8Array, offset: number): Completion {
    finished(this.#device.write(source, offset));
    this.#mirror(offset, (target, at) => target.write(source, at));
    return undefined;
  }

  /**
   * Discards in the old place, and in the new one.
   *
   * @param offset The first byte on the component.
   * @param length How many.
   * @returns Nothing: it is done.
   */
  discard(offset: number, length: number): Completion {
    finished(this.#device.discard(offset, length));
    this.#mirror(offset, (target, at) => target.discard(at, length));
    return undefined;
  }

  /**
   * Writes zeroes to the old place, and to the new one.
   *
   * @param offset The first byte on the component.
   * @param length How many.
   * @param options How.
   * @returns Nothing: it is done.
   */
  writeZeroes(
    offset: number,
    length: number,
    options?: WriteZeroesOptions,
  ): Completion {
    finished(this.#device.writeZeroes(offset, length, options));
    this.#mirror(
      offset,
      (target, at) => target.writeZeroes(at, length, options),
    );
    return undefined;
  }

  #mirror(
    offset: number,
    act: (target: ChunkDevice, at: number) => Completion,
  ): void {
    const chunk = Math.floor(offset / this.#chunkSize);
    const move = this.#moves.get(chunk);
    if (move === undefined || move.fault !== undefined) return;
    const at = offset + (move.to - chunk) * this.#chunkSize;
    try {
      finished(act(move.target.device, at));
    } catch (error) {
      // The old place has it: the request is done, and the move is off.
      move.fault = error;
    }
  }
}
