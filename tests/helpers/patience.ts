/**
 * How long tests wait for a condition: so long that only a fault takes longer,
 * also on a machine that is busy with other work. No test compares a shorter
 * time, unless something must not happen before that time is over.
 *
 * @module
 */

/** How long to wait for what must come, milliseconds. */
export const PATIENCE_MS = 120_000;

/**
 * Waits until something holds; fails after {@linkcode PATIENCE_MS}.
 *
 * @param what What is waited for, for the error.
 * @param holds Whether it does.
 * @param pauseMs How long to wait before it is looked at again.
 */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  pauseMs = 1,
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error(`Still not: ${what}`);
    await pause(pauseMs);
  }
}

/**
 * Lets time pass, in which something must not happen, or may.
 *
 * @param ms Milliseconds.
 * @returns Done after that.
 */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
