/**
 * Ranges of the virtual disk that become zeroes, or may.
 *
 * Whole chunks are unmapped: their table entries are cleared, and they go the
 * way of {@linkcode Releases} to be free again. Parts of chunks are punched in
 * place, and a chunk that has no data left is unmapped, too. A dense format
 * cannot give chunks back: all is punched there.
 *
 * @module
 */

import type { Completion, WriteZeroesOptions } from "../device/mod.ts";
import { joinParts } from "../device/mod.ts";
import { inBytes, VirstorError } from "../errors.ts";
import type { Component } from "./component.ts";
import { giveBackIfBlank, unmapChunks } from "./give_back.ts";
import type { PartAction } from "./mapped_ranges.ts";
import { eachMapped } from "./mapped_ranges.ts";
import type { PoolParts } from "./parts.ts";
import { turn, TURN_BUDGET } from "./turn.ts";

/** Makes ranges read as zeroes. */
export class Eraser {
  readonly #parts: PoolParts;
  readonly #assertWritable: () => void;

  /**
   * Creates an eraser.
   *
   * @param parts The open pool.
   * @param assertWritable Throws if the pool takes no more writes. Erasing ends
   *   with that error between two turns.
   */
  constructor(parts: PoolParts, assertWritable: () => void) {
    this.#parts = parts;
    this.#assertWritable = assertWritable;
  }

  /**
   * Gives space back. Parts of chunks keep their bytes where holes cannot be
   * punched.
   *
   * @param offset The first byte.
   * @param length How many.
   * @returns A promise if it takes long.
   */
  discard(offset: number, length: number): Completion {
    return this.#erase(offset, length, true, true, discardPart);
  }

  /**
   * Makes a range read as zeroes. What is not mapped does already, and gets a
   * chunk only with `noHole`.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param options How.
   * @returns A promise if it takes long, or if it waits for a chunk.
   */
  zero(
    offset: number,
    length: number,
    options: WriteZeroesOptions,
  ): Completion {
    const { settings: { name }, format, firstWrites } = this.#parts;
    const { noHole = false, fastOnly = false, signal } = options;
    const isFast = format.members.every((one) =>
      one.device.capabilities.fastZeroes
    );
    // Before anything is zeroed, not in the middle.
    if (fastOnly && !isFast) {
      throw new VirstorError(
        "unsupported",
        `Cannot zero ${inBytes(length)} of pool "${name}" fast`,
      );
    }
    const zeroPart: PartAction = ({ data }, at, count) =>
      data.writeZeroes(at, count, { noHole });
    if (!noHole) return this.#erase(offset, length, true, isFast, zeroPart);
    return joinParts([
      () => this.#erase(offset, length, false, false, zeroPart),
      () => firstWrites.write(undefined, offset, length, signal),
    ], (start) => start());
  }

  #erase(
    offset: number,
    length: number,
    mayUnmap: boolean,
    isPunched: boolean,
    act: PartAction,
  ): Completion {
    const { map, settings: { chunkSize }, format } = this.#parts;
    const stop = offset + length;
    const first = Math.ceil(offset / chunkSize);
    const end = Math.floor(stop / chunkSize);
    const mayGiveBack = mayUnmap && isPunched && !format.isDense;
    const actOnPart: PartAction = (component, at, count, virtualChunk) => {
      this.#assertWritable();
      const pending = act(component, at, count, virtualChunk);
      if (!mayGiveBack || pending !== undefined) return pending;
      giveBackIfBlank(this.#parts, virtualChunk, at, count);
      return undefined;
    };
    const inParts = (from: number, count: number) =>
      eachMapped(map, chunkSize, from, count, isPunched, actOnPart);
    if (!mayUnmap || format.isDense || first >= end) {
      return inParts(offset, length);
    }
    return joinParts([
      () => this.#unmap(first, end, (v) => inParts(v * chunkSize, chunkSize)),
      () => inParts(offset, first * chunkSize - offset),
      () => inParts(end * chunkSize, stop - end * chunkSize),
    ], (start) => start());
  }

  /**
   * Unmaps chunks.
   *
   * @param erase What to do with those that have to stay mapped.
   */
  #unmap(
    first: number,
    end: number,
    erase: (virtualChunk: number) => Completion,
  ): Completion {
    const pinned: number[] = [];
    const reached = this.#unmapTurn(first, end, pinned);
    const inPlace = () => joinParts(pinned, erase);
    if (reached === end) return inPlace();
    const rest = async () => {
      await turn();
      this.#assertWritable();
      await this.#unmap(reached, end, erase);
    };
    return joinParts([inPlace, rest], (start) => start());
  }

  /** Unmaps some chunks; returns how far it came. */
  #unmapTurn(first: number, end: number, pinned: number[]): number {
    const { map } = this.#parts;
    const unmapped: number[] = [];
    let v = map.nextMapped(first, end);
    for (
      ;
      v < end && unmapped.length < TURN_BUDGET.unmappedChunks;
      v = map.nextMapped(v + 1, end)
    ) {
      if (map.pinned.has(v)) pinned.push(v);
      else unmapped.push(v);
    }
    unmapChunks(this.#parts, unmapped);
    return v;
  }
}

function discardPart(
  { data }: Component,
  at: number,
  count: number,
): Completion {
  return data.discard(at, count);
}
