/**
 * Reading a pool of format 2: its members, their chunk tables, and what a crash
 * left unfinished.
 *
 * @module
 */

import { VirstorError } from "../../../errors.ts";
import {
  type Assembly,
  missingError,
  type OpenComponent,
  planNativeMembers,
  readOlderSuperblock,
  readSuperblock,
} from "../../member/mod.ts";
import { Component, type MissingMember, readBootId } from "../../core/mod.ts";
import { NativeFormat } from "./native_format.ts";
import { type NativeMember, tableOf } from "./native_member.ts";
import { readNativeMap } from "./native_map.ts";
import {
  type Loaded,
  noticesOf,
  type Plan,
  recover,
} from "./native_recovery.ts";
import {
  findStaleTables,
  isRolledBack,
  type NativeComponent,
  rolledBack,
} from "./native_stale.ts";
import type { DamageSink, StaleMember, StoredPool } from "../mod.ts";

/** How to read a pool with missing, stale or unwanted members. */
export interface ReadOptions {
  /** Accept missing members, and treat stale ones as missing. */
  readonly degraded: boolean;
  /** Whether older versions are shown; see `PoolOptions.olderVersions`. */
  readonly olderVersions?: boolean | undefined;
  /** Components to leave out, as if they were no members. */
  readonly aside?: readonly OpenComponent[];
  /** The id of this boot of the system, a UUID; by default the system's. */
  readonly bootId?: string | undefined;
}

/**
 * Reads a pool of format 2. Writes nothing.
 *
 * @param assembly The components that were found.
 * @param options Which members may be missing.
 * @param damaged Receives damage: unusable pages and entries, stale members.
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
  const absent = missingOf(plan);
  if (absent.length > 0 && !degraded) {
    const which = absent.map(({ index, uuid }) => `${index} (${uuid})`);
    throw missingError(name, which, plan.members.length, faults);
  }
  const bootId = options.bootId ?? readBootId();
  const loaded = degraded
    ? await loadSound(plan, stale, bootId, damaged)
    : await load(plan, bootId, damaged);
  if (!loaded.isDamaged) loaded.stale.forEach((finding) => damaged(finding));
  const { truth } = plan;
  const missing = missingOf(loaded.plan);
  const left = [...stale].map(([{ path }, what]) => ({ path, what }));
  return {
    name,
    id: truth.poolUuid,
    chunkSize: truth.chunkSize,
    format: loaded.format,
    volumes: loaded.read.volumes,
    missing,
    stale: left,
    warnings: warningsOf(plan, missing, left, options),
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

/** The same plan, with the stale members missing. */
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
  { olderVersions = false }: ReadOptions,
): string[] {
  if (missing.length === 0) return [];
  const which = missing.map(({ index, uuid }) => `${index} (${uuid})`);
  const warnings = [
    `Components are missing: ${which.join(", ")}; data on them cannot be ` +
    "read",
    ...stale.map(({ path, what }) =>
      `"${path}" is left out, it is stale: ${what.charAt(0).toLowerCase()}` +
      what.slice(1)
    ),
  ];
  const hasVersions = truth.volumes?.volumes.some(({ snapshots, parent }) =>
    snapshots.length > 0 || parent !== undefined
  );
  if (hasVersions === true) {
    const effect = olderVersions
      ? "shows an older one"
      : "gives an I/O error; older snapshots may have it";
    warnings.push(
      "The pool has snapshots: a chunk of which a newer version may be on a " +
        `missing component ${effect}`,
    );
  }
  if (!truth.clean) {
    warnings.push(
      "The pool was not stopped cleanly: chunks that were moved or mapped " +
        "shortly before may show older data",
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

async function load(
  plan: Plan,
  bootId: string,
  damaged: DamageSink,
): Promise<Loaded> {
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
    const { overflowSize = 0 } = label;
    const table = tableOf(device, label);
    members.set(component, { uuid, overflowSize, table, slot });
    components.set(component, one);
  }
  let isDamaged = false;
  // In doubt it was a power cut.
  const isPowerCut = !truth.clean && truth.volumes?.bootId !== bootId;
  const read = await readNativeMap(members, truth, isPowerCut, (finding) => {
    isDamaged = true;
    damaged(finding);
  });
  const tables = [...members].flatMap(([component, { table: { digest } }]) => {
    const one = components.get(component);
    return one === undefined ? [] : [{ component: one, digest }];
  });
  const stale = findStaleTables(tables, truth);
  const { generation } = truth;
  const { sequence, volumes } = read;
  const state = {
    generation,
    sequence,
    records: volumes.map(({ record }) => record),
    listsVolumes: truth.volumes !== undefined,
    bootId,
    members,
  };
  const format = new NativeFormat(truth, state);
  return { plan, members, format, read, stale, isDamaged };
}

/** Reads the members, without those whose tables turn out to be stale. */
async function loadSound(
  plan: Plan,
  stale: Map<NativeComponent, string>,
  bootId: string,
  damaged: DamageSink,
): Promise<Loaded> {
  // A stale member may be the cause of the damage, so this pass ignores it.
  const loaded = await load(without(plan, stale), bootId, () => {});
  if (!loaded.isDamaged && loaded.stale.size === 0) return loaded;
  for (const [one, { what }] of loaded.stale) stale.set(one, what);
  return await load(without(plan, stale), bootId, damaged);
}
