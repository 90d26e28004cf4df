/**
 * Stale members of format 2: in an earlier state than their pool, because they
 * were restored from a copy, or lie on a disk that lost writes.
 *
 * Each generation is durable on all members before the next one is written, and
 * an open first updates the members that missed the last generation. So a
 * member that missed two generations is stale. A member is stale as well if it
 * missed the start of a session that changed the tables of others.
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

/** A component with the contents of both superblock slots. */
export interface NativeComponent extends OpenComponent<DecodedSuperblock> {
  /** The slot of its current superblock, 0 or 1. */
  readonly slot: number;
  /** The superblock in the other slot, if it is sound. */
  readonly other: DecodedSuperblock | undefined;
  /** What is wrong with the other slot, if anything. */
  readonly otherFault: VirstorError | undefined;
}

/** A member, and the digest of the chunk table as it was read. */
export interface ReadMember {
  /** The member. */
  readonly component: NativeComponent;
  /** The digest of its chunk table, u32. */
  readonly digest: number;
}

/**
 * Whether a member missed more generations than a crash can explain.
 *
 * @param component The member.
 * @param truth The deciding superblock.
 * @returns Whether the member is stale.
 */
export function isRolledBack(
  { label, otherFault }: NativeComponent,
  { generation }: Superblock,
): boolean {
  // If one slot is damaged, it may have held the newer superblock.
  const missedMax = otherFault === undefined ? 1 : 2;
  return label.generation < generation - missedMax;
}

/**
 * The damage of a member that missed generations.
 *
 * @param component The member.
 * @param truth The deciding superblock.
 * @returns The finding.
 */
export function rolledBack(
  { path, label }: NativeComponent,
  { generation }: Superblock,
): Finding {
  return {
    kind: "behind",
    severity: "damage",
    what: `The component is at generation ${label.generation}, the pool at ` +
      `${generation}: it was restored from a copy, or it lost writes`,
    where: path,
    effect: "writes to it since then are missing",
    advice: adviceFor(path),
  };
}

/**
 * Finds stale members by their chunk tables.
 *
 * @param members All members that were found.
 * @param truth The deciding superblock.
 * @returns The stale members, each with the damage.
 */
export function findStaleTables(
  members: readonly ReadMember[],
  truth: Superblock,
): Map<NativeComponent, Finding> {
  const findings = new Map<NativeComponent, Finding>();
  for (const { component, digest } of members) {
    const { label, otherFault, path } = component;
    // An older superblock describes an older table: its digest says nothing.
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
 * Whether a table changed since the clean stop before the current session. The
 * start of a session is durable on all members before any table changes.
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

/** The damage of a member whose table does not match its superblock. */
function otherTable(path: string): Finding {
  return {
    kind: "lost-page",
    severity: "damage",
    what: "The chunk table differs from the one at the last clean stop: it " +
      "lost pages, or it was restored from a copy",
    where: path,
    effect: "data of this component may be missing or outdated",
    advice: adviceFor(path),
  };
}

/**
 * What to do about a stale member.
 *
 * @param path The component's path.
 * @returns The advice, for the end of a message.
 */
export function adviceFor(path: string): string {
  return "bring the current file back, read the rest with virstor serve " +
    `--degraded, or remove it for good with virstor repair ` +
    `--accept-stale "${path}"`;
}
