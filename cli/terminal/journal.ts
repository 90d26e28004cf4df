/**
 * The journal of systemd: what it reads from standard error.
 *
 * @module
 */

import type { LogLevel } from "./event_levels.ts";
import { nodeProcess } from "./node_process.ts";
import { readVariable } from "./variable.ts";

/** The priorities of syslog(3). */
const PRIORITIES: { readonly [Level in LogLevel]: number } = {
  error: 3,
  warning: 4,
  info: 6,
  debug: 7,
};

let isJournal: boolean | undefined;

/**
 * Gives each line of a text its priority, as sd-daemon(3) describes, if standard
 * error is a stream of the journal.
 *
 * @param level The level of the text.
 * @param text One line or several.
 * @returns The text, for standard error.
 */
export function withPriority(level: LogLevel, text: string): string {
  isJournal ??= findJournal();
  if (!isJournal) return text;
  return text.replaceAll(/^/gm, `<${PRIORITIES[level]}>`);
}

/** Whether `JOURNAL_STREAM` names the device and inode of standard error. */
function findJournal(): boolean {
  const stream = readVariable("JOURNAL_STREAM");
  if (stream === undefined) return false;
  try {
    const fs = nodeProcess().getBuiltinModule("node:fs");
    const { dev, ino } = fs.fstatSync(2, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}
