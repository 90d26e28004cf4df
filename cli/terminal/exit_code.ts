/**
 * The exit codes of the command `virstor`. The help text prints this table, and
 * scripts may rely on it.
 *
 * @module
 */

import type { ErrorCode } from "../../errors.ts";

/** Exit code of a command that did what it was asked. */
export const EXIT_OK = 0;
/** Exit code where nothing more precise fits: the system reported an error. */
export const EXIT_FAILED = 1;
/** Exit code of every command that finds damage on disk. */
export const EXIT_DAMAGED = 2;
/** Exit code of an unknown command, an unknown option, a missing argument. */
export const EXIT_USAGE = 64;
/** Exit code of a bug in virstor. */
export const EXIT_INTERNAL = 70;
/** Added to the number of the signal that ended `serve` at once. */
export const EXIT_SIGNAL = 128;

/** The exit code for each kind of failure. */
export const EXIT_CODES = {
  "io": EXIT_FAILED,
  "cancelled": EXIT_FAILED,
  "shutdown": EXIT_FAILED,
  "corrupt": EXIT_DAMAGED,
  "not-found": 3,
  "exists": 4,
  "no-space": 5,
  "read-only": 6,
  "failed": 6,
  "unsupported": 7,
  "busy": 8,
  "invalid": 9,
} as const satisfies Record<ErrorCode, number>;

/** What each exit code means, for the help text: code and words. */
export const EXIT_CODE_MEANINGS: readonly (readonly [number, string])[] = [
  [EXIT_OK, "done"],
  [EXIT_FAILED, "the system reported an error, or the command was interrupted"],
  [EXIT_DAMAGED, "damage on disk"],
  [EXIT_CODES["not-found"], "no such pool, component or file"],
  [EXIT_CODES.exists, "the pool, component or file exists already"],
  [EXIT_CODES["no-space"], "not enough free chunks"],
  [EXIT_CODES.failed, "the pool is read-only, or has failed"],
  [EXIT_CODES.unsupported, "not supported here"],
  [EXIT_CODES.busy, "in use by another process"],
  [EXIT_CODES.invalid, "the request does not fit these files or this pool"],
  [EXIT_USAGE, "wrong usage"],
  [EXIT_INTERNAL, "a bug in virstor: please report it"],
];
