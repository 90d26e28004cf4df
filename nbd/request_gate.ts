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

import type { ExportFacts } from "./export.ts";
import {
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
  FLAG_FAST_ZERO,
  FLAG_FUA,
  FLAG_NO_HOLE,
  PAYLOAD_SIZE_MAX,
} from "./protocol.ts";

/**
 * Checks a request.
 *
 * A request for no bytes, inside the device, passes: the protocol leaves open
 * what it does, and here it does nothing.
 *
 * @param facts The export's.
 * @param command The command as received, except DISC, which has no reply.
 * @param flags The command flags as received.
 * @param offset The first byte, from 0 to 2^64; above 2^53 it need not be
 *   exact, because no device reaches there.
 * @param length How many bytes, 0 to 2^32 - 1.
 * @returns 0 if it passes, or the error value for the reply.
 */
export function checkRequest(
  facts: ExportFacts,
  command: number,
  flags: number,
  offset: number,
  length: number,
): number {
  switch (command) {
    case COMMAND_READ:
      if ((flags & ~FLAG_FUA) !== 0) return EINVAL;
      if (length > PAYLOAD_SIZE_MAX) return EOVERFLOW;
      return checkRange(facts, offset, length, EINVAL);
    case COMMAND_WRITE:
      if ((flags & ~FLAG_FUA) !== 0) return EINVAL;
      if (facts.readOnly) return EPERM;
      if (length > PAYLOAD_SIZE_MAX) return EINVAL;
      return checkRange(facts, offset, length, ENOSPC);
    case COMMAND_FLUSH:
      if ((flags & ~FLAG_FUA) !== 0) return EINVAL;
      return offset === 0 && length === 0 ? 0 : EINVAL;
    case COMMAND_TRIM:
      if ((flags & ~FLAG_FUA) !== 0) return EINVAL;
      if (facts.readOnly) return EPERM;
      if (!facts.trim) return EINVAL;
      return checkRange(facts, offset, length, EINVAL);
    case COMMAND_CACHE:
      if ((flags & ~FLAG_FUA) !== 0) return EINVAL;
      return checkRange(facts, offset, length, EINVAL);
    case COMMAND_WRITE_ZEROES:
      if ((flags & ~(FLAG_FUA | FLAG_NO_HOLE | FLAG_FAST_ZERO)) !== 0) {
        return EINVAL;
      }
      if (facts.readOnly) return EPERM;
      if ((flags & FLAG_FAST_ZERO) !== 0 && !facts.fastZero) return EINVAL;
      return checkRange(facts, offset, length, ENOSPC);
    default:
      return EINVAL;
  }
}

function checkRange(
  facts: ExportFacts,
  offset: number,
  length: number,
  beyond: number,
): number {
  if (offset > facts.size || length > facts.size - offset) return beyond;
  const rest = facts.minimumBlockSize - 1;
  // Block sizes are powers of two up to 64 KiB, so the low 32 bits decide.
  return ((offset | length) & rest) === 0 ? 0 : EINVAL;
}
