/**
 * Looks at processes: their names in error messages, and children that have not
 * started yet.
 *
 * @module
 */

import { listNames } from "./native_files.ts";
import { readSmallFile } from "./native_linux.ts";

/** Bytes of a list of children, or of a command line, that are looked at. */
const LIST_BYTES = 4096;

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

/**
 * Whether a child of this process has not started its own program yet. Until
 * then it has all of this process's descriptors, and so their locks, also those
 * that this process has closed since.
 *
 * @returns Whether there is one; false without native calls, and where the
 *   kernel lists no children (`CONFIG_PROC_CHILDREN`).
 */
export function hasStartingChild(): boolean {
  const read = (path: string) => readSmallFile(`/proc/${path}`, LIST_BYTES);
  // A child that is just changing its program has no command line.
  const starting = ["", read("self/cmdline")];
  return listNames("/proc/self/task").some((thread) =>
    read(`self/task/${thread}/children`).split(" ")
      .some((child) =>
        child !== "" && starting.includes(read(`${child}/cmdline`))
      )
  );
}
