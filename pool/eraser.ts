/**
 * Ranges of the virtual disk that become zeroes, or may.
 *
 * Whole chunks are unmapped: their table entries are cleared, and they go the
 * way of {@linkcode Releases} to be free again. Parts of chunks are punched in
 * place. A dense format cannot give chunks back: all is punched there.
 *
 * @module
 */

import type { Completion } from "../device/mod.ts";
import { both } from "../device/mod.ts";
import { assert, inBytes, VirstorError } from "../errors.ts";
import type { Component } from "./component.ts";
import type { PartAction } from "./mapped_ranges.ts";
import { eachMapped } from "./mapped_ranges.ts";
import type { PoolParts } from "./parts.ts";
import { turn, TURN_BUDGET } from "./turn.ts";

/** How zeroes are written. */
export interface ZeroOptions {
  /** Chunks keep their place, and their space. */
  readonly noHole: boolean;
  /** Fail with `unsupported` if it is no faster than writing. */
  readonly fastOnly: boolean;
}

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
   * Makes what is mapped of a range read as zeroes.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param options How.
   * @returns A promise if it takes long.
   */
  zero(offset: number, length: number, options: ZeroOptions): Completion {
    const isFast = this.#parts.format.members.every((one) =>
      one.device.capabilities.fastZeroes
    );
    const isPunched = !options.noHole && isFast;
    // Before anything is zeroed, not in the middle.
    if (options.fastOnly && !isFast) {
      throw new VirstorError(
        "unsupported",
        `Cannot zero ${inBytes(length)} of pool ` +
          `"${this.#parts.settings.name}" fast`,
      );
    }
    const how = { noHole: options.noHole };
    return this.#erase(
      offset,
      length,
      !options.noHole,
      isPunched,
      ({ data }, at, count) => data.writeZeroes(at, count, how),
    );
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
    const actIfOpen: PartAction = (component, at, count) => {
      this.#assertWritable();
      return act(component, at, count);
    };
    const inParts = (from: number, count: number) =>
      eachMapped(map, chunkSize, from, count, isPunched, actIfOpen);
    if (!mayUnmap || format.isDense || first >= end) {
      return inParts(offset, length);
    }
    const whole = this.#unmap(
      first,
      end,
      (v) => inParts(v * chunkSize, chunkSize),
    );
    const head = inParts(offset, first * chunkSize - offset);
    const tail = inParts(end * chunkSize, stop - end * chunkSize);
    return both(both(head, tail), whole);
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
    let pending: Completion;
    for (const v of pinned) pending = both(pending, erase(v));
    if (reached === end) return pending;
    const rest = turn().then(() => {
      this.#assertWritable();
      return this.#unmap(reached, end, erase);
    });
    return both(pending, rest);
  }

  /** Unmaps some chunks; returns how far it came. */
  #unmapTurn(first: number, end: number, pinned: number[]): number {
    const { map, format, releases, fail } = this.#parts;
    const unmapped: number[] = [];
    const places = new Map<Component, number[]>();
    let v = map.nextMapped(first, end);
    for (
      ;
      v < end && unmapped.length < TURN_BUDGET.unmappedChunks;
      v = map.nextMapped(v + 1, end)
    ) {
      if (map.pinned.has(v)) {
        pinned.push(v);
        continue;
      }
      const component = map.component(v);
      assert(component !== undefined, "a mapped chunk has a component");
      const chunks = places.get(component);
      if (chunks === undefined) places.set(component, [map.chunk(v)]);
      else chunks.push(map.chunk(v));
      unmapped.push(v);
    }
    for (const [component, chunks] of places) {
      chunks.sort((a, b) => a - b);
      try {
        format.recordRelease(component, chunks);
      } catch (error) {
        throw fail(error);
      }
    }
    for (const one of unmapped) map.delete(one);
    for (const [component, chunks] of places) releases.add(component, chunks);
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
