/**
 * Joins contiguous requests that wait together, so that they leave as one. Over
 * a network each request costs, for the server and for a table of bounded
 * depth.
 *
 * @module
 */

import { COMMAND_READ, COMMAND_WRITE } from "../wire/mod.ts";
import { Command } from "./requests/mod.ts";

/**
 * Finds how many requests in a row can leave as one: reads or writes, with the
 * same flags, each beginning where the one before ends.
 *
 * @param queue The queue.
 * @param head Index of the first request.
 * @param most The most bytes of a joined request.
 * @returns How many requests, at least 1.
 */
export function countContiguous(
  queue: readonly Command[],
  head: number,
  most: number,
): number {
  const first = queue[head];
  if (first === undefined || !canJoin(first)) return 1;
  let { length } = first;
  let count = 1;
  for (let i = head + 1; i < queue.length; i++) {
    const next = queue[i];
    if (
      next === undefined || !canJoin(next) || next.command !== first.command ||
      next.flags !== first.flags || next.offset !== first.offset + length ||
      length + next.length > most
    ) break;
    length += next.length;
    count += 1;
  }
  return count;
}

function canJoin(command: Command): boolean {
  return !command.isSettled && !command.isAlone &&
    (command.command === COMMAND_READ || command.command === COMMAND_WRITE);
}

/**
 * Joins requests. The parts succeed with the joined request.
 *
 * *Requires:* the requests are contiguous, see {@linkcode countContiguous}.
 *
 * @param parts The requests, at least two.
 * @param onFailure Called when the joined request fails; it deals with the
 *   parts.
 * @returns The request to send in their place.
 */
export function join(
  parts: readonly Command[],
  onFailure: Command["onFailure"],
): Command {
  const [first] = parts;
  const { command = 0, flags = 0, offset = 0, sequence = 0 } = first ?? {};
  const bytes = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  const isWrite = command === COMMAND_WRITE;
  for (const { payload, offset: start } of parts) {
    if (payload !== undefined) bytes.set(payload, start - offset);
  }
  const joined = new Command({
    command,
    flags,
    offset,
    ...isWrite ? { payload: bytes } : { target: bytes },
  });
  joined.sequence = sequence;
  joined.parts = parts;
  joined.onSend = () => {
    for (const part of parts) part.onSend?.();
  };
  joined.onSuccess = () => {
    for (const part of parts) {
      const start = part.offset - offset;
      part.target?.set(bytes.subarray(start, start + part.length));
      part.succeed();
    }
  };
  joined.onFailure = onFailure;
  return joined;
}
