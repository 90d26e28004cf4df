/**
 * The load of the last minutes, for a chart: a sample every two seconds.
 *
 * @module
 */

import type { Durations } from "../../device/block/mod.ts";
import type { RequestTimes } from "../../nbd/server/export/mod.ts";
import { COMMAND_READ, COMMAND_WRITE } from "../../nbd/wire/mod.ts";
import type { MetricsSource } from "./metrics_source.ts";

/** Samples that are kept: ten minutes. */
const SAMPLES_MAX = 300;
/** The share of requests that are faster than the latency that is shown. */
const SHARE = 0.99;

/** What changed between two looks at the server; rates are per second. */
export interface LoadSample {
  /** When, milliseconds since 1970. */
  readonly time: number;
  /** READ requests. */
  readonly reads: number;
  /** WRITE requests. */
  readonly writes: number;
  /** Bytes of READ requests. */
  readonly readBytes: number;
  /** Bytes of WRITE requests. */
  readonly writtenBytes: number;
  /** What 99 % of the READs took at most, seconds; null without any. */
  readonly readLatency: number | null;
  /** The same of WRITEs. */
  readonly writeLatency: number | null;
  /** Bytes of the writes that wait for space, of all pools. */
  readonly delayedBytes: number;
}

/** Keeps samples. */
export class LoadHistory {
  readonly #samples: LoadSample[] = [];
  #before: MetricsSource | undefined;
  #beforeAt = 0;

  /** The samples, the oldest first. */
  get samples(): readonly LoadSample[] {
    return this.#samples;
  }

  /**
   * Takes a sample.
   *
   * @param now The figures of the server.
   */
  take(now: MetricsSource): void {
    const [before, at] = [this.#before, performance.now()];
    const seconds = (at - this.#beforeAt) / 1000;
    this.#before = now;
    this.#beforeAt = at;
    if (before === undefined || seconds <= 0) return;
    this.#samples.push(sampleOf(before, now, seconds));
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }
}

function sampleOf(
  before: MetricsSource,
  now: MetricsSource,
  seconds: number,
): LoadSample {
  const rate = (key: "reads" | "writes" | "bytesRead" | "bytesWritten") =>
    Math.round((now.counters[key] - before.counters[key]) / seconds);
  const [times, timesBefore] = [now.load.times, before.load.times];
  return {
    time: Date.now(),
    reads: rate("reads"),
    writes: rate("writes"),
    readBytes: rate("bytesRead"),
    writtenBytes: rate("bytesWritten"),
    readLatency: latencyOf(COMMAND_READ, times, timesBefore),
    writeLatency: latencyOf(COMMAND_WRITE, times, timesBefore),
    delayedBytes: now.pools.reduce(
      (sum, { status }) => sum + status.delayed.bytes,
      0,
    ),
  };
}

function latencyOf(
  command: number,
  now: RequestTimes,
  before: RequestTimes,
): number | null {
  return quantile(now.of(command), before.of(command), SHARE);
}

/**
 * Estimates a quantile of the durations that were noted between two looks.
 *
 * @param now The durations at the later look.
 * @param before The durations at the earlier one.
 * @param share The share of durations below the quantile, from 0 to 1.
 * @returns Seconds; null if none was noted.
 */
export function quantile(
  now: Durations,
  before: Durations,
  share: number,
): number | null {
  const earlier = before.buckets;
  const counts = now.buckets.map((count, i) => count - (earlier[i] ?? 0));
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return null;
  let below = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && below + count >= share * total) {
      const low = bucket === 0 ? 0 : 2 ** (bucket - 1);
      const within = (share * total - below) / count;
      return (low + within * (2 ** bucket - low)) / 1e6;
    }
    below += count;
  }
  return null;
}
