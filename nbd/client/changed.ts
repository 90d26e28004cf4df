/**
 * Asks a virstor server what has changed since a snapshot.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { COMMAND_BLOCK_STATUS } from "../wire/mod.ts";
import { type NbdUri, parseNbdUri, uriError } from "./connection/mod.ts";
import { settingsOf } from "./options.ts";
import type { Range } from "./pieces.ts";
import { Command } from "./requests/mod.ts";
import { Session } from "./session.ts";

/** The flag of a chunk that may have changed. */
const CHANGED = 1;
/** The longest range to ask about at once, bytes: below 2^32 in any dialect. */
const RANGE_MAX = 2 ** 31;

/**
 * Finds what has changed on an export since a snapshot of its volume.
 *
 * @param text URI of the export: a volume, or a newer snapshot of it.
 * @param snapshot Name of the snapshot.
 * @param connectTimeoutMs Milliseconds for the connection and its handshake.
 * @returns The ranges that may differ, in order, with gaps between them.
 * @throws {VirstorError} `not-found` if the server knows of no such snapshot;
 *   `io` if the connection fails.
 */
export async function changedSince(
  text: string,
  snapshot: string,
  connectTimeoutMs: number,
): Promise<Range[]> {
  const uri = parseNbdUri(text);
  try {
    return await ask(uri, snapshot, connectTimeoutMs);
  } catch (error) {
    throw uriError(
      `find what has changed since "${snapshot}" on`,
      uri.text,
      error,
    );
  }
}

async function ask(
  uri: NbdUri,
  snapshot: string,
  connectTimeoutMs: number,
): Promise<Range[]> {
  const context = `virstor:changed:${snapshot}`;
  const settings = { ...settingsOf({ connectTimeoutMs }, 1), context };
  const hooks = { onReply: () => {}, onEnd: () => {} };
  const { signal } = new AbortController();
  const session = await Session.open(uri, settings, hooks, {
    signal,
    limitMs: settings.connectTimeoutMs,
  });
  try {
    const { contexts, size } = session.info;
    if (contexts.length === 0) {
      throw new VirstorError(
        "not-found",
        "The server has no such snapshot of it to compare with: no context " +
          `"${context}"`,
      );
    }
    return await changedRanges(session, size);
  } finally {
    await session.close();
  }
}

async function changedRanges(session: Session, size: number): Promise<Range[]> {
  const ranges: { offset: number; length: number }[] = [];
  for (let at = 0; at < size;) {
    const length = Math.min(size - at, RANGE_MAX);
    const command = new Command(
      { command: COMMAND_BLOCK_STATUS, offset: at, length },
      true,
    );
    await session.run(command);
    for (const run of command.runs) {
      const end = Math.min(at + run.length, size);
      if ((run.flags & CHANGED) !== 0) {
        const last = ranges.at(-1);
        if (last !== undefined && last.offset + last.length === at) {
          last.length += end - at;
        } else ranges.push({ offset: at, length: end - at });
      }
      at = end;
    }
  }
  return ranges;
}
