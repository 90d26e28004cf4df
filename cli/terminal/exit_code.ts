/**
 * The exit codes of the command `virstor`: the one table of them. The help
 * text prints it, and scripts may build on it.
 *
 * @module
 */

import type { ErrorCode } from "../../errors.ts";

/** Exit code of a command that did what it was asked. */
export const EXIT_OK = 0;
/** Exit code where nothing more precise fits: the system refused something. */
export const EXIT_FAILED = 1;
/** Exit code of `check` and of everything else that meets damage on disk. */
export const EXIT_DAMAGED = 2;
/** Exit code of an unknown command, an unknown option, a missing argument. */
export const EXIT_USAGE = 64;
/** Exit code of a mistake in virstor itself. */
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
  [EXIT_FAILED, "the system refused something, or it was interrupted"],
  [EXIT_DAMAGED, "damage on disk"],
  [EXIT_CODES["not-found"], "no such pool, component or file"],
  [EXIT_CODES.exists, "it is there already"],
  [EXIT_CODES["no-space"], "not enough free chunks"],
  [EXIT_CODES.failed, "read-only, or the pool stopped taking writes"],
  [EXIT_CODES.unsupported, "not to be had here"],
  [EXIT_CODES.busy, "in use by another process"],
  [EXIT_CODES.invalid, "what was asked makes no sense for these files"],
  [EXIT_USAGE, "wrong usage"],
  [EXIT_INTERNAL, "a mistake in virstor itself: please report it"],
];
