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

/** What kind of thing is found, for programs. */
export type FindingKind =
  // of a pool that does not open
  | "missing" // a component, or all of them
  | "unreadable" // a label or a superblock makes no sense, or contradicts others
  // of what a stop left half done
  | "behind" // a component has missed a change of the pool
  | "stale" // a component has left the pool and still carries its label
  | "unfinished" // a component was being added, and is none
  | "covered" // format 1: the last chunk of a component covers its label
  | "gap" // format 1: chunks in use do not lie without a gap
  | "superseded" // a chunk holds a virtual chunk that is elsewhere by now
  // of the bytes
  | "unsound" // a slot of a superblock or of a page is damaged, or was torn
  | "lost-page" // no slot of a page is sound
  | "bad-entry" // whose a chunk is makes no sense
  // of a running pool
  | "differs"; // what is on disk is not what is in memory

/** One thing that is not as it should be. */
export interface Finding {
  /** What kind of thing it is. */
  readonly kind: FindingKind;
  /** How bad it is. */
  readonly severity: Severity;
  /** What was found. */
  readonly what: string;
  /** Where: a path, with the offset if it is one place. */
  readonly where: string;
  /** What it means for the data. */
  readonly effect: string;
  /** What helps, where there is more to say than that a check tells it. */
  readonly advice?: string;
}
