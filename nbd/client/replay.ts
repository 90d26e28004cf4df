/**
 * Writes again what a server may have lost, before its connection is used.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";
import { COMMAND_TRIM } from "../wire/mod.ts";
import { Command } from "./requests/mod.ts";
import { ChangedDisk } from "./same_disk.ts";
import type { Session } from "./session.ts";
import type { RepeatedWrite } from "./unflushed.ts";

/** Writes that are in flight at once when they are repeated. */
const REPLAY_DEPTH = 64;

/**
 * Writes again what the server may have lost.
 *
 * @param uri The URI of the session, without a password.
 * @param session The session.
 * @param writes The writes, which do not overlap.
 * @throws {VirstorError} If the session ends; `failed` if the server does not
 *   take a write, or its bytes cannot be read where they are kept.
 */
export async function replay(
  uri: string,
  session: Session,
  writes: readonly RepeatedWrite[],
): Promise<void> {
  let refusal: unknown;
  const rest = writes.values();
  const work = async () => {
    for (const write of rest) {
      try {
        await session.run(await requestOf(write));
      } catch (error) {
        // A discard is an indication.
        const isRefused = write.command !== COMMAND_TRIM;
        if (isRefused) refusal ??= error;
        if (isRefused || session.failure !== undefined) return;
      }
    }
  };
  const workers = Math.min(REPLAY_DEPTH, writes.length);
  await Promise.allSettled(Array.from({ length: workers }, work));
  if (session.failure !== undefined) throw session.failure;
  if (refusal === undefined) return;
  throw new ChangedDisk(
    uri,
    "it may have lost writes, and they cannot be written again: " +
      messageOf(refusal),
  );
}

/** Makes a request of a write, with its bytes, wherever they are. */
async function requestOf(write: RepeatedWrite): Promise<Command> {
  const { command, flags, offset, length, kept } = write;
  let { payload } = write;
  if (kept !== undefined) {
    payload = new Uint8Array(length);
    const pending = kept.read(payload, offset);
    if (pending !== undefined) await pending;
  }
  return new Command({
    ...{ command, flags, offset, length },
    ...payload !== undefined && { payload },
  }, true);
}
