/**
 * Writes again what a server may have lost, before its connection is used.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import { COMMAND_TRIM } from "../wire/mod.ts";
import type { Command } from "./requests/mod.ts";
import { ChangedDisk } from "./same_disk.ts";
import type { Session } from "./session.ts";

/** Writes that are in flight at once when they are repeated. */
const REPLAY_DEPTH = 64;

/**
 * Writes again what the server may have lost.
 *
 * @param uri The URI of the session, without a password.
 * @param session The session.
 * @param commands The writes, which do not overlap.
 * @throws {VirstorError} If the session ends; `failed` if the server does not
 *   take a write.
 */
export async function replay(
  uri: string,
  session: Session,
  commands: readonly Command[],
): Promise<void> {
  let refusal: unknown;
  const rest = commands.values();
  const work = async () => {
    for (const command of rest) {
      try {
        await session.run(command);
      } catch (error) {
        // A discard is an indication.
        const isRefused = command.command !== COMMAND_TRIM;
        if (isRefused) refusal ??= error;
        if (isRefused || session.failure !== undefined) return;
      }
    }
  };
  const workers = Math.min(REPLAY_DEPTH, commands.length);
  await Promise.allSettled(Array.from({ length: workers }, work));
  if (session.failure !== undefined) throw session.failure;
  if (refusal === undefined) return;
  throw new ChangedDisk(
    uri,
    "it may have lost writes, and does not take them again: " +
      messageOf(refusal),
  );
}
