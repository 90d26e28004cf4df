/**
 * The first connection of a remote disk, which the caller may call off.
 *
 * @module
 */

import type { Keeper } from "./keeper.ts";

/**
 * Connects for the first time, unless the signal comes first.
 *
 * @param keeper The keeper, without a connection. The caller closes it.
 * @param signal Ends the attempts.
 * @throws {VirstorError} If no path leads to a usable server; the reason of the
 *   signal.
 */
export async function firstOpened(
  keeper: Keeper,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const end = () => void keeper.close();
  signal?.addEventListener("abort", end);
  try {
    await keeper.open();
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", end);
  }
  // It may have come when the last step was done already.
  signal?.throwIfAborted();
}
