/**
 * URIs on the command line.
 *
 * @module
 */

import { hidePassword } from "../../errors.ts";
import { isNbdUri } from "../../nbd/client/mod.ts";
import { UsageError } from "../terminal/mod.ts";

/**
 * Checks that an operand is meant as the URI of an export.
 *
 * @param text The operand.
 * @returns The same text.
 * @throws {UsageError} If it is not.
 */
export function uriOperand(text: string): string {
  if (isNbdUri(text)) return text;
  throw new UsageError(
    `"${hidePassword(text)}" is no NBD URI`,
    "For instance nbd://localhost/vm or nbd+unix:///vm?socket=vm.sock",
  );
}

/**
 * Names another export of the same server.
 *
 * @param uri The URI of an export.
 * @param name The name of the other one.
 * @returns The URI of the other one.
 */
export function withExport(uri: string, name: string): string {
  const [, start = "", rest = ""] = /^([^:]+:\/\/[^/?]*)[^?]*(.*)$/.exec(uri) ??
    [];
  return `${start}/${encodeURIComponent(name)}${rest}`;
}
