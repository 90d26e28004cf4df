/**
 * A set of chunk numbers against a plain `Set`, also where it ends in the
 * middle of a word.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../errors.ts";
import { ChunkSet } from "../../../pool/core/chunk_set.ts";
import { randomOf } from "../../helpers/small_pools.ts";

/** Around words of 32 bits. */
const ENDS = [0, 1, 2, 31, 32, 33, 63, 64, 65, 95, 96, 100, 320, 333];

/** What the set should say, from a set that is simply searched. */
class Model {
  readonly #chunks = new Set<number>();
  readonly #end: number;

  constructor(end: number, from: number) {
    this.#end = end;
    for (let i = from; i < end; i++) this.#chunks.add(i);
  }

  has(chunk: number): boolean {
    return this.#chunks.has(chunk);
  }

  add(chunk: number): void {
    this.#chunks.add(chunk);
  }

  delete(chunk: number): void {
    this.#chunks.delete(chunk);
  }

  get size(): number {
    return this.#chunks.size;
  }

  next(from: number): number {
    let i = from;
    while (i < this.#end && !this.#chunks.has(i)) i++;
    return i;
  }

  nextGap(from: number, limit: number): number {
    let i = from;
    while (i < limit && this.#chunks.has(i)) i++;
    return i;
  }
}

function assertSame(set: ChunkSet, model: Model): void {
  const { end } = set;
  assertEquals([set.size, set.first()], [model.size, model.next(0)]);
  // An assertion on arrays takes longer than all that is asserted.
  for (let from = 0; from <= end; from++) {
    assert(set.has(from) === model.has(from), `has(${from})`);
    assert(set.next(from) === model.next(from), `next(${from})`);
    for (const limit of [from, Math.min(end, from + 40), end]) {
      const isSame = set.nextGap(from, limit) === model.nextGap(from, limit);
      assert(isSame, `nextGap(${from}, ${limit})`);
    }
  }
}

Deno.test("ChunkSet begins with all numbers from one on, wherever that is", () => {
  for (const end of ENDS) {
    for (let from = 0; from <= end; from++) {
      const set = new ChunkSet(end, from);
      assertSame(set, new Model(end, from));
    }
  }
});

Deno.test("ChunkSet does as a plain Set does, for thousands of random changes", () => {
  const random = randomOf(11);
  const below = (end: number) => Math.floor(random() * end);
  for (const end of ENDS.filter((end) => end > 0)) {
    for (const from of [0, Math.floor(end / 2), end]) {
      const set = new ChunkSet(end, from);
      const model = new Model(end, from);
      for (let i = 0; i < 400; i++) {
        const chunk = below(end);
        // Long runs of both kinds, not only noise.
        const count = Math.min(1 + below(random() < 0.2 ? 70 : 3), end - chunk);
        const isAdding = random() < 0.5;
        for (let at = chunk; at < chunk + count; at++) {
          if (set.has(at) === isAdding) continue;
          if (isAdding) set.add(at);
          else set.delete(at);
          if (isAdding) model.add(at);
          else model.delete(at);
        }
        const place = below(end + 1);
        const limit = place + below(end + 1 - place);
        assertEquals(
          [set.size, set.first(), set.next(place), set.nextGap(place, limit)],
          [
            model.size,
            model.next(0),
            model.next(place),
            model.nextGap(place, limit),
          ],
        );
      }
      assertSame(set, model);
    }
  }
});

Deno.test("ChunkSet finds the lowest again after it was taken and given back", () => {
  const set = new ChunkSet(1000, 0);
  for (let i = 0; i < 1000; i++) {
    assertEquals(set.first(), i);
    set.delete(i);
  }
  assertEquals([set.size, set.first(), set.next(0)], [0, 1000, 1000]);
  for (const chunk of [999, 500, 31, 0]) {
    set.add(chunk);
    assertEquals(set.first(), chunk);
  }
  assertEquals([set.size, set.next(1), set.next(32)], [4, 31, 500]);
});

Deno.test("ChunkSet asserts that chunks are added once, taken once, and exist", () => {
  const set = new ChunkSet(40, 10);
  assertThrows(() => set.add(10), AssertionError);
  assertThrows(() => set.add(40), AssertionError);
  assertThrows(() => set.delete(9), AssertionError);
  assertThrows(() => set.delete(40), AssertionError);
  assertEquals(set.size, 30);
});
