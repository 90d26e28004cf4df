/**
 * Owners of files, by name or number.
 *
 * @module
 */

import { UsageError } from "../terminal/mod.ts";

/** Who a file is to belong to. */
export interface Owner {
  /** The user's number; null for who it belongs to anyway. */
  readonly uid: number | null;
  /** The group's number; null likewise. */
  readonly gid: number | null;
}

/** The largest number of a user or group; one more means "as it is". */
const ID_MAX = 2 ** 32 - 2;

/**
 * Reads the value of an option that names an owner.
 *
 * @param option Which one.
 * @param text `USER`, `USER:GROUP` or `:GROUP`, names or numbers.
 * @returns The numbers.
 * @throws {UsageError} If it is no owner, or there is nobody of that name.
 */
export function parseOwner(option: string, text: string): Owner {
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
    // A system without it: numbers only.
    return [];
  }
}
