/**
 * Giving others a turn in the middle of long work.
 *
 * @module
 */

/**
 * Lets the event loop run everything that is due.
 *
 * @returns Done when it has.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
