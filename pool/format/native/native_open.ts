/**
 * A pool of format 2 as it lies on its components: who is a member, the chunk
 * tables, and what a stop left half done.
 *
 * @module
 */

import { counted, isOrAre, VirstorError } from "../../../errors.ts";
import type { Superblock } from "../../../metadata/native/mod.ts";
import {
  type Assembly,
  missingError,
  type NativePlan,
  type OpenComponent,
  planNativeMembers,
  readOlderSuperblock,
  readSuperblock,
  wipeDeviceLabels,
  writeSuperblock,
} from "../../member/mod.ts";
import {
  Component,
  type Finding,
  type MissingMember,
  type PoolEvent,
} from "../../core/mod.ts";
import { NativeFormat } from "./native_format.ts";
import { type NativeMember, tableOf } from "./native_member.ts";
import { type NativeMap, readNativeMap } from "./native_map.ts";
import {
  findStaleTables,
  isRolledBack,
  type NativeComponent,
  rolledBack,
} from "./native_stale.ts";
import {
  type DamageSink,
  notice,
  type StaleMember,
  type StoredPool,
} from "../mod.ts";

interface Plan extends NativePlan<NativeComponent> {
  /** The superblock that decides as it is on disk. */
  readonly written: Superblock;
}

/** What was read, before anything is put right. */
interface Loaded {
  readonly plan: Plan;
  readonly members: ReadonlyMap<Component, NativeMember>;
  readonly format: NativeFormat;
  readonly read: NativeMap;
  /** Members that are stale, by their tables. */
  readonly stale: ReadonlyMap<NativeComponent, Finding>;
  /** Whether something was found that cannot be used. */
  readonly isDamaged: boolean;
}

/** Which members of a pool may be missing. */
export interface ReadOptions {
  /** Any may be, and those that are stale are taken for missing. */
  readonly degraded: boolean;
  /** Components that are members no more. */
  readonly aside?: readonly OpenComponent[];
}

/**
 * Reads a pool.
 *
 * @param assembly Its components.
 * @param options Which of them may be missing.
 * @param damaged Told of what cannot be used.
 * @returns The pool.
 * @throws {VirstorError} `not-found` if a component is missing, `corrupt`,
 *   `unsupported`.
 */
export async function readNativePool(
  assembly: Assembly,
  options: ReadOptions,
  damaged: DamageSink,
): Promise<StoredPool> {
  const { name, faults } = assembly;
  const { degraded } = options;
  const plan = planOf(assembly, options);
  const stale = new Map<NativeComponent, string>(plan.contradicting);
  for (const one of plan.members) {
    if (one === undefined || !isRolledBack(one, plan.truth)) continue;
    const finding = rolledBack(one, plan.truth);
    if (degraded) stale.set(one, finding.what);
    else damaged(finding);
  }
  const lacking = missingOf(plan);
  if (lacking.length > 0 && !degraded) {
    const which = lacking.map(({ index, uuid }) => `${index} (${uuid})`);
    throw missingError(name, which, plan.members.length, faults);
  }
  const loaded = degraded
    ? await loadSound(plan, stale, damaged)
    : await load(plan, damaged);
  if (!loaded.isDamaged) loaded.stale.forEach((finding) => damaged(finding));
  const { truth } = plan;
  const missing = missingOf(loaded.plan);
  const left = [...stale].map(([{ path }, what]) => ({ path, what }));
  return {
    name,
    id: truth.poolUuid,
    chunkSize: truth.chunkSize,
    format: loaded.format,
    map: loaded.read.map,
    missing,
    stale: left,
    warnings: warningsOf(plan, missing, left),
    readOnlyReason: readOnlyReason(name, plan),
    writeReason: "",
    notices: noticesOf(loaded),
    recover: (onEvent) => recover(assembly, loaded, onEvent),
  };
}

