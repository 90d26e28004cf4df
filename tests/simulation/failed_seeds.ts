/**
 * Seeds of random runs that once found a fault. They are run for ever.
 *
 * @module
 */

/** The seeds. */
export const FAILED_SEEDS: readonly number[] = [
  1010,
  5000,
  90_792,
  2_107_939_093,
];
