/**
 * Clients that have left, and whose end the event loop has not seen yet.
 *
 * @module
 */

/** How long the end of a connection may take to be seen, milliseconds. */
const LEAVING_MS = 300;
/** The pause between two looks, milliseconds. */
const PAUSE_MS = 10;

/**
 * Waits a moment until no clients are left: those that have just left still
 * count.
 *
 * @param count Counts the clients.
 * @returns The last count.
 */
export async function lastCount(count: () => number): Promise<number> {
  for (let waited = 0; waited < LEAVING_MS; waited += PAUSE_MS) {
    if (count() === 0) break;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return count();
}
