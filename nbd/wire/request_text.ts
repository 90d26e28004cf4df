/**
 * Describes requests for the log. The error of a device names the device's own
 * offsets, which may be those of one part of a request; this adds the range
 * that the client asked for.
 *
 * @module
 */

import { inBytes, VirstorError } from "../../errors.ts";
import {
  COMMAND_BLOCK_STATUS,
  COMMAND_CACHE,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_TRIM,
  COMMAND_WRITE,
  COMMAND_WRITE_ZEROES,
} from "./protocol.ts";
import type { ReplyAddress } from "./request.ts";

/** Names of the commands that have a range. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [COMMAND_READ, "READ"],
  [COMMAND_WRITE, "WRITE"],
  [COMMAND_TRIM, "TRIM"],
  [COMMAND_CACHE, "CACHE"],
  [COMMAND_WRITE_ZEROES, "WRITE_ZEROES"],
  [COMMAND_BLOCK_STATUS, "BLOCK_STATUS"],
]);

/**
 * Describes a request in a few words.
 *
 * @param request The request.
 * @returns For instance `READ of 4096 bytes at 1048576`, or `FLUSH`.
 */
export function requestText(request: ReplyAddress): string {
  const { command, length, offsetHigh, offsetLow } = request;
  if (command === COMMAND_FLUSH) return "FLUSH";
  const name = NAMES.get(command) ?? `Command ${command}`;
  const offset = (offsetHigh >>> 0) * 2 ** 32 + (offsetLow >>> 0);
  return `${name} of ${inBytes(length)} at ${offset}`;
}

/**
 * Prefixes the error of a device with the request that failed.
 *
 * @param request The request of the client.
 * @param error The error of the device.
 * @returns An error of the same code, with `error` as its cause.
 */
export function requestError(
  request: ReplyAddress,
  error: VirstorError,
): VirstorError {
  const message = `${requestText(request)}: ${error.message}`;
  return new VirstorError(error.code, message, { cause: error });
}
