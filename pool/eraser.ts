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
import { both, Slice } from "../device/mod.ts";
import { assert, VirstorError } from "../errors.ts";
import type { Component } from "./component.ts";
import type { PartAction } from "./mapped_ranges.ts";
import { eachMapped } from "./mapped_ranges.ts";
import type { PoolParts } from "./parts.ts";
import { turn } from "./turn.ts";

/**
 * So many chunks are unmapped between two looks at the clock: about 2 ms if
 * each has its entry on another page of a table.
 */
const CHUNKS_A_LOOK = 128;

/** How zeroes are written. */
export interface ZeroOptions {
  /** Chunks keep their place, and their space. */
  readonly noHole: boolean;
  /** Fail with `unsupported` if it is no faster than writing. */
  readonly fastOnly: boolean;
}

/** A range that is to be erased. */
interface Erasure {
  readonly offset: number;
  readonly length: number;
  readonly owner: object | undefined;
  readonly mayUnmap: boolean;
}

/** Makes ranges read as zeroes. */
export class Eraser {
  readonly #parts: PoolParts;

  /**
   * Creates an eraser.
   *
   * @param parts The open pool.
   */
  constructor(parts: PoolParts) {
    this.#parts = parts;
  }

  /**
   * Gives space back. Parts of chunks keep their bytes where holes cannot be
   * punched.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param owner Whose turns it takes, see {@linkcode turn}.
   * @returns A promise if it takes long.
   */
  discard(
    offset: number,
    length: number,
    owner: object | undefined,
  ): Completion {
    return this.#erase({ offset, length, owner, mayUnmap: true }, discardPart);
  }

  /**
   * Makes what is mapped of a range read as zeroes.
   *
   * @param offset The first byte.
   * @param length How many.
   * @param options How.
   * @param owner Whose turns it takes, see {@linkcode turn}.
   * @returns A promise if it takes long.
   */
  zero(
    offset: number,
    length: number,
    options: ZeroOptions,
    owner: object | undefined,
  ): Completion {
    const isFast = this.#parts.format.members.every((one) =>
      one.device.capabilities.fastZeroes
    );
    // Before anything is zeroed, not in the middle.
    if (options.fastOnly && !isFast) {
      throw new VirstorError(
        "unsupported",
        `Cannot zero ${length} bytes of pool ` +
          `"${this.#parts.settings.name}" fast`,
      );
    }
    const how = { noHole: options.noHole };
    return this.#erase(
      { offset, length, owner, mayUnmap: !options.noHole },
      ({ data }, at, count) => data.writeZeroes(at, count, how),
    );
  }

  #erase(
    { offset, length, owner, mayUnmap }: Erasure,
    act: PartAction,
  ): Completion {
    const { map, settings: { chunkSize }, format } = this.#parts;
    const stop = offset + length;
    const first = Math.ceil(offset / chunkSize);
    const end = Math.floor(stop / chunkSize);
    const inParts = (from: number, count: number) =>
      eachMapped({ map, chunkSize, offset: from, length: count }, owner, act);
    if (!mayUnmap || format.isDense || first >= end) {
      return inParts(offset, length);
    }
    const whole = this.#unmap(
      first,
      end,
      owner,
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
    owner: object | undefined,
    erase: (virtualChunk: number) => Completion,
  ): Completion {
    const pinned: number[] = [];
    const slice = new Slice(CHUNKS_A_LOOK);
    slice.begin();
    let reached = first;
    do reached = this.#unmapSome(reached, end, pinned); while (
      reached < end && !slice.spend(CHUNKS_A_LOOK)
    );
    let pending: Completion;
    for (const v of pinned) pending = both(pending, erase(v));
    if (reached === end) return pending;
    const rest = turn(owner).then(() =>
      this.#unmap(reached, end, owner, erase)
    );
    return both(pending, rest);
  }

  /** Unmaps some chunks; returns how far it came. */
  #unmapSome(first: number, end: number, pinned: number[]): number {
    const { map, format, releases, fail } = this.#parts;
    const unmapped: number[] = [];
    const places = new Map<Component, number[]>();
    let v = map.nextMapped(first, end);
    for (
      ;
      v < end && unmapped.length < CHUNKS_A_LOOK;
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
