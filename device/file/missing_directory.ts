/**
 * Why there is no such file: perhaps already its directory is missing.
 *
 * @module
 */

import fs from "node:fs";

/**
 * Finds the first directory on the way to a file that is missing.
 *
 * @param path Where the file is not, or is to be made.
 * @returns What is wrong, for instance `there is no directory "a/b"`; "" if
 *   the directory is there, or the system does not tell.
 */
export function missingDirectory(path: string): string {
  for (let end = path.indexOf("/", 1); end > 0;) {
    const directory = path.slice(0, end);
    try {
      const stat = fs.statSync(directory, { throwIfNoEntry: false });
      if (stat === undefined) return `there is no directory "${directory}"`;
      if (!stat.isDirectory()) return `"${directory}" is no directory`;
    } catch {
      // It may be there, and not for us to see.
      return "";
    }
    end = path.indexOf("/", end + 1);
  }
  return "";
}
