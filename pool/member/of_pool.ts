/**
 * Which of the labels that were found are those of a pool of a given name.
 *
 * @module
 */

import { type ComponentLabel, poolIdOf } from "./component_label.ts";
import { truthAmong } from "./native_members.ts";

/** What carries a label. */
interface Labelled {
  readonly label: ComponentLabel;
}

/**
 * Selects what carries a label of a pool.
 *
 * A crash in the middle of a rename leaves members whose superblocks have the
 * former name. They are of the pool if the newest superblock of that name lists
 * them and is of a higher generation. If another component has the place of one
 * of them, the former name is that of a copy of the pool: then none is.
 *
 * @param name The name of the pool.
 * @param found What was found, in any order, of any pools.
 * @returns What is of the pool, in the same order.
 */
export function ofPool<T extends Labelled>(
  name: string,
  found: readonly T[],
): T[] {
  const named = found.filter(({ label }) => label.name === name);
  const natives = named.flatMap(({ label }) =>
    label.format === "native" ? [label] : []
  );
  if (natives.length === 0 || named.length === found.length) return named;
  const truth = truthAmong(natives);
  const listed = new Set(truth.members.map(({ uuid }) => uuid));
  const taken = new Set(natives.map(({ componentUuid }) => componentUuid));
  const behind = new Set<Labelled>();
  for (const one of found) {
    const { label } = one;
    if (label.format !== "native" || label.name === name) continue;
    if (label.poolUuid !== truth.poolUuid) continue;
    if (taken.has(label.componentUuid)) return named;
    const isOlder = label.generation < truth.generation;
    if (isOlder && listed.has(label.componentUuid)) behind.add(one);
  }
  return found.filter((one) => one.label.name === name || behind.has(one));
}

/**
 * Sorts what carries labels by pools.
 *
 * @param found What was found, of any pools.
 * @returns Each pool of which something was found, with its name.
 */
export function byPool<T extends Labelled>(
  found: readonly T[],
): { readonly name: string; readonly components: T[] }[] {
  const ids = Map.groupBy(
    found,
    ({ label }) => `${label.format} ${poolIdOf(label)}`,
  );
  return [...ids.values()].flatMap((ofId) => {
    const pools: { name: string; components: T[] }[] = [];
    for (let rest: readonly T[] = ofId; rest.length > 0;) {
      const name = newestName(rest);
      const components = ofPool(name, rest);
      pools.push({ name, components });
      const sorted = new Set<T>(components);
      rest = rest.filter((one) => !sorted.has(one));
    }
    return pools;
  });
}

/** The name that the newest of labels with one id has; "" without any. */
function newestName(labelled: readonly Labelled[]): string {
  const natives = labelled.flatMap(({ label }) =>
    label.format === "native" ? [label] : []
  );
  return natives.length > 0
    ? truthAmong(natives).name
    : labelled[0]?.label.name ?? "";
}
