/**
 * Which superblocks of format 2 are those of a pool's members.
 *
 * All of them list the members, and each change of the pool gives them a
 * higher generation, one after the other. The highest one decides. A component
 * that is being added carries a superblock before the change that makes it a
 * member is made: one that says of itself that it is joining has no vote.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import type { Superblock } from "../../metadata/native/mod.ts";

/** A superblock, and where it was found. */
export interface FoundSuperblock {
  /** The component's path. */
  readonly path: string;
  /** Its superblock. */
  readonly label: Superblock;
}

/** What follows from the superblocks of one pool. */
export interface NativePlan<T extends FoundSuperblock> {
  /** The one that decides. */
  readonly truth: Superblock;
  /** The members in order; undefined where one is missing. */
  readonly members: readonly (T | undefined)[];
  /** No members any more. */
  readonly stale: readonly T[];
  /** No members yet: an `add` was not done. */
  readonly unfinished: readonly T[];
  /**
   * Members that cannot be what the deciding superblock says, and are older:
   * why not. They are among the missing ones.
   */
  readonly contradicting: ReadonlyMap<T, string>;
}

/**
 * The superblock that decides.
 *
 * @param labels Superblocks of one pool, at least one.
 * @returns The one of the highest generation that has a vote.
 */
export function truthAmong<T extends Superblock>(labels: readonly T[]): T {
  const voters = labels.filter((label) => !isJoining(label));
  const [first, ...rest] = voters.length > 0 ? voters : labels;
  if (first === undefined) {
    throw new VirstorError("not-found", "There is no superblock");
  }
  return rest.reduce(
    (best, one) => one.generation > best.generation ? one : best,
    first,
  );
}

/**
 * Finds the members of a pool.
 *
 * @param name The pool's name.
 * @param found The superblocks of one pool, at least one.
 * @param isTolerant Whether members may be older and contradict the deciding
 *   superblock.
 * @returns The members, and what else there is.
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
  for (const one of found) {
    const { componentUuid } = one.label;
    const other = byUuid.get(componentUuid);
    if (other !== undefined) {
      throw new VirstorError(
        "corrupt",
        `Cannot open pool "${name}": "${other.path}" and "${one.path}" both ` +
          `claim to be component ${componentUuid} of it, clear the copy`,
      );
    }
    byUuid.set(componentUuid, one);
    const fault = faultOf(truth, one);
    if (fault === "") continue;
    const isOlder = one.label.generation < truth.generation;
    if (!isTolerant || !isOlder) {
      throw new VirstorError("corrupt", `Cannot open pool "${name}": ${fault}`);
    }
    contradicting.set(one, fault);
  }
  const listed = truth.members.map(({ uuid }) => byUuid.get(uuid));
  const others = found.filter((one) => !listed.includes(one));
  const members = listed.map((one) =>
    one !== undefined && contradicting.has(one) ? undefined : one
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

/** Why a superblock cannot be of the same pool as the deciding one, or "". */
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
      !sameFacts(truth, label));
  if (!contradicts) return "";
  return `the superblock of "${path}" (generation ${label.generation}) ` +
    `contradicts the others (generation ${truth.generation})`;
}

function sameFacts(one: Superblock, other: Superblock): boolean {
  return one.name === other.name && one.virtualSize === other.virtualSize &&
    one.clean === other.clean &&
    JSON.stringify(one.members) === JSON.stringify(other.members);
}
