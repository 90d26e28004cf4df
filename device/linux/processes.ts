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

/** How far the children of this process are. */
export type ChildrenState =
  | "none" // there are none, or it is not known
  | "started" // all of them run their own programs
  | "starting"; // one of them does not yet

/**
 * Looks how far the children of this process are. Until a child has started its
 * own program it has all of this process's descriptors, and so their locks, also
 * those that this process has closed since.
 *
 * @returns The state; `none` without native calls, and where the kernel lists no
 *   children (`CONFIG_PROC_CHILDREN`).
 */
export function childrenState(): ChildrenState {
  const read = (path: string) => readSmallFile(`/proc/${path}`, LIST_BYTES);
  const children = listNames("/proc/self/task").flatMap((thread) =>
    read(`self/task/${thread}/children`).split(" ").filter((one) => one !== "")
  );
  if (children.length === 0) return "none";
  // A child that is just changing its program has no command line.
  const starting = ["", read("self/cmdline")];
  const isStarting = (one: string) => starting.includes(read(`${one}/cmdline`));
  return children.some(isStarting) ? "starting" : "started";
}
