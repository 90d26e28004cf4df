/**
 * Reading a pool of format 1: its members, its map, and what a crash left
 * unfinished.
 *
 * @module
 */

import { counted, inBytes, VirstorError } from "../../../errors.ts";
import {
  COMPONENT_JOINING,
  type FreebsdLabel,
  freebsdMapSize,
} from "../../../metadata/freebsd/mod.ts";
import {
  type Assembly,
  type MemberPlan,
  missingError,
  type OpenComponent,
  planMembers,
  wipeDeviceLabels,
} from "../../member/mod.ts";
import {
  Component,
  type Finding,
  type FindingKind,
  ForwardMap,
  type PoolEvent,
} from "../../core/mod.ts";
import {
  countChunks,
  coveredFindings,
  type CoveredLabel,
  coveredReason,
} from "./covered_label.ts";
import { FreebsdFormat } from "./freebsd_format.ts";
import { scanFreebsdMap, wipeLeftovers } from "./freebsd_map_scan.ts";
import { closeGaps, isDense } from "./gaps.ts";
import {
  type DamageSink,
  notice,
  sayRecovered,
  type StoredPool,
} from "../mod.ts";

type FreebsdComponent = OpenComponent<FreebsdLabel>;

/** The membership of a pool with no member missing. */
interface Members extends MemberPlan<FreebsdComponent> {
  /** All members, by index. */
  readonly members: readonly FreebsdComponent[];
  /** The label of component 0, which decides the membership. */
  readonly label: FreebsdLabel;
}

/** The contents of the metadata, before recovery. */
interface Loaded {
  readonly plan: Members;
  readonly format: FreebsdFormat;
  readonly map: ForwardMap;
  /** Components whose last chunk overlaps their label. */
  readonly covered: readonly CoveredLabel[];
}

/**
 * Reads a pool of format 1. Writes nothing.
 *
 * @param assembly The components that were found.
 * @param damaged Receives map entries that cannot be used.
 * @returns The pool.
 * @throws {VirstorError} `not-found` if a component is missing, `corrupt`.
 */
export async function readFreebsdPool(
  assembly: Assembly,
  damaged: DamageSink,
): Promise<StoredPool> {
  const { name, found, faults } = assembly;
  const labelled = found.filter((one) => one.label.format === "freebsd");
  checkAgreement(name, labelled as FreebsdComponent[]);
  const plan = complete(
    name,
    planMembers(labelled as FreebsdComponent[]),
    faults,
  );
  const loaded = await load(plan, damaged);
  const { format, map, covered } = loaded;
  const { label } = plan;
  const writeReason = coveredReason(covered);
  return {
    name,
    id: String(label.id),
    chunkSize: label.chunkSize,
    format,
    volumes: format.records.map((record) => ({ record, map })),
    missing: [],
    stale: [],
    warnings: writeReason === "" ? [] : [writeReason],
    readOnlyReason: "",
    writeReason,
    notices: noticesOf(loaded),
    recover: (onEvent) => recover(assembly, loaded, onEvent),
  };
}

function checkAgreement(
  name: string,
  found: readonly FreebsdComponent[],
): void {
  const [first] = found;
  for (const { path, label } of found) {
    if (
      label.virtualSize === first?.label.virtualSize &&
      label.chunkSize === first.label.chunkSize
    ) continue;
    throw new VirstorError(
      "corrupt",
      `Cannot open pool "${name}": the labels of "${first?.path}" and ` +
        `"${path}" disagree on the virtual size or the chunk size`,
    );
  }
}

function complete(
  name: string,
  plan: MemberPlan<FreebsdComponent>,
  faults: Assembly["faults"],
): Members {
  const members = plan.members.filter((one) => one !== undefined);
  const first = plan.members[0];
  if (members.length < plan.members.length || first === undefined) {
    const indexes = plan.members.flatMap((one, i) =>
      one === undefined ? [i] : []
    );
    throw missingError(name, indexes, plan.members.length, faults);
  }
  const { label } = first;
  const mapSize = freebsdMapSize(label.virtualSize, label.chunkSize);
  if (mapSize > label.chunkReserved * label.chunkSize) {
    throw new VirstorError(
      "corrupt",
      `Cannot open pool "${name}": "${first.path}" reserves ` +
        `${counted(label.chunkReserved, "chunk")} for a map of ` +
        inBytes(mapSize),
    );
  }
  return { ...plan, members, label };
}

function noticesOf({ plan, format, covered }: Loaded): Finding[] {
  const findings = [...unfinishedFindings(plan), ...coveredFindings(covered)];
  if (!isDense(format.members)) {
    const gaps = "The allocation has gaps, left by a power cut";
    findings.push(notice("gap", gaps, plan.label.name));
  }
  return findings;
}

