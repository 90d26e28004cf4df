/**
 * Findings of a check. A check collects them; it does not throw for damage.
 *
 * @module
 */

import { isUri, messageOf, VirstorError } from "../../errors.ts";

/** The severity of a finding. */
export type Severity =
  | "notice" // the next open for writing repairs it
  | "damage"; // it needs an administrator

/** The kind of a finding, for programs. */
export type FindingKind =
  // about a pool that does not open
  | "missing" // a component, or all of them, was not found
  | "unreadable" // a label or superblock is damaged, or contradicts others;
  // or, of an open pool, metadata that cannot be read
  // left by a crash
  | "behind" // a component missed a change of the pool
  | "stale" // a component has left the pool, but still carries its label
  | "unfinished" // the add of a component did not finish
  | "covered" // format 1: the last chunk of a component covers its label
  | "gap" // format 1: the allocation has gaps
  | "superseded" // nothing refers to what a chunk holds
  // about bytes on disk
  | "unsound" // a slot of a superblock or of a table page is damaged or torn
  | "lost-page" // no slot of a table page is sound
  | "bad-entry" // an entry names no valid virtual chunk or place
  // about an open pool
  | "failed" // it takes no more writes
  | "differs"; // the state on disk differs from the state in memory

/** Something that a check found. */
export interface Finding {
  /** The kind of the finding. */
  readonly kind: FindingKind;
  /** How severe it is. */
  readonly severity: Severity;
  /** What was found, in one sentence. */
  readonly what: string;
  /** Where: a path, with the offset in bytes if that is known. */
  readonly where: string;
  /** What it means for the data. */
  readonly effect: string;
  /** What to do about it, if there is advice beyond "run a check". */
  readonly advice?: string;
}

/**
 * Makes a finding of the failure of an open pool.
 *
 * @param reason Why it takes no more writes.
 * @returns The finding.
 */
export function failedPool(reason: string): Finding {
  return {
    kind: "failed",
    severity: "damage",
    what: reason,
    where: "",
    effect: "reads alone go on",
    advice: "look at what it names, and start the pool again",
  };
}

/**
 * Makes a finding of an error of the disk under a component, for instance of a
 * file that was cut.
 *
 * @param path The component.
 * @param error What its device threw.
 * @returns The finding.
 * @throws `error`, unless it is of a disk of this machine: another machine that
 *   does not answer has lost nothing.
 */
export function unreadableMetadata(path: string, error: unknown): Finding {
  const isOfDisk = error instanceof VirstorError && error.code === "io" &&
    !isUri(path);
  if (!isOfDisk) throw error;
  return {
    kind: "unreadable",
    severity: "damage",
    what: `The metadata cannot be read: ${messageOf(error)}`,
    where: path,
    effect: "the pool may not open again after it is stopped",
  };
}
