/**
 * Goal: runs of data and holes are right, and the system is asked for each run
 * once only. Method: a file in memory that counts what it is asked, with holes
 * that come and go; random runs against a plain array.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { KnownData, runsOf } from "../../../device/file/file_runs.ts";
import { randomOf } from "../../helpers/small_pools.ts";

const SIZE = 400;

/** A file of blocks of one byte, data or holes. */
class Blocks {
  readonly isData = new Uint8Array(SIZE);
  readonly known = new KnownData();
  seeks = 0;

  write(start: number, end: number): void {
    this.isData.fill(1, start, end);
  }

  punch(start: number, end: number): void {
    this.isData.fill(0, start, end);
    this.known.remove(start, end);
  }

  /** As the file device does. */
  extents(offset: number, length: number, limit = Infinity) {
    return runsOf(offset, offset + length, limit, {
      nextData: (at) => this.known.endOf(at) < 0 ? this.#next(at, 1) : at,
      nextHole: (at) => {
        const end = this.known.endOf(at);
        if (end >= 0) return end;
        const hole = this.#next(at, 0);
        this.known.add(at, hole);
        return hole;
      },
    });
  }

  #next(at: number, wanted: number): number {
    this.seeks++;
    const index = this.isData.indexOf(wanted, at);
    return index < 0 ? SIZE : index;
  }
}

Deno.test("a run of data is looked for once, however often it is asked for", () => {
  const file = new Blocks();
  file.write(0, SIZE);
  for (let at = 0; at < SIZE; at += 10) {
    assertEquals(file.extents(at, 10), [{ length: 10, kind: "data" }]);
  }
  assert(file.seeks <= 2, `${file.seeks} seeks`);
  file.punch(100, 110);
  assertEquals(file.extents(0, SIZE), [
    { length: 100, kind: "data" },
    { length: 10, kind: "hole" },
    { length: SIZE - 110, kind: "data" },
  ]);
  assert(file.seeks <= 4, `${file.seeks} seeks: the rest is still known`);
});

Deno.test("a run that has grown is reported as one", () => {
  const file = new Blocks();
  file.write(0, 10);
  assertEquals(file.extents(0, 10), [{ length: 10, kind: "data" }]);
  file.write(10, 20);
  assertEquals(file.extents(0, 30), [
    { length: 20, kind: "data" },
    { length: 10, kind: "hole" },
  ]);
});

Deno.test("runs are right after any writes and punches", () => {
  const random = randomOf(7);
  const below = (limit: number) => Math.floor(random() * limit);
  for (let round = 0; round < 50; round++) {
    const file = new Blocks();
    for (let step = 0; step < 200; step++) {
      const start = below(SIZE - 1);
      const end = start + 1 + below(Math.min(40, SIZE - start - 1) + 1);
      if (step % 3 === 0) file.punch(start, Math.min(end, SIZE));
      else if (step % 3 === 1) file.write(start, Math.min(end, SIZE));
      else {
        let at = start;
        const limit = step % 2 === 0 ? 3 : Infinity;
        for (
          const { length, kind } of file.extents(start, SIZE - start, limit)
        ) {
          const wanted = file.isData.subarray(at, at + length);
          const value = kind === "data" ? 1 : 0;
          assert(wanted.every((one) => one === value), `${at}+${length}`);
          at += length;
        }
        assert(at > start && (at === SIZE || limit === 3), `reached ${at}`);
      }
    }
  }
});

Deno.test("what is known of a file is bounded", () => {
  const file = new Blocks();
  file.write(0, SIZE);
  file.extents(0, SIZE);
  for (let at = 0; at < SIZE; at += 2) file.punch(at, at + 1);
  let known = 0;
  for (let at = 0; at < SIZE; at++) if (file.known.endOf(at) > at) known++;
  assert(known <= 64, `${known} runs`);
  assertEquals(file.extents(0, 4).map(({ kind }) => kind), [
    ...["hole", "data", "hole", "data"],
  ]);
});
