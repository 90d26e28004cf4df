/**
 * Reads of the virtual disk, chunk by chunk.
 *
 * What is in the page cache is read at once. What is not is waited for while
 * others go on, so meanwhile the chunk may be given back and become another's.
 * So where it is is looked up again afterwards: if that has changed, or any
 * chunk of the component was given back, the bytes are read anew.
 *
 * @module
 */

import { type Completion, joinParts } from "../../device/block/mod.ts";
import type { ChunkView, Component } from "../core/mod.ts";

/** So often it is waited for a chunk that changes its place; then no more. */
const COLD_TRIES = 4;

/** Reads what is mapped, and zeroes where nothing is. */
export class Reads {
  readonly #viewed: { readonly view: ChunkView };
  readonly #chunkSize: number;
  readonly #assertComplete: () => void;

  /**
   * Reads what a volume or a snapshot sees.
   *
   * @param viewed Where each virtual chunk is: the view of a clone changes when
   *   it is flattened.
   * @param chunkSize Bytes of a chunk.
   * @param assertComplete Throws if a chunk that is not mapped may be on a
   *   component that is missing.
   */
  constructor(
    viewed: { readonly view: ChunkView },
    chunkSize: number,
    assertComplete: () => void,
  ) {
    this.#viewed = viewed;
    this.#chunkSize = chunkSize;
    this.#assertComplete = assertComplete;
  }

  /**
   * Reads.
   *
   * @param target Where the bytes go.
   * @param offset The first byte; the range is on the disk.
   * @returns A promise if it has to be waited for.
   * @throws {VirstorError} `io`.
   */
  read(target: Uint8Array, offset: number): Completion {
    const length = target.length;
    const chunkSize = this.#chunkSize;
    const chunk = Math.floor(offset / chunkSize);
    const within = offset - chunk * chunkSize;
    if (within + length <= chunkSize) {
      return this.#readPiece(target, chunk, within);
    }
    const pieces = Math.ceil((within + length) / chunkSize);
    return joinParts(Array(pieces).keys(), (piece) => {
      const at = piece * chunkSize - within;
      const bytes = target.subarray(Math.max(0, at), at + chunkSize);
      return this.#readPiece(bytes, chunk + piece, Math.max(0, -at));
    });
  }

  #readPiece(target: Uint8Array, chunk: number, within: number): Completion {
    const { view } = this.#viewed;
    const component = view.component(chunk);
    if (component === undefined) {
      this.#assertComplete();
      target.fill(0);
      return undefined;
    }
    const at = view.chunk(chunk) * this.#chunkSize + within;
    const { device } = component;
    if (device.readCached === undefined || target.length === 0) {
      return device.read(target, at);
    }
    const done = device.readCached(target, at);
    if (done === target.length) return undefined;
    return this.#readCold(target, chunk, within, component, done);
  }

  /**
   * Waits for the rest of a piece.
   *
   * @param done Bytes that are there, of `component`.
   * @param tries So often it was waited for.
   */
  #readCold(
    target: Uint8Array,
    chunk: number,
    within: number,
    component: Component,
    done: number,
    tries = 0,
  ): Completion {
    const { device } = component;
    const place = this.#viewed.view.chunk(chunk);
    const givenBack = component.givenBackOf(place);
    const at = place * this.#chunkSize + within;
    // A remote component has no read that ends at once; its chunks are counted
    // one by one, so others that are given back cause no try.
    const isLast = tries === COLD_TRIES && device.isRemote !== true;
    if (device.readCold === undefined || isLast) {
      return device.read(target, at);
    }
    const ended = (failure: unknown): Completion => {
      const { view } = this.#viewed;
      const now = view.component(chunk);
      if (now === component && view.chunk(chunk) === place) {
        if (failure !== undefined) throw failure;
        if (component.givenBackOf(place) === givenBack) return undefined;
      }
      if (now === undefined) {
        this.#assertComplete();
        target.fill(0);
        return undefined;
      }
      // Also what was there at first may be another's by now.
      return this.#readCold(target, chunk, within, now, 0, tries + 1);
    };
    return device.readCold(target, at, done)
      .then(() => ended(undefined), ended);
  }
}
