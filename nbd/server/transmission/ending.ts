/**
 * The end of connections: first asked for, then enforced.
 *
 * @module
 */

import { joinParts } from "../../../device/block/mod.ts";
import type { Transmission } from "./transmission.ts";

/** How long cancelled requests may take to be answered, milliseconds. */
export const CANCEL_MS = 500;

/** A connection that can be ended. */
export interface ServedClient {
  /** Fulfilled when it has ended. */
  readonly ended: Promise<void>;
  /** What serves it, once an export was chosen. */
  readonly transmission: Transmission | undefined;
}

/**
 * Ends connections that use an export: requests in flight are finished, then
 * cancelled, then closed.
 *
 * @param clients The connections.
 * @param graceMs How long requests in flight may take, milliseconds.
 * @param reason Why the connections end, for the log.
 */
export async function endAll(
  clients: readonly ServedClient[],
  graceMs: number,
  reason: string,
): Promise<void> {
  const serving = clients.filter(({ transmission }) =>
    transmission !== undefined
  );
  for (const { transmission } of serving) transmission?.stop(reason);
  if (await allEnded(serving, graceMs)) return;
  for (const { transmission } of serving) transmission?.cancelWaiting();
  if (await allEnded(serving, CANCEL_MS)) return;
  for (const { transmission } of serving) transmission?.destroy();
  await allEnded(serving, CANCEL_MS);
}

/**
 * What a timer takes.
 *
 * @param ms Milliseconds; any number.
 * @returns As long as a timer can wait; a longer time would pass at once.
 */
export function delay(ms: number): number {
  return Math.min(ms, 0x7fff_ffff);
}

/**
 * Waits for ends.
 *
 * @param clients The connections.
 * @param limitMs How long, milliseconds.
 * @returns Whether all of these connections have ended in time.
 */
export async function allEnded(
  clients: readonly ServedClient[],
  limitMs: number,
): Promise<boolean> {
  if (clients.length === 0) return true;
  const limit = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => limit.resolve(false), delay(limitMs));
  const all = joinParts(clients, ({ ended }) => ended)?.then(() => true);
  const result = await Promise.race([all ?? true, limit.promise]);
  clearTimeout(timer);
  return result;
}
