/**
 * What once found a fault. It is run for ever.
 *
 * @module
 */

import type { FormatName } from "../../pool/mod.ts";
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

/** A sequence of steps that was cut off anywhere. */
export interface FailedSequence extends FailedSeed {
  /** The steps. */
  readonly steps: readonly Step[];
}

/** Sequences of which only some seeds find the fault. */
export const FAILED_SEQUENCES: readonly FailedSequence[] = [
  // The disk was smaller durably before the entries beyond its end were gone.
  { format: "native", steps: ["first write", "shrink"], seed: 6 },
];
