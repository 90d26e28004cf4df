/**
 * What a request was about, for people: a device that fails tells its own
 * offsets, and those of the piece that it was asked for.
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

/** The commands that are about a range of the disk. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [COMMAND_READ, "READ"],
  [COMMAND_WRITE, "WRITE"],
  [COMMAND_TRIM, "TRIM"],
  [COMMAND_CACHE, "CACHE"],
  [COMMAND_WRITE_ZEROES, "WRITE_ZEROES"],
  [COMMAND_BLOCK_STATUS, "BLOCK_STATUS"],
]);

/**
 * Names a request.
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
 * An error of the device, with the request that it failed.
 *
 * @param request What the client asked for.
 * @param error What the device says.
 * @returns An error of the same code.
 */
export function requestError(
  request: ReplyAddress,
  error: VirstorError,
): VirstorError {
  const message = `${requestText(request)}: ${error.message}`;
  return new VirstorError(error.code, message, { cause: error });
}
