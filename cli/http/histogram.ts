/**
 * Histograms, in version 0.0.4 of the format of Prometheus.
 *
 * @module
 */

import type { Durations } from "../../device/block/mod.ts";
import type { RequestTimes } from "../../nbd/server/export/mod.ts";
import type { Labels, Sample } from "./metric_family.ts";

/** Buckets of durations that are not shown: below 4 µs, and above 17 s. */
const [FIRST_SHOWN, LAST_SHOWN] = [2, 24];

/**
 * The samples of a histogram of durations.
 *
 * @param labels What the durations belong to.
 * @param durations The durations.
 * @returns The buckets, the sum in seconds, and the count.
 */
export function durationSamples(
  labels: Labels,
  durations: Durations,
): Iterable<Sample> {
  const { buckets, seconds } = durations;
  return histogram(labels, {
    buckets,
    boundOf: (bucket) => 2 ** bucket / 1e6,
    shown: [FIRST_SHOWN, LAST_SHOWN],
    sum: seconds,
  });
}

/**
 * The samples of a histogram of the sizes of batches.
 *
 * @param labels What the batches belong to.
 * @param times The batches.
 * @returns The buckets, the sum of all sizes, and the count.
 */
export function batchSamples(
  labels: Labels,
  times: RequestTimes,
): Iterable<Sample> {
  const { batches: buckets, batchedRequests: sum } = times;
  return histogram(labels, {
    buckets,
    boundOf: (bucket) => 2 ** bucket,
    shown: [0, buckets.length - 2],
    sum,
  });
}

/** What a histogram is made of. */
interface Histogram {
  /** How much each bucket holds; the last one holds what is above all bounds. */
  readonly buckets: readonly number[];
  /** The upper bound of a bucket. */
  readonly boundOf: (bucket: number) => number;
  /** The first and the last bucket that is shown. */
  readonly shown: readonly [first: number, last: number];
  readonly sum: number;
}

function* histogram(
  labels: Labels,
  { buckets, boundOf, shown: [first, last], sum }: Histogram,
): Generator<Sample> {
  let count = 0;
  for (const [bucket, value] of buckets.entries()) {
    count += value;
    if (bucket < first || bucket > last) continue;
    const le = String(boundOf(bucket));
    yield [{ ...labels, le }, count, "_bucket"];
  }
  yield [{ ...labels, le: "+Inf" }, count, "_bucket"];
  yield [labels, sum, "_sum"];
  yield [labels, count, "_count"];
}
