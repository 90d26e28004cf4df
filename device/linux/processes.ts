/**
 * Names processes in error messages.
 *
 * @module
 */

import { readSmallFile } from "./native_linux.ts";

/**
 * Names a process by its number and its command line.
 *
 * @param pid Number of the process.
 * @returns For instance `process 4711 (virstor serve demo)`; without the
 *   command line if it cannot be read. A command line is cut after 100
 *   characters.
 */
export function processName(pid: string): string {
  const command = readSmallFile(`/proc/${pid}/cmdline`)
    .split("\0").filter((word) => word !== "").join(" ");
  return command === ""
    ? `process ${pid}`
    : `process ${pid} (${shorten(command)})`;
}

/** Abbreviates a command line of virstor to `virstor` and its arguments. */
function shorten(command: string): string {
  const [, words] = /cli\/main\.[tj]s (.*)$/.exec(command) ?? [];
  const text = words === undefined ? command : `virstor ${words}`;
  return text.length <= 100 ? text : text.slice(0, 97) + "...";
}
