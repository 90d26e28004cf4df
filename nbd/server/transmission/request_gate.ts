/**
 * The request gate: the one place that checks requests. A request that passes
 * has a known command with known flags, is allowed, and has a range inside the
 * device in whole blocks. The layers below assert this and do not check again.
 *
 * Source of the error values: NBD `doc/proto.md`, sections "Error values",
 * "Request types" and "Size constraints".
 *
 * @module
 */

import type { ExportProperties } from "../export/mod.ts";
import {
  COMMAND_BLOCK_STATUS,
  COMMAND_CACHE,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_TRIM,
  COMMAND_WRITE,
  COMMAND_WRITE_ZEROES,
  EINVAL,
  ENOSPC,
  EOVERFLOW,
  EPERM,
  type Failure,
  FLAG_DF,
  FLAG_FAST_ZERO,
  FLAG_FUA,
  FLAG_NO_HOLE,
  FLAG_PAYLOAD_LEN,
  FLAG_REQ_ONE,
  type NbdRequest,
  PAYLOAD_SIZE_MAX,
} from "../../wire/mod.ts";

/** The failure of a request that the protocol does not allow. */
function invalid(text: string): Failure {
  return { errno: EINVAL, text };
}

const UNKNOWN_COMMAND = invalid("The server does not support this command");
const UNKNOWN_FLAG = invalid("The command does not support one of its flags");
const NOT_OFFERED = invalid("The export does not offer this command or flag");
const READ_ONLY: Failure = { errno: EPERM, text: "The export is read-only" };
const TOO_LONG_TO_READ: Failure = {
  errno: EOVERFLOW,
  text: "The READ is longer than 32 MiB, the limit",
};
const TOO_LONG_TO_WRITE = invalid("The WRITE is longer than 32 MiB, the limit");
const NO_PAYLOAD = invalid(
  "A WRITE with an extended header needs the flag PAYLOAD_LEN",
);
const NOT_ZERO = invalid("The offset or the length of the FLUSH is not 0");
const NO_CONTEXT = invalid("No metadata context was selected for this export");
const NO_LENGTH = invalid("The length of the BLOCK_STATUS is 0");
const BEHIND_END = invalid("The range reaches past the end of the export");
const NO_SPACE_BEHIND_END: Failure = {
  errno: ENOSPC,
  text: BEHIND_END.text,
};
const UNALIGNED = invalid(
  "The range is not a multiple of the export's minimum block size",
);

/** Refuses a BLOCK_STATUS whose payload is invalid. */
export const BAD_STATUS_PAYLOAD: Failure = invalid(
  "The payload is not a length and a list of selected metadata contexts",
);

/**
 * Checks a request.
 *
 * A request of length 0 inside the device passes and does nothing, except
 * BLOCK_STATUS, which fails. The protocol leaves its effect unspecified.
 *
 * *Requires:* the command is not DISC, which has no reply. The length of a
 * BLOCK_STATUS with a payload is the one in the payload.
 *
 * @param properties The export as negotiated.
 * @param request The request.
 * @param size Current size of the device, bytes. The negotiated size is a limit
 *   too, so growth of the device changes nothing for the client.
 * @returns The failure; `undefined` if the request passes.
 */
export function checkRequest(
  properties: ExportProperties,
  request: NbdRequest,
  size: number,
): Failure | undefined {
  const { flags, length } = request;
  switch (request.command) {
    case COMMAND_READ:
      if ((flags & ~(FLAG_FUA | (properties.chunked ? FLAG_DF : 0))) !== 0) {
        return UNKNOWN_FLAG;
      }
      if (length > PAYLOAD_SIZE_MAX) return TOO_LONG_TO_READ;
      return checkRange(properties, request, size, BEHIND_END);
    case COMMAND_WRITE:
      if ((flags & ~(FLAG_FUA | payloadFlag(properties))) !== 0) {
        return UNKNOWN_FLAG;
      }
      if (properties.extended && (flags & FLAG_PAYLOAD_LEN) === 0) {
        return NO_PAYLOAD;
      }
      if (properties.readOnly) return READ_ONLY;
      if (length > PAYLOAD_SIZE_MAX) return TOO_LONG_TO_WRITE;
      return checkRange(properties, request, size, NO_SPACE_BEHIND_END);
    case COMMAND_FLUSH:
      if ((flags & ~FLAG_FUA) !== 0) return UNKNOWN_FLAG;
      return request.offset === 0 && length === 0 ? undefined : NOT_ZERO;
    case COMMAND_TRIM:
      if ((flags & ~FLAG_FUA) !== 0) return UNKNOWN_FLAG;
      if (properties.readOnly) return READ_ONLY;
      if (!properties.trim) return NOT_OFFERED;
      return checkRange(properties, request, size, BEHIND_END);
    case COMMAND_CACHE:
      if ((flags & ~FLAG_FUA) !== 0) return UNKNOWN_FLAG;
      return checkRange(properties, request, size, BEHIND_END);
    case COMMAND_WRITE_ZEROES:
      if ((flags & ~(FLAG_FUA | FLAG_NO_HOLE | FLAG_FAST_ZERO)) !== 0) {
        return UNKNOWN_FLAG;
      }
      if (properties.readOnly) return READ_ONLY;
      if ((flags & FLAG_FAST_ZERO) !== 0 && !properties.fastZero) {
        return NOT_OFFERED;
      }
      return checkRange(properties, request, size, NO_SPACE_BEHIND_END);
    case COMMAND_BLOCK_STATUS:
      return checkStatus(properties, request, size);
    default:
      return UNKNOWN_COMMAND;
  }
}

function checkStatus(
  properties: ExportProperties,
  request: NbdRequest,
  size: number,
): Failure | undefined {
  const known = FLAG_FUA | FLAG_REQ_ONE | payloadFlag(properties);
  if (properties.contexts.length === 0) return NO_CONTEXT;
  if ((request.flags & ~known) !== 0) return UNKNOWN_FLAG;
  if (request.length === 0) return NO_LENGTH;
  return checkRange(properties, request, size, BEHIND_END);
}

function payloadFlag(properties: ExportProperties): number {
  return properties.extended ? FLAG_PAYLOAD_LEN : 0;
}

function checkRange(
  properties: ExportProperties,
  request: NbdRequest,
  size: number,
  beyond: Failure,
): Failure | undefined {
  const { offset, length } = request;
  const end = size < properties.size ? size : properties.size;
  if (offset > end || length > end - offset) return beyond;
  const rest = properties.minimumBlockSize - 1;
  // Block sizes are powers of two up to 64 KiB, so the low 32 bits decide.
  return ((offset | length) & rest) === 0 ? undefined : UNALIGNED;
}
