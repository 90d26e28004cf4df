/**
 * Recovery of a pool of format 2: what a crash left unfinished.
 *
 * @module
 */

import { counted } from "../../../errors.ts";
import type { Superblock } from "../../../metadata/native/mod.ts";
import {
  type Assembly,
  type NativePlan,
  wipeDeviceLabels,
  writeSuperblock,
} from "../../member/mod.ts";
import {
  chunkRanges,
  type Component,
  type Finding,
  type PoolEvent,
} from "../../core/mod.ts";
import type { NativeFormat } from "./native_format.ts";
import type { NativeMember } from "./native_member.ts";
import type { NativeMap } from "./native_map.ts";
import { isRolledBack, type NativeComponent } from "./native_stale.ts";
import { notice, sayRecovered } from "../mod.ts";
/** The members, and the superblock that decides. */
export interface Plan extends NativePlan<NativeComponent> {
  /** The deciding superblock as it is on disk, members set aside included. */
  readonly written: Superblock;
}

/** The contents of the metadata, before recovery. */
export interface Loaded {
  readonly plan: Plan;
  readonly members: ReadonlyMap<Component, NativeMember>;
  readonly format: NativeFormat;
  readonly read: NativeMap;
  /** Members whose chunk tables show that they are stale. */
  readonly stale: ReadonlyMap<NativeComponent, Finding>;
  /** Whether the tables have damage. */
  readonly isDamaged: boolean;
}

/**
 * Finishes or undoes what a crash left unfinished.
 *
 * @param assembly The components that were found.
 * @param loaded What was read.
 * @param onEvent Called for each step.
 * @returns Chunks that are unmapped now and have to be freed.
 * @throws {VirstorError} `io`.
 */
export async function recover(
  { found }: Assembly,
  loaded: Loaded,
  onEvent: (event: PoolEvent) => void,
): Promise<ReadonlyMap<Component, readonly number[]>> {
  const { plan, format, read } = loaded;
  const say = sayRecovered(onEvent);
  // A killed process may have left its last writes in the page cache only.
  // Recovery draws conclusions from them, so they become durable first.
  for (const { device } of found) await device.flush();
  await bringUpToDate(loaded);
  await endProvisional(loaded, say);
  await format.begin();
  for (const { table, position, finding } of read.unsound) {
    table.blank(position);
    const message = `Wiped an unsound slot. ${finding.where}: ${finding.what}`;
    say("slot-wiped", message, [table.device.path]);
  }
  for (const [component, chunks] of read.superseded) {
    const sorted = chunks.toSorted((a, b) => a - b);
    format.recordRelease(component, sorted);
    const { path } = component.device;
    const count = chunks.length;
    const message = `Freeing ${counted(count, "chunk")} of "${path}" that ` +
      "nothing refers to any more";
    say("chunks-freed", message, [path], count);
  }
  await format.mirror();
  for (const { path, device } of plan.unfinished) {
    await wipeDeviceLabels(device);
    device.leave?.();
    const message = `Wiped the superblock of "${path}": its add did not finish`;
    say("label-wiped", message, [path]);
  }
  for (const one of plan.stale) {
    const message = `"${one.path}" is left out: ${staleText(one, plan)}`;
    say("left-out", message, [one.path]);
  }
  const freed = new Map(read.superseded);
  for (const [component, chunks] of read.dropped) {
    freed.set(component, [...freed.get(component) ?? [], ...chunks]);
  }
  return freed;
}

/**
 * Drops or settles provisional mappings, durably. This comes before the
 * generation with the id of this boot is durable: after the next power cut, an
 * open would trust those that are left.
 */
async function endProvisional(
  { format, read: { dropped, unsettled } }: Loaded,
  say: ReturnType<typeof sayRecovered>,
): Promise<void> {
  for (const [component, chunks] of dropped) {
    format.recordRelease(component, chunks.toSorted((a, b) => a - b));
    const { path } = component.device;
    const message =
      `Freeing ${counted(chunks.length, "chunk")} of "${path}": ` +
      "copies that were not durable when the power was cut";
    say("chunks-freed", message, [path], chunks.length);
  }
  for (const [component, chunks] of unsettled) {
    format.recordSettled(component, chunks.toSorted((a, b) => a - b));
  }
  const changed = new Set([...dropped.keys(), ...unsettled.keys()]);
  for (const { device } of changed) await device.flush();
}

/**
 * Writes the current generation to the members that missed it, durably.
 *
 * *Requires*: this happens before the next generation is written. So no member
 * ever misses two generations, and a member that has is known to be stale.
 */
async function bringUpToDate({ plan, members }: Loaded): Promise<void> {
  const { clean, generation } = plan.written;
  const behind = [...members].filter(([{ index }]) =>
    (plan.members[index]?.label.generation ?? 0) < generation
  );
  for (const [{ device, geometry }, member] of behind) {
    const superblock = {
      ...plan.written,
      componentUuid: member.uuid,
      componentSize: geometry.size,
      overflowSize: member.overflowSize,
      tableDigest: clean ? member.table.digest : 0,
    };
    member.slot = 1 - member.slot;
    writeSuperblock(device, superblock, member.slot);
  }
  for (const [{ device }] of behind) await device.flush();
}

/**
 * Lists what a recovery would put right.
 *
 * @param loaded What was read.
 * @returns The findings.
 */
export function noticesOf({ plan, read }: Loaded): Finding[] {
  const { truth } = plan;
  const findings: Finding[] = [];
  for (const one of plan.members) {
    if (one === undefined) continue;
    const { path, label, otherFault } = one;
    if (otherFault !== undefined) {
      findings.push(notice("unsound", otherFault.message, path));
    }
    if (label.generation < truth.generation && !isRolledBack(one, truth)) {
      const behind = `It has missed a generation (${label.generation}, the ` +
        `pool's is ${truth.generation})`;
      findings.push(notice("behind", behind, path));
    }
  }
  for (const { path } of plan.unfinished) {
    findings.push(
      notice("unfinished", "It is no component: its add did not finish", path),
    );
  }
  for (const one of plan.stale) {
    findings.push({
      ...notice("stale", `It is stale: ${staleText(one, plan)}`, one.path),
      effect: "no data are lost; it is left out",
    });
  }
  for (const { finding } of read.unsound) findings.push(finding);
  findings.push(...read.single);
  for (const [component, chunks] of read.dropped) {
    findings.push(notice(
      "superseded",
      counted(chunks.length, "chunk holds", "chunks hold") + " a copy" +
        " that was not durable when the power was cut",
      component.device.path,
    ));
  }
  for (const [component, chunks] of read.superseded) {
    findings.push(notice(
      "superseded",
      counted(chunks.length, "chunk holds", "chunks hold") +
        ` what nothing refers to any more: ${chunkRanges(chunks)}`,
      component.device.path,
    ));
  }
  return findings;
}

function staleText({ label }: NativeComponent, { truth }: Plan): string {
  return `component ${label.componentUuid} is not in pool "${truth.name}" ` +
    `any more (generation ${label.generation}, the pool's is ` +
    `${truth.generation}), clear it`;
}
