/**
 * The one table from error codes to the error values of NBD.
 *
 * The protocol defines a few values only (section "Error values" of its
 * `doc/proto.md`) and gives two of them a narrow use: `ENOTSUP` may answer
 * nothing but a WRITE_ZEROES with FAST_ZERO.
 *
 * @module
 */

import type { ErrorCode, VirstorError } from "../errors.ts";
import { EINVAL, EIO, ENOSPC, ENOTSUP, EPERM, ESHUTDOWN } from "./protocol.ts";

const ERRNO = {
  "busy": EIO,
  // A write is cancelled when its client has left, and then nobody reads the
  // reply, or when the server stops.
  "cancelled": ESHUTDOWN,
  "corrupt": EIO,
  "exists": EIO,
  "failed": EIO,
  "invalid": EINVAL,
  "io": EIO,
  "no-space": ENOSPC,
  "not-found": EIO,
  "read-only": EPERM,
  "shutdown": ESHUTDOWN,
  "unsupported": ENOTSUP,
} satisfies Record<ErrorCode, number>;

/**
 * The value that tells a client of an error.
 *
 * @param error What the device failed with.
 * @param fastZero Whether the request was a WRITE_ZEROES with FAST_ZERO.
 * @returns A value of the protocol's section "Error values", never 0.
 */
export function errnoOf(error: VirstorError, fastZero: boolean): number {
  const errno = ERRNO[error.code];
  return errno === ENOTSUP && !fastZero ? EINVAL : errno;
}
