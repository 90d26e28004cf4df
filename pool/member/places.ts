/**
 * What the labels alone say about a pool: how many components it has, and the
 * index of each label's component. The formats examine further and decide
 * which components are members.
 *
 * @module
 */

import type { ComponentLabel } from "./component_label.ts";
import { truthAmong } from "./native_members.ts";

/** The number of a pool's components, and the index of each. */
export interface Places {
  /** How many components the pool has. */
  readonly count: number;
  /**
   * Finds the index of a component.
   *
   * @param label The component's label.
   * @returns Its index, from 0; below 0 if the component is not listed.
   */
  readonly indexOf: (label: ComponentLabel) => number;
}

/**
 * Derives the number of components and their indexes from labels.
 *
 * @param labels Labels of one pool.
 * @returns The places; `count` is 0 if there are no labels.
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
 * Whether labels are those of a whole pool: each component once, and no other.
 *
 * @param labels Labels of one pool.
 * @returns False also if there are no labels, and if a crash in the middle of a
 *   change left format 1 labels that disagree.
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