/** Reads the map into memory. */
async function load(plan: Members, damaged: DamageSink): Promise<Loaded> {
  const { label, members } = plan;
  const { geometries, covered } = await countChunks(members);
  const components = geometries.flatMap((geometry, index) => {
    const { device } = members[index] ?? {};
    return device === undefined
      ? []
      : [new Component(index + 1, index, device, geometry)];
  });
  const map = new ForwardMap(label.virtualSize / label.chunkSize);
  map.setComponents(components);
  const [first] = members;
  if (first === undefined) throw new VirstorError("corrupt", "No components");
  await scanFreebsdMap(
    first.device,
    label,
    // Unused entries may name a chunk that countChunks() leaves out.
    members.map((one) => one.label),
    {
      mapped(virtualChunk, index, chunk) {
        const component = components[index];
        if (component === undefined) return;
        map.set(virtualChunk, component, chunk);
        component.use(chunk);
      },
      damaged,
    },
  );
  for (const one of plan.mustBeEmpty) {
    const index = members.indexOf(one);
    if (components[index]?.used === 0) continue;
    throw new VirstorError(
      "not-found",
      `Cannot open pool "${label.name}": component ${index} is missing, and ` +
        `"${one.path}", which was leaving or joining, cannot stand in for it`,
    );
  }
  const format = new FreebsdFormat(label, components);
  return { plan, format, map, covered };
}

/** Finishes or undoes what a crash left unfinished. */
async function recover(
  assembly: Assembly,
  { plan, format, map, covered }: Loaded,
  onEvent: (event: PoolEvent) => void,
): Promise<ReadonlyMap<Component, readonly number[]>> {
  // A killed process may have left its last writes in the page cache only.
  // Recovery draws conclusions from them, so they become durable first.
  for (const { device } of assembly.found) await device.flush();
  const say = sayRecovered(onEvent);
  for (const { path } of plan.outdated) {
    const message = `Updated the label of "${path}" after an unfinished change`;
    say("label-updated", message, [path]);
  }
  if (!isDense(format.members)) {
    const moved = await closeGaps(format, map, plan.label.chunkSize);
    const message = `Moved ${counted(moved, "chunk")} to close gaps in the ` +
      "allocation";
    say("gaps-closed", message, [], moved);
  }
  const [first] = plan.members;
  if (covered.length > 0 && first !== undefined) {
    // FreeBSD requires entries to name only chunks that the labels count.
    const labels = plan.members.map((one) => one.label);
    await wipeLeftovers(first.device, plan.label, labels);
    for (const { path } of covered) {
      const what = `The last chunk of "${path}" covers its label`;
      say("label-covered", `${what}: it is never used`, [path]);
    }
  }
  await format.updateLabels();
  for (const { device, path } of plan.removed) {
    await wipeDeviceLabels(device);
    const message =
      `Wiped the label of "${path}", which was removed from the ` +
      "pool";
    say("label-wiped", message, [path]);
  }
  for (const one of plan.unfinished) {
    const { device, path } = one;
    if (isUnused(one)) {
      await wipeDeviceLabels(device);
      const message = `Wiped the label of "${path}": its add did not finish`;
      say("label-wiped", message, [path]);
    } else {
      const message = `"${path}" is left out: its label is of a larger pool, ` +
        "clear it or add it with -f";
      say("left-out", message, [path]);
    }
  }
  return new Map();
}

/** Whether the label says that no chunk was ever allocated on the component. */
function isUnused({ label }: FreebsdComponent): boolean {
  return label.flags === COMPONENT_JOINING;
}

function unfinishedFindings(plan: Members): Finding[] {
  const of = (
    kind: FindingKind,
    what: string,
    found: readonly FreebsdComponent[],
  ) => found.map(({ path }) => notice(kind, what, path));
  return [
    ...of("behind", "Its label is outdated: an add or remove did not finish", [
      ...plan.outdated,
    ]),
    ...of(
      "stale",
      "It was removed from the pool, but it still carries a label",
      plan.removed,
    ),
    ...of(
      "unfinished",
      "It is no component: its add did not finish",
      plan.unfinished.filter(isUnused),
    ),
    ...plan.unfinished.filter((one) => !isUnused(one)).map(({ path }) => ({
      ...notice(
        "stale",
        "It is no component, but its label is of a larger pool",
        path,
      ),
      effect: "no data are lost; clear it, or add it again with -f",
    })),
  ];
}
