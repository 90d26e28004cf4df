/**
 * Membership in format 2: which superblocks are those of members.
 *
 * Every superblock lists the members. Each change of the pool rewrites the
 * superblocks one after the other with a higher generation, and the highest
 * generation decides. During `add`, a new component carries a superblock before
 * the change that makes it a member; such a superblock lists its own component
 * as joining, and has no vote.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { Superblock } from "../../metadata/native/mod.ts";

/** A superblock, and the component that carries it. */
export interface FoundSuperblock {
  /** The component's path. */
  readonly path: string;
  /** The component's superblock. */
  readonly label: Superblock;
}

/** What the superblocks of one pool say about its membership. */
export interface NativePlan<T extends FoundSuperblock> {
  /** The deciding superblock. */
  readonly truth: Superblock;
  /** The members in order; undefined where a member is missing. */
  readonly members: readonly (T | undefined)[];
  /** Former members: the deciding superblock does not list them. */
  readonly stale: readonly T[];
  /** Components of an `add` that did not finish: no members yet. */
  readonly unfinished: readonly T[];
  /**
   * Older members that contradict the deciding superblock, each with the
   * contradiction in words. `members` lists them as missing.
   */
  readonly contradicting: ReadonlyMap<T, string>;
}

/**
 * Selects the deciding superblock.
 *
 * @param labels Superblocks of one pool; at least one.
 * @returns The superblock of the highest generation that has a vote.
 * @throws {VirstorError} `not-found` if `labels` is empty.
 */
export function truthAmong<T extends Superblock>(labels: readonly T[]): T {
  const voters = labels.filter((label) => !isJoining(label));
  const [first, ...rest] = voters.length > 0 ? voters : labels;
  if (first === undefined) {
    throw new VirstorError("not-found", "There is no superblock");
  }
  return rest.reduce(
    (best, label) => label.generation > best.generation ? label : best,
    first,
  );
}

/**
 * Determines the members of a pool.
 *
 * @param name The pool's name.
 * @param found The superblocks of one pool; at least one.
 * @param isTolerant Report older members that contradict the deciding
 *   superblock in `contradicting` instead of throwing; default false.
 * @returns The members, and the components that are none.
 * @throws {VirstorError} `corrupt` if superblocks contradict each other.
 */
export function planNativeMembers<T extends FoundSuperblock>(
  name: string,
  found: readonly T[],
  isTolerant = false,
): NativePlan<T> {
  const truth = truthAmong(found.map(({ label }) => label));
  const byUuid = new Map<string, T>();
  const contradicting = new Map<T, string>();
  for (const component of found) {
    const { componentUuid } = component.label;
    const other = byUuid.get(componentUuid);
    if (other !== undefined) {
      throw new VirstorError(
        "corrupt",
        `Cannot open pool "${name}": "${other.path}" and ` +
          `"${component.path}" both claim to be component ` +
          `${componentUuid} of it, clear the copy`,
      );
    }
    byUuid.set(componentUuid, component);
    const fault = faultOf(truth, component);
    if (fault === "") continue;
    const isOlder = component.label.generation < truth.generation;
    if (!isTolerant || !isOlder) {
      throw new VirstorError("corrupt", `Cannot open pool "${name}": ${fault}`);
    }
    contradicting.set(component, fault);
  }
  const listed = truth.members.map(({ uuid }) => byUuid.get(uuid));
  const others = found.filter((component) => !listed.includes(component));
  const members = listed.map((component) =>
    component !== undefined && contradicting.has(component)
      ? undefined
      : component
  );
  return {
    truth,
    members,
    stale: others.filter(({ label }) => !isJoining(label)),
    unfinished: others.filter(({ label }) => isJoining(label)),
    contradicting,
  };
}

function isJoining({ componentUuid, members }: Superblock): boolean {
  const own = members.find(({ uuid }) => uuid === componentUuid);
  return own?.state === "joining";
}

/** Why a superblock contradicts the deciding one; "" if it does not. */
function faultOf(
  truth: Superblock,
  { path, label }: FoundSuperblock,
): string {
  const listed = truth.members.find(({ uuid }) => uuid === label.componentUuid);
  const own = label.members.find(({ uuid }) => uuid === label.componentUuid);
  if (listed === undefined) return "";
  const contradicts = label.chunkSize !== truth.chunkSize ||
    listed.chunkCount !== own?.chunkCount ||
    (label.generation === truth.generation && !isJoining(label) &&
      !sameContent(truth, label));
  if (!contradicts) return "";
  return `the superblock of "${path}" (generation ${label.generation}) ` +
    `contradicts the others (generation ${truth.generation})`;
}

function sameContent(label: Superblock, other: Superblock): boolean {
  return label.name === other.name && label.virtualSize === other.virtualSize &&
    label.clean === other.clean &&
    JSON.stringify(label.members) === JSON.stringify(other.members) &&
    JSON.stringify(label.volumes) === JSON.stringify(other.volumes);
}
