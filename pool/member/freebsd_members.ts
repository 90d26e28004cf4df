/**
 * Membership in format 1: which labels are those of members, also after a
 * crash in the middle of `add` or `remove`.
 *
 * The labels lie on different files and cannot change at once. So one label
 * decides: the pool has as many components as the label of component 0 says.
 * The others are written in an order in which a crash at any point leaves
 * labels of the pool before the change or of the pool after it
 * (docs/architecture.md has the reasons):
 *
 * - `add` from N to M components: first the new labels (index N and up, count
 *   M, marked as joining); *then* the label of component 0; then the new labels
 *   without the mark, and only now may chunks be mapped to them; then the rest.
 * - `remove` from N to M components: first the labels of the first component
 *   that leaves and of all components behind it, which hold no chunk either
 *   (those that stay: their new index, count M; those that leave: an index of M
 *   and up, count M); *then* the label of component 0; then the rest; then the
 *   labels of the components that left are wiped.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import {
  COMPONENT_JOINING,
  type FreebsdLabel,
} from "../../metadata/freebsd/mod.ts";

/** A label, and the component that carries it. */
export interface FoundLabel {
  /** The component's path. */
  readonly path: string;
  /** The component's label. */
  readonly label: FreebsdLabel;
}

/** What the labels of one pool say about its membership. */
export interface MemberPlan<T extends FoundLabel> {
  /** The members by index; undefined where a member is missing. */
  readonly members: readonly (T | undefined)[];
  /** Members whose labels must be rewritten with their index and the count. */
  readonly outdated: readonly T[];
  /**
   * Members to which no chunk may be mapped: they were joining, or they were
   * leaving and their index follows from the gap that they fill.
   */
  readonly mustBeEmpty: readonly T[];
  /** Former members: `remove` finished, but did not wipe their labels. */
  readonly removed: readonly T[];
  /** Components of an `add` that did not finish: no members yet. */
  readonly unfinished: readonly T[];
}

/**
 * Determines the members of a pool.
 *
 * @param found The labels of one pool; at least one.
 * @returns The members, and the labels that must be rewritten or wiped.
 * @throws {VirstorError} `corrupt` if two labels claim one index.
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
  for (const component of found) {
    const { label } = component;
    if (isJoining(label)) joining.push(component);
    else if (label.count < count) behind.push(component);
    else if (label.index < count) claim(members, component);
    else if (label.count === count) removed.push(component);
    else unfinished.push(component);
  }
  const displaced: T[] = [];
  for (const component of behind) {
    const { index } = component.label;
    // This label missed an `add` that finished; its index is still right.
    if (index < component.label.count && members[index] === undefined) {
      members[index] = component;
    } else {
      displaced.push(component);
    }
  }
  const mustBeEmpty: T[] = [];
  displaced.sort((a, b) => a.label.index - b.label.index);
  for (const component of displaced) {
    const gap = members.indexOf(undefined);
    if (gap >= 0) {
      // It was leaving, and the `remove` did not finish: back into the gap.
      members[gap] = component;
      mustBeEmpty.push(component);
    } else if (component.label.index >= component.label.count) {
      // It left long ago, and the wiping of its label was not durable.
      removed.push(component);
    } else {
      throw duplicate(members[component.label.index] ?? component, component);
    }
  }
  for (const component of joining) {
    // The `add` finished, unless another member holds the index: then this
    // label is stale.
    const { index } = component.label;
    if (index < count && members[index] === undefined) {
      members[index] = component;
      mustBeEmpty.push(component);
    } else {
      unfinished.push(component);
    }
  }
  const outdated = members.filter((component, index) =>
    component !== undefined &&
    (component.label.index !== index || component.label.count !== count ||
      isJoining(component.label))
  ) as T[];
  return { members, outdated, mustBeEmpty, removed, unfinished };
}

/** The count of component 0's label; without that label, the highest count. */
function decidingCount(found: readonly FoundLabel[]): number {
  const [first, second] = found.filter(({ label }) => label.index === 0);
  if (first !== undefined && second !== undefined) {
    throw duplicate(first, second);
  }
  if (first !== undefined) return first.label.count;
  return found.reduce((most, { label }) => Math.max(most, label.count), 1);
}

/** Compares all flags: FreeBSD's `add` leaves arbitrary bits in them. */
function isJoining(label: FreebsdLabel): boolean {
  return label.flags === COMPONENT_JOINING;
}

function claim<T extends FoundLabel>(
  members: (T | undefined)[],
  component: T,
): void {
  const other = members[component.label.index];
  if (other !== undefined) throw duplicate(other, component);
  members[component.label.index] = component;
}

function duplicate(component: FoundLabel, other: FoundLabel): VirstorError {
  return new VirstorError(
    "corrupt",
    `Cannot open pool "${component.label.name}": "${component.path}" and ` +
      `"${other.path}" both claim to be component ${other.label.index} of it`,
  );
}
