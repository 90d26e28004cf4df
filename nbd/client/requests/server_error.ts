/**
 * Translates error values of a server.
 *
 * Source: NBD `doc/proto.md`, section "Error values".
 *
 * @module
 */

import {
  type ErrorCode,
  inBytes,
  printable,
  VirstorError,
} from "../../../errors.ts";
import {
  COMMAND_BLOCK_STATUS,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_TRIM,
  COMMAND_WRITE,
  COMMAND_WRITE_ZEROES,
  EINVAL,
  EIO,
  ENOSPC,
  ENOTSUP,
  EOVERFLOW,
  EPERM,
  ESHUTDOWN,
  type Failure,
} from "../../wire/mod.ts";
import type { Command } from "./command.ts";

const ENOMEM = 12;

const ERRORS: ReadonlyMap<number, readonly [string, ErrorCode]> = new Map([
  [EPERM, ["EPERM", "read-only"]],
  [EIO, ["EIO", "io"]],
  [ENOMEM, ["ENOMEM", "io"]],
  [EINVAL, ["EINVAL", "invalid"]],
  [ENOSPC, ["ENOSPC", "no-space"]],
  [EOVERFLOW, ["EOVERFLOW", "invalid"]],
  [ENOTSUP, ["ENOTSUP", "unsupported"]],
  [ESHUTDOWN, ["ESHUTDOWN", "shutdown"]],
]);

const ACTIONS: ReadonlyMap<number, string> = new Map([
  [COMMAND_READ, "read"],
  [COMMAND_WRITE, "write"],
  [COMMAND_TRIM, "discard"],
  [COMMAND_WRITE_ZEROES, "zero"],
  [COMMAND_BLOCK_STATUS, "ask for the status of"],
]);

/** Characters of a server's text in a message. */
const TEXT_MAX = 200;

/**
 * Describes a request.
 *
 * @param command The request.
 * @returns For instance `read 4096 bytes at 1048576`.
 */
export function commandText(command: Command): string {
  if (command.command === COMMAND_FLUSH) return "flush";
  const action = ACTIONS.get(command.command) ?? `do ${command.command} with`;
  return `${action} ${inBytes(command.length)} at ${command.offset}`;
}

/**
 * The error for a request that the server failed.
 *
 * @param command The request.
 * @param failure The server's error value and text.
 * @param uri The URI, without a password.
 * @returns The error.
 */
export function serverError(
  command: Command,
  failure: Failure,
  uri: string,
): VirstorError {
  const [name, code] = ERRORS.get(failure.errno) ??
    [`error ${failure.errno}`, "io" as const];
  const text = failure.text === ""
    ? ""
    : ` ("${printable(failure.text).slice(0, TEXT_MAX)}")`;
  return new VirstorError(
    code,
    `Cannot ${commandText(command)} of "${uri}": the server reports ${name}` +
      text,
  );
}
