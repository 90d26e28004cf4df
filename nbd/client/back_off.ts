/**
 * How long to wait before the next attempt to connect: not at all before the
 * first, then exponentially longer, with jitter, so that the clients of a
 * server that restarts do not all return at once.
 *
 * @module
 */

/** Configuration of the waits. */
export interface BackOffOptions {
  /** Wait before the second attempt, milliseconds. */
  readonly firstMs: number;
  /** The longest wait, milliseconds. */
  readonly mostMs: number;
}

/** The waits unless the caller says otherwise: 100 ms to 10 s. */
export const BACK_OFF_DEFAULT: BackOffOptions = {
  firstMs: 100,
  mostMs: 10_000,
};

/**
 * The wait before an attempt.
 *
 * @param attempt Attempts that have failed in a row.
 * @param options First and longest wait.
 * @param random A random number from 0 to 1.
 * @returns Milliseconds: 0 for no failed attempt, else 50 to 100 % of the wait.
 */
export function backOff(
  attempt: number,
  { firstMs, mostMs }: BackOffOptions,
  random: number,
): number {
  if (attempt === 0) return 0;
  const whole = Math.min(mostMs, firstMs * 2 ** (attempt - 1));
  return whole * (0.5 + random / 2);
}
