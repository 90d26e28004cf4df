/**
 * The overlay of a remote component does as a plain array does that names the
 * newest record of each byte.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type JournalRecord, Overlay } from "../../../pool/remote/mod.ts";
import { Random } from "../../simulation/random.ts";

/** Units of the test; stretches of the overlay have borders between some. */
const UNIT = 300_000;
const UNITS = 40;

function record(sequence: number, first: number, count: number): JournalRecord {
  return {
    ...{ kind: 1, noHole: false, sequence, position: 0, end: sequence },
    offset: first * UNIT,
    length: count * UNIT,
  };
}

/** The record of each unit; fails if the parts are not as promised. */
function unitsOf(overlay: Overlay): (JournalRecord | undefined)[] {
  const units: (JournalRecord | undefined)[] = [];
  let at = 0;
  let last: JournalRecord | undefined | null = null;
  for (const part of overlay.parts({ start: 0, end: UNITS * UNIT })) {
    assertEquals(part.start, at);
    assert(part.end > part.start);
    assert(part.record !== last, "parts are as long as can be");
    last = part.record;
    for (; at < part.end; at += UNIT) units.push(part.record);
    at = part.end;
  }
  assertEquals(at, UNITS * UNIT);
  return units;
}

Deno.test("the overlay knows the newest record of each byte", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const overlay = new Overlay();
    const model = new Array<JournalRecord | undefined>(UNITS).fill(undefined);
    const records: JournalRecord[] = [];
    for (let step = 1; step <= 80; step++) {
      const first = random.below(UNITS);
      const count = 1 + random.below(Math.min(12, UNITS - first));
      const span = { start: first * UNIT, end: (first + count) * UNIT };
      if (random.chance(50) || records.length === 0) {
        const added = record(step, first, count);
        records.push(added);
        overlay.add(added);
        model.fill(added, first, first + count);
      } else {
        const dropped = random.pick(records);
        overlay.drop(dropped, span);
        for (let i = first; i < first + count; i++) {
          if (model[i] === dropped) model[i] = undefined;
        }
      }
      assert(unitsOf(overlay).every((each, i) => each === model[i]), `${seed}`);
      const [from, to] = [random.below(UNITS), random.below(UNITS + 1)];
      for (const [start, end] of [[from, to], [from, from + 1]] as const) {
        // The last byte of a unit, and the first one of another.
        const touches = overlay.touches((start + 1) * UNIT - 1, end * UNIT + 1);
        const has = model.slice(start, end + 1).some((each) => each);
        assertEquals(touches, start < end && has, `${seed}`);
        const whole = overlay.touches(start * UNIT, end * UNIT);
        assertEquals(whole, model.slice(start, end).some((each) => each));
      }
      const some = random.pick(
        records.length > 0 ? records : [record(1, 0, 1)],
      );
      const ranges = overlay.rangesOf(some);
      const bytes = ranges.reduce(
        (sum, { start, end }) => sum + end - start,
        0,
      );
      assertEquals(bytes, model.filter((each) => each === some).length * UNIT);
    }
    const whole = { start: 0, end: UNITS * UNIT };
    for (const each of records) overlay.drop(each, whole);
    assert(overlay.isEmpty);
  }
});
