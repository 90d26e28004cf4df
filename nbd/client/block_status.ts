/**
 * Asks a server what is data, and what is zeroes.
 *
 * @module
 */

import type { Extent, ExtentKind } from "../../device/block/mod.ts";
import { COMMAND_BLOCK_STATUS, STATE_HOLE, STATE_ZERO } from "../wire/mod.ts";
import type { NbdExportInfo } from "./connection/mod.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { Command } from "./requests/mod.ts";

/** The longest range to ask about at once, bytes: below 2^32 in any dialect. */
const RANGE_MAX = 2 ** 31;

/**
 * Asks about a range, as often as it takes.
 *
 * @param dispatcher The queue.
 * @param info The export.
 * @param offset First byte of the range.
 * @param length Bytes of the range, above 0.
 * @returns Runs that cover the range, neighbours of different kinds.
 * @throws {VirstorError} If the server fails a request.
 */
export async function readStatus(
  dispatcher: Dispatcher,
  info: NbdExportInfo,
  offset: number,
  length: number,
): Promise<Extent[]> {
  if (info.contexts.length === 0) return [{ length, kind: "data" }];
  const end = offset + length;
  const block = info.minimumBlock;
  const extents: { length: number; kind: ExtentKind }[] = [];
  for (let at = offset; at < end;) {
    const start = at - at % block;
    const asked = Math.min(Math.ceil((end - start) / block) * block, RANGE_MAX);
    const command = new Command({
      command: COMMAND_BLOCK_STATUS,
      offset: start,
      length: asked,
    });
    await dispatcher.submit(command);
    let runStart = start;
    for (const run of command.runs) {
      const runEnd = Math.min(runStart + run.length, end);
      const last = extents.at(-1);
      const kind = kindOf(run.flags);
      if (runEnd > at) {
        if (last?.kind === kind) last.length += runEnd - at;
        else extents.push({ length: runEnd - at, kind });
        at = runEnd;
      }
      runStart += run.length;
    }
  }
  return extents;
}

/** A hole that does not read as zeroes may hold anything. */
function kindOf(flags: number): ExtentKind {
  if ((flags & STATE_ZERO) === 0) return "data";
  return (flags & STATE_HOLE) === 0 ? "zero" : "hole";
}
