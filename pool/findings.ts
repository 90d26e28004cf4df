/**
 * What a checker finds. Checkers collect findings; they do not throw for
 * damage.
 *
 * @module
 */

/** How bad a finding is. */
export type Severity =
  | "notice" // the next open for writing puts it right
  | "damage"; // somebody has to look at it

/** One thing that is not as it should be. */
export interface Finding {
  /** How bad it is. */
  readonly severity: Severity;
  /** What was found. */
  readonly what: string;
  /** Where: a path, with the offset if it is one place. */
  readonly where: string;
  /** What it means for the data. */
  readonly effect: string;
}
