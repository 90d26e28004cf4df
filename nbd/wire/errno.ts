/**
 * The one table from error codes to the error values of NBD.
 *
 * The protocol defines a few values only (section "Error values" of its
 * `doc/proto.md`) and gives two of them a narrow use: `ENOTSUP` may answer
 * nothing but a WRITE_ZEROES with FAST_ZERO.
 *
 * @module
 */

import type { ErrorCode, VirstorError } from "../../errors.ts";
import type { Failure } from "./failure.ts";
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

/** Codes whose messages tell a client what it can do about it. */
const TOLD: ReadonlySet<ErrorCode> = new Set([
  "invalid",
  "no-space",
  "read-only",
  "unsupported",
]);

/** The server stops, and does nothing new. */
export const STOPPING: Failure = {
  errno: ESHUTDOWN,
  text: "The server is stopping",
};

/** The device failed; why is told to who runs the server. */
export const DEVICE_FAILED: Failure = { errno: EIO, text: "The device failed" };

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

/**
 * What a client is told of an error.
 *
 * @param error What the device failed with.
 * @param fastZero Whether the request was a WRITE_ZEROES with FAST_ZERO.
 * @returns The value, and the message where it is the client's business.
 */
export function failureOf(error: VirstorError, fastZero: boolean): Failure {
  const errno = errnoOf(error, fastZero);
  if (errno === ESHUTDOWN) return STOPPING;
  const text = TOLD.has(error.code) ? error.message : DEVICE_FAILED.text;
  return { errno, text };
}
