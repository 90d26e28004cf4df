/**
 * Which process holds the lock on a file, for the error message.
 *
 * @module
 */

import { processName, readSmallFile } from "../linux/mod.ts";

/**
 * Names the process that holds a lock on a file, as far as the system tells.
 *
 * `/proc/locks` has a line for each lock, with the process and the file as
 * `major:minor:inode`, the first two in hexadecimal (see `proc_locks(5)`).
 *
 * @param place The file: `MAJOR:MINOR:INODE`, in decimal.
 * @returns For instance `process 4711 (deno run cli/main.ts serve demo)`, or
 *   `another process`.
 */
export function lockHolder(place: string): string {
  const [major = "", minor = "", inode = ""] = place.split(":");
  const file = [hex(major), hex(minor), inode].join(":");
  for (const line of readSmallFile("/proc/locks").split("\n")) {
    const words = line.split(/\s+/);
    const at = words.indexOf(file);
    const pid = words[at - 1];
    if (at < 1 || pid === undefined || !(Number(pid) > 0)) continue;
    return processName(pid);
  }
  return "another process";
}

function hex(number: string): string {
  return Number(number).toString(16).padStart(2, "0");
}
