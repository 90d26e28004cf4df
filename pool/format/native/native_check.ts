/**
 * Holding a component of format 2 on disk against memory, while I/O goes on.
 *
 * @module
 */

import { counted, messageOf } from "../../../errors.ts";
import type { Component, Finding, ForwardMap } from "../../core/mod.ts";
import type { NativeMember } from "./native_member.ts";
import { scanTable } from "./native_scan.ts";
import { readSuperblock } from "../../member/mod.ts";

/**
 * Checks a member of an open pool.
 *
 * @param component The member.
 * @param stored What is known of it on disk.
 * @param generation The pool's generation now.
 * @param map The forward map.
 * @returns What does not agree.
 */
export async function checkNativeMember(
  component: Component,
  stored: NativeMember,
  generation: () => number,
  map: ForwardMap,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  checkSuperblock(component, stored, generation, findings);
  const { table } = stored;
  const { version } = table;
  let owned = 0;
  await scanTable(table, {
    page() {},
    unsound: (_, finding) => findings.push(finding),
    owned(chunk, virtualChunk) {
      owned++;
      const isRight = map.component(virtualChunk) === component &&
        map.chunk(virtualChunk) === chunk;
      // One that is being moved is at its old place, too.
      if (isRight || map.pinned.has(virtualChunk)) return;
      findings.push({
        kind: "differs",
        severity: "damage",
        what: `Chunk ${chunk} says that it holds virtual chunk ` +
          `${virtualChunk}, which is elsewhere`,
        where: component.device.path,
        effect: "what is written to that virtual chunk may be lost once the " +
          "pool is stopped",
      });
    },
  });
  // Only a table that nobody has changed meanwhile can be counted. Chunks that
  // are being moved have a new place already, but no entry for it yet.
  const missing = component.used - map.pinned.size - owned;
  if (table.version === version && missing > 0) {
    findings.push({
      kind: "differs",
      severity: "damage",
      what: counted(missing, "entry is", "entries are") +
        " missing from the chunk table",
      where: component.device.path,
      effect: "their data will not be found once the pool is stopped",
    });
  }
  return findings;
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
    if (!isRight) throw new Error("It is not the one that was written last");
  } catch (error) {
    findings.push({
      kind: "differs",
      severity: "damage",
      what: `A superblock is not as the pool has it: ${messageOf(error)}`,
      where: device.path,
      effect: "the component may not be known again once the pool is stopped",
    });
  }
}
