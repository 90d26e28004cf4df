/**
 * Who holds the lock on a file, for the error message.
 *
 * @module
 */

import { readSmallFile } from "./native_linux.ts";

/**
 * Names the process that holds a lock on a file, as far as the system tells.
 *
 * `/proc/locks` has a line for each lock, with the process and the file as
 * `major:minor:inode`, the first two in hexadecimal (see `proc_locks(5)`).
 *
 * @param device The `dev` of the file's `stat`.
 * @param inode The `ino` of the file's `stat`.
 * @returns For instance `process 4711 (deno run cli/main.ts serve demo)`, or
 *   `another process`.
 */
export function lockHolder(device: number, inode: number): string {
  const major = Math.floor(device / 256) & 0xfff;
  const minor = (device & 0xff) | (Math.floor(device / 4096) & 0xfff00);
  const file = [
    major.toString(16).padStart(2, "0"),
    minor.toString(16).padStart(2, "0"),
    inode,
  ].join(":");
  for (const line of readSmallFile("/proc/locks").split("\n")) {
    const words = line.split(/\s+/);
    const at = words.indexOf(file);
    const pid = words[at - 1];
    if (at < 1 || pid === undefined || !(Number(pid) > 0)) continue;
    const command = readSmallFile(`/proc/${pid}/cmdline`)
      .split("\0").filter((word) => word !== "").join(" ");
    return command === ""
      ? `process ${pid}`
      : `process ${pid} (${shorten(command)})`;
  }
  return "another process";
}

/** The telling end of a long command line: what it was asked to do. */
function shorten(command: string): string {
  const main = command.indexOf("cli/main.ts ");
  const text = main < 0 ? command : `virstor ${command.slice(main + 12)}`;
  return text.length <= 100 ? text : text.slice(0, 97) + "...";
}
