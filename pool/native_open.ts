/**
 * A pool of format 2 as it lies on its components: who is a member, the chunk
 * tables, and what a stop left half done.
 *
 * @module
 */

import { counted, isOrAre, VirstorError } from "../errors.ts";
import type { DecodedSuperblock, Superblock } from "../metadata/mod.ts";
import type { Assembly, OpenComponent } from "./assemble.ts";
import { missingError } from "./assemble.ts";
import { Component } from "./component.ts";
import { wipeDeviceLabels } from "./component_label.ts";
import type { Finding } from "./findings.ts";
import { NativeFormat, tableOf } from "./native_format.ts";
import type { NativeMember } from "./native_format.ts";
import type { ChunkTable } from "./native_table.ts";
import { readNativeMap } from "./native_map.ts";
import type { NativeMap } from "./native_map.ts";
import type { NativePlan } from "./native_members.ts";
import { planNativeMembers } from "./native_members.ts";
import { readSuperblock } from "./native_superblock.ts";
import type { MissingMember, PoolEvent } from "./settings.ts";
import type { DamageSink, StoredPool } from "./stored_pool.ts";
import { notice } from "./stored_pool.ts";

/** A component, with its superblock and what is wrong with the other slot. */
interface NativeComponent extends OpenComponent<DecodedSuperblock> {
  /** The slot that counts. */
  readonly slot: number;
  /** What is wrong with the other one, if anything. */
  readonly otherFault: VirstorError | undefined;
}

type Plan = NativePlan<NativeComponent>;

/** What was read, before anything is put right. */
interface Loaded {
  readonly plan: Plan;
  readonly format: NativeFormat;
  readonly read: NativeMap;
}

/**
 * Reads a pool.
 *
 * @param assembly Its components.
 * @param degraded Whether members may be missing.
 * @param damaged Told of what cannot be used.
 * @returns The pool.
 * @throws {VirstorError} `not-found` if a component is missing, `corrupt`,
 *   `unsupported`.
 */
export async function readNativePool(
  assembly: Assembly,
  degraded: boolean,
  damaged: DamageSink,
): Promise<StoredPool> {
  const { name, found, faults } = assembly;
  const components = found.map((one) => withSuperblock(name, one));
  const plan = planNativeMembers(name, components);
  const missing = missingOf(plan);
  if (missing.length > 0 && !degraded) {
    const which = missing.map(({ index, uuid }) => `${index} (${uuid})`);
    throw missingError(name, which, plan.members.length, faults);
  }
  const { truth } = plan;
  for (const one of plan.members) {
    if (one && isRolledBack(one, truth)) damaged(rolledBack(one, truth));
  }
  const loaded = await load(plan, damaged);
  return {
    name,
    id: truth.poolUuid,
    chunkSize: truth.chunkSize,
    format: loaded.format,
    map: loaded.read.map,
    missing,
    warnings: warningsOf(plan, missing),
    readOnlyReason: readOnlyReason(name, plan),
    notices: noticesOf(loaded),
    recover: (onEvent) => recover(assembly, loaded, onEvent),
  };
}

function withSuperblock(name: string, one: OpenComponent): NativeComponent {
  if (one.label.format !== "native") {
    throw new VirstorError(
      "corrupt",
      `Cannot open pool "${name}": "${one.path}" carries a label of another ` +
        "format",
    );
  }
  const { superblock, slot, otherFault } = readSuperblock(one.device);
  return { ...one, label: superblock, slot, otherFault };
}

/**
 * Whether a component is one of an earlier time. A clean stop comes after all
 * members have the generation before it, so none can have missed two.
 */
function isRolledBack(
  { label, otherFault }: NativeComponent,
  { clean, generation }: Superblock,
): boolean {
  return clean && label.generation < generation - 1 &&
    otherFault === undefined;
}

function rolledBack(
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
  };
}

function missingOf({ truth, members }: Plan): MissingMember[] {
  return truth.members.flatMap(({ uuid, chunkCount }, index) =>
    members[index] === undefined ? [{ index, uuid, chunkCount }] : []
  );
}

function warningsOf(
  { truth }: Plan,
  missing: readonly MissingMember[],
): string[] {
  if (missing.length === 0) return [];
  const which = missing.map(({ index, uuid }) => `${index} (${uuid})`);
  const warnings = [
    `Components are missing: ${which.join(", ")}; what may be on them cannot ` +
    "be read",
  ];
  if (!truth.clean) {
    warnings.push(
      "The pool was not stopped cleanly: chunks that were moved or written " +
        "anew shortly before may show what they held earlier",
    );
  }
  return warnings;
}

