/**
 * What once found a fault. It is run for ever.
 *
 * @module
 */

import type { FormatName } from "../../pool/mod.ts";
import type { OverlapStep } from "./overlap_steps.ts";
import type { Step } from "./steps.ts";

/** A random run. */
export interface FailedSeed {
  /** The format of the pool. */
  readonly format: FormatName;
  /** What it began with. */
  readonly seed: number;
}

/** Random runs, of 300 steps each. */
export const FAILED_SEEDS: readonly FailedSeed[] = [
  { format: "freebsd", seed: 1010 },
  { format: "freebsd", seed: 5000 },
  { format: "freebsd", seed: 90_792 },
  { format: "freebsd", seed: 2_107_939_093 },
  // A write waited for chunks that could not be freed.
  { format: "native", seed: 134 },
];

/** A sequence of steps that was interrupted anywhere. */
export interface FailedSequence extends FailedSeed {
  /** The steps. */
  readonly steps: readonly Step[];
}

/** Sequences of which only some seeds find the fault. */
export const FAILED_SEQUENCES: readonly FailedSequence[] = [
  // The disk was smaller durably before the entries beyond its end were gone.
  { format: "native", steps: ["first write", "shrink"], seed: 6 },
];

/** A pair of steps that overlapped. */
export interface FailedPair extends FailedSeed {
  /** What begins first. */
  readonly first: OverlapStep;
  /** What begins while the first is in flight. */
  readonly second: OverlapStep;
}

/** Pairs, run at many moments of the first. */
export const FAILED_PAIRS: readonly FailedPair[] = [
  // Chunks were moved off a component that was about to stay.
  { format: "native", first: "cancel", second: "cancel", seed: 4 },
  { format: "native", first: "cancel", second: "evacuate", seed: 1 },
  // A pool was stopped in the middle of a discard, and never opened again.
  { format: "native", first: "discard", second: "close", seed: 2 },
  { format: "native", first: "zero", second: "close", seed: 4 },
  // A chunk was mapped beyond the end of a disk that became smaller.
  { format: "native", first: "shrink", second: "lane first write", seed: 1 },
];
