/**
 * Maps the error codes of this project to the error values of NBD. No other
 * file does.
 *
 * Source: NBD `doc/proto.md`, section "Error values". The protocol defines few
 * values and restricts some: a server sends `ENOTSUP` only in reply to
 * WRITE_ZEROES with FAST_ZERO.
 *
 * @module
 */

import type { ErrorCode, VirstorError } from "../../errors.ts";
import type { Failure } from "./failure.ts";
import { EINVAL, EIO, ENOSPC, ENOTSUP, EPERM, ESHUTDOWN } from "./protocol.ts";

const ERRNO = {
  "busy": EIO,
  // A pending write is cancelled when its client disconnects, and then no
  // client reads the reply, or when the server stops.
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
 * Codes whose messages go to the client: the client can act on them. The
 * messages of other codes may name paths, so only the server's log has them.
 */
const SENT_TO_CLIENT: ReadonlySet<ErrorCode> = new Set([
  "invalid",
  "no-space",
  "read-only",
  "unsupported",
]);

/** Refuses a request because the server is stopping. */
export const STOPPING: Failure = {
  errno: ESHUTDOWN,
  text: "The server is stopping",
};

/** Reports a failure of the device; the server's log has the reason. */
export const DEVICE_FAILED: Failure = { errno: EIO, text: "The device failed" };

/**
 * Maps an error of the device to an NBD error value.
 *
 * @param error The error of the device.
 * @param fastZero Whether the request was a WRITE_ZEROES with FAST_ZERO.
 * @returns A value of section "Error values", never 0. `unsupported` gives
 *   `ENOTSUP` with `fastZero`, else `EINVAL`.
 */
export function errnoOf(error: VirstorError, fastZero: boolean): number {
  const errno = ERRNO[error.code];
  return errno === ENOTSUP && !fastZero ? EINVAL : errno;
}

/**
 * Maps an error of the device to the failure that the client receives.
 *
 * @param error The error of the device.
 * @param fastZero Whether the request was a WRITE_ZEROES with FAST_ZERO.
 * @returns The error value, and the message of the error if the client can act
 *   on it, else a general text.
 */
export function failureOf(error: VirstorError, fastZero: boolean): Failure {
  const errno = errnoOf(error, fastZero);
  if (errno === ESHUTDOWN) return STOPPING;
  const text = SENT_TO_CLIENT.has(error.code)
    ? error.message
    : DEVICE_FAILED.text;
  return { errno, text };
}
