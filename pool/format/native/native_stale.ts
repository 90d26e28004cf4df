/**
 * Members of format 2 that are of an earlier time than their pool: put back from
 * a copy, or on a disk that has lost writes.
 *
 * Each generation is durable on all members before the next one is written, and
 * an open brings members that have missed the last one up to date first. So a
 * member that has missed two is stale, and so is one that has missed the begin
 * of a session in which something was written to others.
 *
 * @module
 */

import type { VirstorError } from "../../../errors.ts";
import type {
  DecodedSuperblock,
  Superblock,
} from "../../../metadata/native/mod.ts";
import type { OpenComponent } from "../../member/mod.ts";
import type { Finding } from "../../core/mod.ts";

/** A component, with its superblock and what the other slot tells. */
export interface NativeComponent extends OpenComponent<DecodedSuperblock> {
  /** The slot that counts. */
  readonly slot: number;
  /** The superblock in the other one, if it is sound. */
  readonly other: DecodedSuperblock | undefined;
  /** What is wrong with the other one, if anything. */
  readonly otherFault: VirstorError | undefined;
}

/** A member, and the digest of the chunk table that was read from it. */
export interface ReadMember {
  /** The component. */
  readonly component: NativeComponent;
  /** The digest of its table. */
  readonly digest: number;
}

/**
 * Whether a member has missed more generations than a stop can make it miss.
 *
 * @param component The member.
 * @param truth The superblock that decides.
 * @returns Whether it is of an earlier time.
 */
export function isRolledBack(
  { label, otherFault }: NativeComponent,
  { generation }: Superblock,
): boolean {
  // The slot that is damaged may have been the newer one.
  const missable = otherFault === undefined ? 1 : 2;
  return label.generation < generation - missable;
}

/**
 * What is said of a member of an earlier time.
 *
 * @param component The member.
 * @param truth The superblock that decides.
 * @returns The damage.
 */
export function rolledBack(
  { path, label }: NativeComponent,
  { generation }: Superblock,
): Finding {
  return {
    kind: "behind",
    severity: "damage",
    what: `It is as it was at generation ${label.generation}, the pool's is ` +
      `${generation}: it was put back from a copy, or has lost writes`,
    where: path,
    effect: "what was written to it since then is not there",
    advice: adviceFor(path),
  };
}

/**
 * Finds stale members by their tables.
 *
 * @param members All members that are there.
 * @param truth The superblock that decides.
 * @returns What is wrong with them.
 */
export function findStaleTables(
  members: readonly ReadMember[],
  truth: Superblock,
): Map<NativeComponent, Finding> {
  const findings = new Map<NativeComponent, Finding>();
  for (const { component, digest } of members) {
    const { label, otherFault, path } = component;
    // What a superblock says that is not the newest holds no more.
    const isNewest = label.generation === truth.generation &&
      otherFault === undefined;
    if (!isNewest || !label.clean || label.tableDigest === digest) continue;
    findings.set(component, otherTable(path));
  }
  if (truth.clean || !hasSession(members, truth)) return findings;
  for (const { component } of members) {
    const { label, otherFault } = component;
    const hasMissed = label.generation === truth.generation - 1 &&
      label.clean && otherFault === undefined;
    if (hasMissed) findings.set(component, rolledBack(component, truth));
  }
  return findings;
}

/**
 * Whether a table has changed since the clean stop before the open that counts.
 * That open was durable on all members by then.
 */
function hasSession(
  members: readonly ReadMember[],
  { generation }: Superblock,
): boolean {
  return members.some(({ component: { label, other }, digest }) =>
    label.generation === generation && other?.clean === true &&
    other.generation === generation - 1 && other.tableDigest !== digest
  );
}

/** A table that is not the one of which its superblock tells. */
function otherTable(path: string): Finding {
  return {
    kind: "lost-page",
    severity: "damage",
    what: "The chunk table is not as it was when the pool was stopped: pages " +
      "of it were lost, or put back from a copy",
    where: path,
    effect: "data of this component may be missing, or be older ones",
    advice: adviceFor(path),
  };
}

/**
 * What helps against a stale member.
 *
 * @param path Where it is.
 * @returns The advice, for the end of a message.
 */
export function adviceFor(path: string): string {
  return "bring the current file back, read the rest with virstor serve " +
    `--degraded, or do without it for good with virstor repair ` +
    `--accept-stale "${path}"`;
}