function readOnlyReason(name: string, { members }: Plan): string {
  const reader = members.find((one) => one?.label.readOnly === true);
  if (reader === undefined) return "";
  const features = reader.label.readOnlyCompat.toString(16);
  return `Cannot open pool "${name}" for writing: it has features ` +
    `(0x${features}) that this version of virstor does not know, use ` +
    "--read-only";
}

async function load(plan: Plan, damaged: DamageSink): Promise<Loaded> {
  const { truth } = plan;
  const members = new Map<Component, NativeMember>();
  const digests = new Map<ChunkTable, number>();
  for (const [index, one] of plan.members.entries()) {
    if (one === undefined) continue;
    const { device, label, slot } = one;
    const chunkCount = truth.members[index]?.chunkCount ?? 0;
    const component = new Component(members.size + 1, index, device, {
      size: label.componentSize,
      chunkCount,
      chunkReserved: 0,
      hardcodedName: "",
    });
    component.evacuating = truth.members[index]?.state === "evacuating";
    component.fenced = component.evacuating;
    const uuid = label.componentUuid;
    const table = tableOf(device, uuid, truth.chunkSize);
    members.set(component, { uuid, table, slot });
    // What a superblock says that is not the newest holds no more.
    const isNewest = label.generation === truth.generation &&
      one.otherFault === undefined;
    if (isNewest && label.clean) digests.set(table, label.tableDigest);
  }
  const virtualChunks = truth.virtualSize / truth.chunkSize;
  let isDamaged = false;
  const read = await readNativeMap(members, virtualChunks, truth, (finding) => {
    isDamaged = true;
    damaged(finding);
  });
  for (const [table, digest] of digests) {
    if (table.digest !== digest && !isDamaged) damaged(otherTable(table));
  }
  const { generation } = truth;
  const { sequence, map } = read;
  const state = { generation, sequence, map, members };
  return { plan, format: new NativeFormat(truth, state), read };
}

/** A table that is not the one of which its superblock tells. */
function otherTable({ device }: ChunkTable): Finding {
  return {
    kind: "lost-page",
    severity: "damage",
    what: "The chunk table is not as it was when the pool was stopped: pages " +
      "of it were lost, or put back from a copy",
    where: device.path,
    effect: "data of this component may be missing, or be older ones",
  };
}

/** Finishes or takes back what a stop left half done. */
async function recover(
  { found }: Assembly,
  { plan, format, read }: Loaded,
  onEvent: (event: PoolEvent) => void,
): Promise<ReadonlyMap<Component, readonly number[]>> {
  const say = (message: string) => onEvent({ kind: "recovered", message });
  // What was read may be in the page cache only, from a process that was
  // killed. Nothing is concluded from it before it cannot go away any more.
  for (const { device } of found) await device.flush();
  await format.begin();
  for (const { table, position, finding } of read.unsound) {
    table.blank(position);
    say(`${finding.where}: ${finding.what}; it is wiped`);
  }
  for (const [component, chunks] of read.superseded) {
    const sorted = chunks.toSorted((a, b) => a - b);
    format.recordRelease(component, sorted);
    say(
      `"${component.device.path}": ` +
        counted(chunks.length, "chunk that is", "chunks that are") +
        ` elsewhere by now ${isOrAre(chunks.length)} freed`,
    );
  }
  await format.mirror();
  for (const { path, device } of plan.unfinished) {
    await wipeDeviceLabels(device);
    say(`The superblock of "${path}", which was being added, is wiped`);
  }
  for (const one of plan.stale) {
    say(`"${one.path}" is left out: ${staleText(one, plan)}`);
  }
  return read.superseded;
}

function noticesOf({ plan, read }: Loaded): Finding[] {
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
      notice("unfinished", "It was being added, but is no component", path),
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
  for (const [component, chunks] of read.superseded) {
    findings.push(notice(
      "superseded",
      chunks.length === 1
        ? `Chunk ${chunks[0]} holds a virtual chunk that is elsewhere by now`
        : `Chunks ${
          chunks.join(", ")
        } hold virtual chunks that are elsewhere ` +
          "by now",
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
