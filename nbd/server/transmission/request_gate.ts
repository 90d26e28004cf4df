/**
 * The gate: the one place where requests are checked. What passes is a known
 * command with known flags, inside the device, in whole blocks, and allowed;
 * below, this is asserted and never checked again.
 *
 * Which error answers what is from the protocol's `doc/proto.md`, sections
 * "Error values", "Request types" and "Size constraints".
 *
 * @module
 */

import type { ExportFacts } from "../export/mod.ts";
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

const UNKNOWN_COMMAND: Failure = {
  errno: EINVAL,
  text: "The command is not known",
};
const UNKNOWN_FLAG: Failure = {
  errno: EINVAL,
  text: "The command does not know one of its flags",
};
const NOT_OFFERED: Failure = {
  errno: EINVAL,
  text: "The export does not offer this",
};
const READ_ONLY: Failure = { errno: EPERM, text: "The export is read-only" };
const TOO_LONG_TO_READ: Failure = {
  errno: EOVERFLOW,
  text: "At most 32 MiB can be read at once",
};
const TOO_LONG_TO_WRITE: Failure = {
  errno: EINVAL,
  text: "At most 32 MiB can be written at once",
};
const NO_PAYLOAD: Failure = {
  errno: EINVAL,
  text: "A write with an extended header needs the flag PAYLOAD_LEN",
};
const NOT_ZERO: Failure = {
  errno: EINVAL,
  text: "The offset and the length of a flush are not zero",
};
const NO_CONTEXT: Failure = {
  errno: EINVAL,
  text: "No metadata context was selected for this export",
};
const NO_LENGTH: Failure = {
  errno: EINVAL,
  text: "The status of no bytes cannot be told",
};
const BEHIND_END: Failure = {
  errno: EINVAL,
  text: "The range reaches behind the end of the export",
};
const NO_SPACE_BEHIND_END: Failure = {
  errno: ENOSPC,
  text: BEHIND_END.text,
};
const UNALIGNED: Failure = {
  errno: EINVAL,
  text: "The range is not whole blocks of the export's minimum size",
};

/** A BLOCK_STATUS whose payload is not what the protocol says. */
export const BAD_STATUS_PAYLOAD: Failure = {
  errno: EINVAL,
  text: "The payload is no length and list of selected metadata contexts",
};

/**
 * Checks a request.
 *
 * A request for no bytes, inside the device, passes, except BLOCK_STATUS: the
 * protocol leaves open what it does, and here it does nothing.
 *
 * @param facts The export's.
 * @param request The request as received, except DISC, which has no reply; of
 *   a BLOCK_STATUS with a payload, with the length that is in the payload.
 * @param size Bytes that the device has now. What the client was told is the
 *   limit too, so a device that grows changes nothing for it.
 * @returns Nothing if it passes, or what is wrong.
 */
export function checkRequest(
  facts: ExportFacts,
  request: NbdRequest,
  size: number,
): Failure | undefined {
  const { flags, length } = request;
  switch (request.command) {
    case COMMAND_READ:
      if ((flags & ~(FLAG_FUA | (facts.chunked ? FLAG_DF : 0))) !== 0) {
        return UNKNOWN_FLAG;
      }
      if (length > PAYLOAD_SIZE_MAX) return TOO_LONG_TO_READ;
      return checkRange(facts, request, size, BEHIND_END);
    case COMMAND_WRITE:
      if ((flags & ~(FLAG_FUA | payloadFlag(facts))) !== 0) return UNKNOWN_FLAG;
      if (facts.extended && (flags & FLAG_PAYLOAD_LEN) === 0) return NO_PAYLOAD;
      if (facts.readOnly) return READ_ONLY;
      if (length > PAYLOAD_SIZE_MAX) return TOO_LONG_TO_WRITE;
      return checkRange(facts, request, size, NO_SPACE_BEHIND_END);
    case COMMAND_FLUSH:
      if ((flags & ~FLAG_FUA) !== 0) return UNKNOWN_FLAG;
      return request.offset === 0 && length === 0 ? undefined : NOT_ZERO;
    case COMMAND_TRIM:
      if ((flags & ~FLAG_FUA) !== 0) return UNKNOWN_FLAG;
      if (facts.readOnly) return READ_ONLY;
      if (!facts.trim) return NOT_OFFERED;
      return checkRange(facts, request, size, BEHIND_END);
    case COMMAND_CACHE:
      if ((flags & ~FLAG_FUA) !== 0) return UNKNOWN_FLAG;
      return checkRange(facts, request, size, BEHIND_END);
    case COMMAND_WRITE_ZEROES:
      if ((flags & ~(FLAG_FUA | FLAG_NO_HOLE | FLAG_FAST_ZERO)) !== 0) {
        return UNKNOWN_FLAG;
      }
      if (facts.readOnly) return READ_ONLY;
      if ((flags & FLAG_FAST_ZERO) !== 0 && !facts.fastZero) return NOT_OFFERED;
      return checkRange(facts, request, size, NO_SPACE_BEHIND_END);
    case COMMAND_BLOCK_STATUS:
      return checkStatus(facts, request, size);
    default:
      return UNKNOWN_COMMAND;
  }
}

function checkStatus(
  facts: ExportFacts,
  request: NbdRequest,
  size: number,
): Failure | undefined {
  const known = FLAG_FUA | FLAG_REQ_ONE | payloadFlag(facts);
  if (facts.contexts.length === 0) return NO_CONTEXT;
  if ((request.flags & ~known) !== 0) return UNKNOWN_FLAG;
  if (request.length === 0) return NO_LENGTH;
  return checkRange(facts, request, size, BEHIND_END);
}

function payloadFlag(facts: ExportFacts): number {
  return facts.extended ? FLAG_PAYLOAD_LEN : 0;
}

function checkRange(
  facts: ExportFacts,
  request: NbdRequest,
  size: number,
  beyond: Failure,
): Failure | undefined {
  const { offset, length } = request;
  const end = size < facts.size ? size : facts.size;
  if (offset > end || length > end - offset) return beyond;
  const rest = facts.minimumBlockSize - 1;
  // Block sizes are powers of two up to 64 KiB, so the low 32 bits decide.
  return ((offset | length) & rest) === 0 ? undefined : UNALIGNED;
}
