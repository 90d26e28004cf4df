/**
 * Owners of files, by name or number.
 *
 * @module
 */

import type { SocketOwner } from "../../nbd/listen/mod.ts";
import { UsageError } from "../terminal/mod.ts";

/** The largest number of a user or group; 2^32-1 means "unchanged". */
const ID_MAX = 2 ** 32 - 2;

/**
 * Parses the value of an option that names an owner.
 *
 * @param option The option's name, for messages.
 * @param text `USER`, `USER:GROUP` or `:GROUP`, names or numbers.
 * @returns The owner's numbers.
 * @throws {UsageError} If the text is malformed, or the name is unknown.
 */
export function parseOwner(option: string, text: string): SocketOwner {
  const [user = "", group = "", ...more] = text.split(":");
  if ((user === "" && group === "") || more.length > 0) {
    throw new UsageError(
      `Option --${option} needs USER, USER:GROUP or :GROUP, not "${text}"`,
      "Names or numbers",
    );
  }
  return {
    uid: user === "" ? null : numberOf(option, "user", "/etc/passwd", user),
    gid: group === "" ? null : numberOf(option, "group", "/etc/group", group),
  };
}

/** The lines of both files are `NAME:PASSWORD:NUMBER:...`. */
function numberOf(
  option: string,
  kind: string,
  file: string,
  text: string,
): number {
  if (/^\d+$/.test(text) && Number(text) <= ID_MAX) return Number(text);
  for (const line of readLines(file)) {
    const [name, , number] = line.split(":");
    if (name === text && number !== undefined) return Number(number);
  }
  throw new UsageError(
    `Option --${option} names an unknown ${kind} "${text}"`,
    `It is not in ${file}; numbers need not be there`,
  );
}

function readLines(file: string): string[] {
  try {
    return Deno.readTextFileSync(file).split("\n");
  } catch {
    // Without the file only numbers work.
    return [];
  }
}
