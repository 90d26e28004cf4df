/**
 * Processes, for error messages.
 *
 * @module
 */

import { readSmallFile } from "./native_linux.ts";

/**
 * Names a process.
 *
 * @param pid Its number.
 * @returns For instance `process 4711 (deno run cli/main.ts serve demo)`, or
 *   the number only.
 */
export function processName(pid: string): string {
  const command = readSmallFile(`/proc/${pid}/cmdline`)
    .split("\0").filter((word) => word !== "").join(" ");
  return command === ""
    ? `process ${pid}`
    : `process ${pid} (${shorten(command)})`;
}

/** The telling end of a long command line: what it was asked to do. */
function shorten(command: string): string {
  const main = command.indexOf("cli/main.ts ");
  const text = main < 0 ? command : `virstor ${command.slice(main + 12)}`;
  return text.length <= 100 ? text : text.slice(0, 97) + "...";
}
