/**
 * Comparing a component of format 2 with the state in memory, while I/O runs.
 *
 * @module
 */

import { counted, messageOf, nameOf } from "../../../errors.ts";
import type { VolumeRecord } from "../../../metadata/native/mod.ts";
import {
  type Component,
  type Finding,
  type ForwardMap,
  recordById,
  unreadableMetadata,
} from "../../core/mod.ts";
import type { NativeMember } from "./native_member.ts";
import { badEntry } from "./native_map.ts";
import { ownerFault, scanTable } from "./native_scan.ts";
import { readSuperblock } from "../../member/mod.ts";

/** What the tables should hold. */
interface ExpectedMaps {
  /** The forward maps, by the number of the volume. */
  readonly maps: ReadonlyMap<number, ForwardMap>;
  /** Whether the superblocks list volumes. */
  readonly hasVolumes: boolean;
  /** What they list, the first volume first. */
  readonly records: readonly VolumeRecord[];
}

/**
 * Checks the members of an open pool.
 *
 * @param members The members.
 * @param stored Their state on disk, as the pool knows it.
 * @param generation Returns the pool's current generation.
 * @param expected The maps.
 * @returns The differences, and damage that was found on the way.
 */
export async function checkMembers(
  members: readonly Component[],
  stored: ReadonlyMap<Component, NativeMember>,
  generation: () => number,
  expected: ExpectedMaps,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const one of members) {
    const state = stored.get(one);
    // A removal may have finished during the check of another member.
    if (state === undefined) continue;
    await checkMember(one, state, { findings, generation, ...expected });
  }
  return findings;
}

/** The check of a member. */
interface MemberCheck extends ExpectedMaps {
  /** Where the findings go. */
  readonly findings: Finding[];
  /** Returns the pool's current generation. */
  readonly generation: () => number;
}

async function checkMember(
  component: Component,
  stored: NativeMember,
  check: MemberCheck,
): Promise<void> {
  const { findings, generation } = check;
  checkSuperblock(component, stored, generation, findings);
  try {
    await checkTable(component, stored, check);
  } catch (error) {
    findings.push(unreadableMetadata(component.device.path, error));
  }
}

async function checkTable(
  component: Component,
  { table }: NativeMember,
  { findings, maps, hasVolumes, records }: MemberCheck,
): Promise<void> {
  const { version } = table;
  let owned = 0;
  await scanTable(table, {
    page() {},
    unsound: (_, finding) => findings.push(finding),
    owned(entry) {
      owned++;
      const { chunk, virtualChunk, volume } = entry;
      const owner = hasVolumes ? "" : ownerFault(entry);
      if (owner !== "") {
        findings.push(badEntry(component, entry, owner));
        return;
      }
      const map = maps.get(volume);
      // A pinned chunk is being moved: its old entry is still on disk.
      if (map?.pinned.has(virtualChunk) === true) return;
      if (map?.holds(virtualChunk, component, chunk) === true) return;
      findings.push({
        kind: "differs",
        severity: "damage",
        what: `The entry of chunk ${chunk} names virtual chunk ` +
          `${virtualChunk}${ownerText(records, volume)}, ` +
          "which is mapped elsewhere",
        where: component.device.path,
        effect: "writes to that virtual chunk may be lost after the pool is " +
          "stopped",
      });
    },
  });
  // The count is valid only if the table did not change during the scan. A
  // chunk that is being copied has its new place already, and no entry yet.
  const missing = component.used - component.unrecorded - owned;
  if (table.version === version && missing > 0) {
    findings.push({
      kind: "differs",
      severity: "damage",
      what: counted(missing, "entry is", "entries are") +
        " missing from the chunk table",
      where: component.device.path,
      effect: "their data will not be found after the pool is stopped",
    });
  }
}

function checkSuperblock(
  { device }: Component,
  stored: NativeMember,
  generation: () => number,
  findings: Finding[],
): void {
  try {
    const { superblock, otherFault } = readSuperblock(device);
    if (otherFault !== undefined) throw otherFault;
    const isRight = superblock.componentUuid === stored.uuid &&
      superblock.generation === generation();
    if (!isRight) throw new Error("It is not the last one that was written");
  } catch (error) {
    findings.push({
      kind: "differs",
      severity: "damage",
      what: `A superblock differs from the pool's: ${messageOf(error)}`,
      where: device.path,
      effect: "the next open may not recognise the component",
    });
  }
}

/** Which volume a chunk is of, in a sentence. */
function ownerText(records: readonly VolumeRecord[], id: number): string {
  if (id === 0) return "";
  // The first volume has the name of the pool.
  const [first] = records;
  const found = recordById(records, id);
  return first === undefined || found === undefined
    ? ` of volume ${id}`
    : ` of volume "${nameOf(first.name, found.name)}"`;
}