function planOf(
  { name, found }: Assembly,
  { degraded, aside = [] }: ReadOptions,
): Plan {
  const components = found.filter((one) => !aside.includes(one))
    .map((one) => withSuperblock(name, one));
  const plan = planNativeMembers(name, components, degraded);
  const leaving = new Set(
    aside.map(({ label }) => label.format === "native" && label.componentUuid),
  );
  const stays = plan.truth.members.map(({ uuid }, index) =>
    !leaving.has(uuid) || plan.members[index] !== undefined
  );
  const staying = <T>(all: readonly T[]) => all.filter((_, i) => stays[i]);
  return {
    ...plan,
    written: plan.truth,
    truth: { ...plan.truth, members: staying(plan.truth.members) },
    members: staying(plan.members),
  };
}

/** The same, but some members count as missing. */
function without(
  plan: Plan,
  stale: ReadonlyMap<NativeComponent, string>,
): Plan {
  const members = plan.members.map((one) =>
    one !== undefined && stale.has(one) ? undefined : one
  );
  return { ...plan, members };
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
  const other = readOlderSuperblock(one.device, 1 - slot);
  return { ...one, label: superblock, slot, other, otherFault };
}

function missingOf({ truth, members }: Plan): MissingMember[] {
  return truth.members.flatMap(({ uuid, chunkCount }, index) =>
    members[index] === undefined ? [{ index, uuid, chunkCount }] : []
  );
}

function warningsOf(
  { truth }: Plan,
  missing: readonly MissingMember[],
  stale: readonly StaleMember[],
): string[] {
  if (missing.length === 0) return [];
  const which = missing.map(({ index, uuid }) => `${index} (${uuid})`);
  const warnings = [
    `Components are missing: ${which.join(", ")}; what may be on them cannot ` +
    "be read",
    ...stale.map(({ path, what }) =>
      `"${path}" is left out, it is stale: ${what.charAt(0).toLowerCase()}` +
      what.slice(1)
    ),
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
  const components = new Map<Component, NativeComponent>();
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
    components.set(component, one);
  }
  const virtualChunks = truth.virtualSize / truth.chunkSize;
  let isDamaged = false;
  const read = await readNativeMap(members, virtualChunks, truth, (finding) => {
    isDamaged = true;
    damaged(finding);
  });
  const tables = [...members].flatMap(([component, { table: { digest } }]) => {
    const one = components.get(component);
    return one === undefined ? [] : [{ component: one, digest }];
  });
  const stale = findStaleTables(tables, truth);
  const { generation } = truth;
  const { sequence, map } = read;
  const state = { generation, sequence, map, members };
  const format = new NativeFormat(truth, state);
  return { plan, members, format, read, stale, isDamaged };
}

/** Reads what is there without those whose tables turn out to be stale. */
async function loadSound(
  plan: Plan,
  stale: Map<NativeComponent, string>,
  damaged: DamageSink,
): Promise<Loaded> {
  // What is damaged may be so only because of these.
  const loaded = await load(without(plan, stale), () => {});
  if (!loaded.isDamaged && loaded.stale.size === 0) return loaded;
  for (const [one, { what }] of loaded.stale) stale.set(one, what);
  return await load(without(plan, stale), damaged);
}

/** Finishes or takes back what a stop left half done. */
async function recover(
  { found }: Assembly,
  loaded: Loaded,
  onEvent: (event: PoolEvent) => void,
): Promise<ReadonlyMap<Component, readonly number[]>> {
  const { plan, format, read } = loaded;
  const say = (message: string) => onEvent({ kind: "recovered", message });
  // What was read may be in the page cache only, from a process that was
  // killed. Nothing is concluded from it before it cannot go away any more.
  for (const { device } of found) await device.flush();
  await bringUpToDate(loaded);
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

/**
 * Gives members that have missed the generation that counts that generation,
 * durably: only then the next one may be written, so that no member ever
 * misses two.
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
      tableDigest: clean ? member.table.digest : 0,
    };
    member.slot = 1 - member.slot;
    writeSuperblock(device, superblock, member.slot);
  }
  for (const [{ device }] of behind) await device.flush();
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
