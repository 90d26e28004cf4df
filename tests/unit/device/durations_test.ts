/**
 * Histograms of durations: what falls into which bucket.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import {
  DURATION_BOUNDS,
  DURATION_NUMBERS,
  Durations,
} from "../../../device/measures/durations.ts";

/** The bucket that a duration falls into. */
function bucketOf(us: number): number {
  const durations = new Durations();
  durations.note(us / 1000);
  return durations.buckets.indexOf(1);
}

Deno.test("a bucket holds what takes up to its bound, which it includes", () => {
  assertEquals([-1, 0, 0.5, 1].map(bucketOf), [0, 0, 0, 0]);
  assertEquals([1.001, 2, 2.001, 3, 4, 4.5].map(bucketOf), [1, 1, 2, 2, 2, 3]);
  for (let bucket = 3; bucket < DURATION_BOUNDS; bucket++) {
    assertEquals(bucketOf(2 ** bucket), bucket);
    assertEquals(bucketOf(2 ** bucket + 1), bucket + 1);
  }
  const last = DURATION_BOUNDS;
  assertEquals([2 ** 40, Infinity, 2 ** 53].map(bucketOf), [last, last, last]);
});

Deno.test("a histogram sums up, and takes over the numbers of others", () => {
  const numbers = new Float64Array(DURATION_NUMBERS);
  const durations = new Durations(numbers);
  durations.note(1, 3);
  durations.note(0.5);
  assertEquals([durations.count, durations.seconds], [4, 0.0035]);
  const again = new Durations(numbers.slice());
  again.add(durations);
  assertEquals([again.count, again.seconds], [8, 0.007]);
  assertEquals([durations.count, durations.seconds], [4, 0.0035]);
  const other = new Float64Array(DURATION_NUMBERS).fill(7);
  durations.moveTo(other);
  durations.note(1);
  assertEquals([durations.count, durations.seconds], [5, 0.0045]);
  assertEquals(new Durations(other).count, 5);
  assertEquals(new Durations(numbers).count, 4);
});
