/**
 * Waiting for requests in flight.
 *
 * @module
 */

/**
 * Waits until a count is 0.
 *
 * @param count The count.
 * @param timeoutMs How long to wait, milliseconds.
 * @returns Whether it is; false if it took too long.
 */
export async function drained(
  count: () => number,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (count() > 0) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return true;
}
