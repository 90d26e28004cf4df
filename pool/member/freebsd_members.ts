/**
 * Which labels of format 1 are the members of a pool, also after a stop in the
 * middle of `add` or `remove`.
 *
 * The labels lie on different files and cannot change at once, so one of them
 * decides: the count in the label of component 0. The others are written so
 * that each stop leaves labels from which the pool before or the pool after
 * follows; docs/architecture.md says why in this order:
 *
 * - `add` from N to M: the new labels (index N and up, count M, marked as
 *   joining); *then* the label of component 0; then the new ones without the
 *   mark, and only now may chunks be mapped to them; then the rest.
 * - `remove` from N to M: the labels of the first component that leaves and of
 *   all behind it, which hold no chunk either (those that stay: their new
 *   index, count M; those that leave: an index of M and up, count M); *then*
 *   the label of component 0; then the rest; then the labels of those that
 *   left are wiped.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  COMPONENT_JOINING,
  type FreebsdLabel,
} from "../../metadata/freebsd/mod.ts";

/** A label, and where it was found. */
export interface FoundLabel {
  /** The component's path. */
  readonly path: string;
  /** Its label. */
  readonly label: FreebsdLabel;
}

/** What follows from the labels of one pool. */
export interface MemberPlan<T extends FoundLabel> {
  /** The members by index; undefined where one is missing. */
  readonly members: readonly (T | undefined)[];
  /** Members whose label has to be rewritten with their index and count. */
  readonly outdated: readonly T[];
  /**
   * Members that were on the way out, and whose index was taken from the gap
   * that they fill, or that were joining. No chunk may be mapped to them.
   */
  readonly mustBeEmpty: readonly T[];
  /** No members any more: a `remove` was done, but its labels not wiped. */
  readonly removed: readonly T[];
  /** No members yet: an `add` was not done. */
  readonly unfinished: readonly T[];
}

/**
 * Finds the members of a pool.
 *
 * @param found The labels of one pool, at least one.
 * @returns The members, and what has to be put right.
 * @throws {VirstorError} `corrupt` if two labels claim one place.
 */
export function planMembers<T extends FoundLabel>(
  found: readonly T[],
): MemberPlan<T> {
  const count = decidingCount(found);
  const members = new Array<T | undefined>(count).fill(undefined);
  const removed: T[] = [];
  const unfinished: T[] = [];
  const behind: T[] = [];
  const joining: T[] = [];
  for (const one of found) {
    const { label } = one;
    if (isJoining(label)) joining.push(one);
    else if (label.count < count) behind.push(one);
    else if (label.index < count) claim(members, one);
    else if (label.count === count) removed.push(one);
    else unfinished.push(one);
  }
  const displaced: T[] = [];
  for (const one of behind) {
    const { index } = one.label;
    // Behind after an `add` that was done: the place is the same.
    if (index < one.label.count && members[index] === undefined) {
      members[index] = one;
    } else {
      displaced.push(one);
    }
  }
  const mustBeEmpty: T[] = [];
  displaced.sort((a, b) => a.label.index - b.label.index);
  for (const one of displaced) {
    const gap = members.indexOf(undefined);
    if (gap >= 0) {
      // On the way out by a `remove` that was not done: back into the gap.
      members[gap] = one;
      mustBeEmpty.push(one);
    } else if (one.label.index >= one.label.count) {
      // It left long ago, and the wiping of its label did not last.
      removed.push(one);
    } else {
      throw duplicate(members[one.label.index] ?? one, one);
    }
  }
  for (const one of joining) {
    // The change was done, unless the place is taken: whatever it says of
    // itself then is long out of date.
    const { index } = one.label;
    if (index < count && members[index] === undefined) {
      members[index] = one;
      mustBeEmpty.push(one);
    } else {
      unfinished.push(one);
    }
  }
  const outdated = members.filter((one, index) =>
    one !== undefined &&
    (one.label.index !== index || one.label.count !== count ||
      isJoining(one.label))
  ) as T[];
  return { members, outdated, mustBeEmpty, removed, unfinished };
}

/** The count in the label of component 0, or the highest one without it. */
function decidingCount(found: readonly FoundLabel[]): number {
  const [first, second] = found.filter(({ label }) => label.index === 0);
  if (first !== undefined && second !== undefined) {
    throw duplicate(first, second);
  }
  if (first !== undefined) return first.label.count;
  return found.reduce((most, { label }) => Math.max(most, label.count), 1);
}

/** Exactly so: FreeBSD's `add` leaves any bits in the flags. */
function isJoining(label: FreebsdLabel): boolean {
  return label.flags === COMPONENT_JOINING;
}

function claim<T extends FoundLabel>(
  members: (T | undefined)[],
  one: T,
): void {
  const other = members[one.label.index];
  if (other !== undefined) throw duplicate(other, one);
  members[one.label.index] = one;
}

function duplicate(one: FoundLabel, other: FoundLabel): VirstorError {
  return new VirstorError(
    "corrupt",
    `Cannot open pool "${one.label.name}": "${one.path}" and ` +
      `"${other.path}" both claim to be component ${other.label.index} of it`,
  );
}
