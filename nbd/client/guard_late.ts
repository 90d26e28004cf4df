/**
 * Requests that the network may still deliver after their connection was lost.
 *
 * @module
 */

import type { Command } from "./requests/mod.ts";
import type { Session } from "./session.ts";

/**
 * How long the network may still deliver what was sent on a connection that was
 * reset, milliseconds: Linux keeps packets for 3 s while it looks for the next
 * machine.
 */
export const LATE_MS = 5000;

/**
 * Marks requests of a lost connection: a server that has not ended it may still
 * receive them.
 *
 * @param ended The session of the connection.
 * @param commands The requests.
 */
export async function guardLate(
  ended: Session,
  commands: readonly Command[],
): Promise<void> {
  const all = commands.flatMap((command) => [command, ...command.parts]);
  const lateUntil = performance.now() + LATE_MS;
  for (const command of all) command.lateUntil = lateUntil;
  const isEnded = await ended.closed();
  // Requests that have another connection by now are not touched.
  for (const command of all) {
    if (isEnded && command.lateUntil === lateUntil) command.lateUntil = 0;
  }
}
