/**
 * What labels by themselves tell of a pool: how many components it has, and
 * which of them each label is of. Which components really are members is for
 * the formats to say, which look at all of them.
 *
 * @module
 */

import type { ComponentLabel } from "./component_label.ts";
import { truthAmong } from "./native_members.ts";

/** The places of a pool's components. */
export interface Places {
  /** How many components the pool has. */
  readonly count: number;
  /**
   * Finds the place of a component.
   *
   * @param label Its label.
   * @returns Its place, from 0; below 0 if it is no component.
   */
  readonly indexOf: (label: ComponentLabel) => number;
}

/**
 * How many components a pool has, and the place of each.
 *
 * @param labels Labels of one pool.
 * @returns The places.
 */
export function placesOf(labels: readonly ComponentLabel[]): Places {
  const natives = labels.filter((label) => label.format === "native");
  if (natives.length > 0) {
    const { members } = truthAmong(natives);
    const indexes = new Map(members.map(({ uuid }, index) => [uuid, index]));
    return {
      count: members.length,
      indexOf: (label) =>
        label.format === "native" ? indexes.get(label.componentUuid) ?? -1 : -1,
    };
  }
  const lowest = labels.filter((label) => label.format === "freebsd")
    .toSorted((a, b) => a.index - b.index);
  return {
    count: lowest[0]?.count ?? 0,
    indexOf: (label) => label.format === "freebsd" ? label.index : -1,
  };
}

/**
 * Whether labels are those of a whole pool, each component once and no other.
 *
 * @param labels Labels of one pool.
 * @returns False also if there is none, or if a stop in the middle of a change
 *   left labels of format 1 that do not agree.
 */
export function isWhole(labels: readonly ComponentLabel[]): boolean {
  const { count, indexOf } = placesOf(labels);
  const indexes = new Set(labels.map(indexOf));
  return count > 0 && labels.length === count && indexes.size === count &&
    labels.every((label) =>
      indexOf(label) >= 0 && indexOf(label) < count &&
      (label.format === "native" || label.count === count)
    );
}
