/**
 * Components that join an open pool and components that leave it.
 *
 * @module
 */

import { fileIdentity } from "../../device/file/mod.ts";
import { counted, VirstorError } from "../../errors.ts";
import {
  type Candidate,
  checkCount,
  closeOthers,
  openCandidates,
  prepareNewComponent,
  wipeDeviceLabels,
} from "../member/mod.ts";
import { Component, type OpenDevice, openFileDevice } from "../core/mod.ts";
import { checkRoom, roomFor } from "./room.ts";
import type { PoolParts } from "../io/mod.ts";
import type { PoolFormat } from "../format/mod.ts";

/** How components are added. */
export interface AddOptions {
  /**
   * Also take files that carry a label, a file system, or anything else that
   * `wipefs` knows, and those that other processes read. Never those that are
   * mounted, in use as swap, or open for writing elsewhere.
   */
  readonly force?: boolean;
  /** Make missing files, sparse, of this many bytes. */
  readonly createSize?: number;
  /** Tie each to its file name; format 1 only. */
  readonly hardcode?: boolean;
  /** How they are opened. */
  readonly openDevice?: OpenDevice;
}

/** What was added. */
export interface AddResult {
  /** The new components. */
  readonly components: readonly {
    /** Where it is. */
    readonly path: string;
    /** Its place among the components, from 0. */
    readonly index: number;
    /** Bytes. */
    readonly size: number;
    /** Chunks on it. */
    readonly chunkCount: number;
  }[];
}

/** How components are removed. */
export interface RemoveOptions {
  /** The highest rate at which chunks are moved, bytes a second; 0, none. */
  readonly bytesPerSecond?: number;
}

/** What became of components that were to be removed. */
export interface RemoveResult {
  /** No members any more. */
  readonly removed: readonly string[];
  /** Being evacuated; they are removed when they are empty. */
  readonly evacuating: readonly string[];
}

/** What removing components takes. */
export interface RemovePlan {
  /** The components. */
  readonly components: readonly {
    /** Where it is. */
    readonly path: string;
    /** Bytes that would move. */
    readonly usedBytes: number;
  }[];
  /** Bytes that would move, in all. */
  readonly usedBytes: number;
  /** Bytes that are free, or will soon be, on those that stay. */
  readonly freeBytes: number;
  /** Whether there is room. */
  readonly fits: boolean;
}

interface AddRequest extends AddOptions {
  readonly paths: readonly string[];
  readonly onCommit: () => void;
}

/** Who does what has to be done. */
interface RemoveActions {
  readonly removeNow: (empty: readonly Component[]) => Promise<void>;
  readonly evacuate: () => void;
}

/**
 * Adds components to an open pool. Everything is checked first; then the new
 * ones are made to read as zeroes; then the format makes them members.
 *
 * @param parts The open pool.
 * @param request Which components, and who is told when they are members.
 * @returns What was added.
 * @throws {VirstorError} `failed` if it is unknown what is on disk; else
 *   nothing has changed.
 */
export async function addComponents(
  { format }: PoolParts,
  request: AddRequest,
): Promise<AddResult> {
  const { layout, members: before } = format;
  if (request.paths.length === 0) {
    throw new VirstorError("invalid", "Cannot add no components");
  }
  checkCount(before.length + request.paths.length, layout);
  const candidates = await openCandidates(request.paths, {
    layout,
    force: request.force ?? false,
    createSize: request.createSize,
    hardcode: request.hardcode ?? false,
    taken: new Map(
      before.map(({ device }) => [device.identity, device.path]),
    ),
    openDevice: request.openDevice ?? openFileDevice,
  });
  try {
    const added = makeComponents(before, candidates);
    for (const one of added) {
      const { device, geometry } = one;
      const metadata = layout.metadataOf(device.size);
      const isZero = await prepareNewComponent(device, metadata, true);
      if (isZero) one.ready = geometry.chunkCount;
    }
    await format.addMembers(added, request.onCommit);
    return { components: added.map(describe) };
  } catch (error) {
    const inDoubt = error instanceof VirstorError && error.code === "failed";
    if (!inDoubt) await wipeAll(candidates);
    await closeOthers(candidates, format.members);
    throw error;
  }
}

/**
 * Removes components from an open pool: at once if they hold no chunk, else
 * they are marked, and their evacuation begins.
 *
 * @param parts The open pool.
 * @param paths Which components.
 * @param actions Who does it.
 * @returns What became of them.
 * @throws {VirstorError} `invalid`, `no-space`: nothing has changed; `failed`
 *   if it is unknown what is on disk.
 */
export async function removeComponents(
  parts: PoolParts,
  paths: readonly string[],
  actions: RemoveActions,
): Promise<RemoveResult> {
  const { format, space, settings } = parts;
  const { members } = format;
  const leaving = removable(parts, paths);
  const names = leaving.map(({ device }) => device.path);
  if (leaving.every((one) => one.used === 0 && !one.evacuating)) {
    await actions.removeNow(leaving);
    return { removed: names, evacuating: [] };
  }
  // Those on their way have taken some of the room already.
  if (leaving.some((one) => !one.evacuating)) {
    checkRoom(settings.name, leaving, members, settings.chunkSize);
  }
  // From here on nothing new is put there.
  for (const one of leaving) one.fenced = true;
  space.recount();
  const all = members.filter((one) => one.evacuating || leaving.includes(one));
  await format.setEvacuating(new Set(all));
  actions.evacuate();
  return { removed: [], evacuating: names };
}

/**
 * What removing components would take; changes nothing.
 *
 * @param parts The open pool.
 * @param paths Which components.
 * @returns The plan.
 * @throws {VirstorError} `invalid` if one is no member or has to stay.
 */
export function planRemoval(
  parts: PoolParts,
  paths: readonly string[],
): RemovePlan {
  const { chunkSize } = parts.settings;
  const leaving = removable(parts, paths);
  const { used, free } = roomFor(leaving, parts.format.members);
  return {
    components: leaving.map((one) => ({
      path: one.device.path,
      usedBytes: one.used * chunkSize,
    })),
    usedBytes: used * chunkSize,
    freeBytes: free * chunkSize,
    fits: used <= free,
  };
}

/**
 * Ends the membership of components that hold no chunk.
 *
 * @param parts The open pool.
 * @param leaving Members.
 * @param onCommit Told when it is done.
 * @throws {VirstorError} `failed` if it is unknown what is on disk.
 */
export async function removeEmpty(
  { format, space, releases }: PoolParts,
  leaving: readonly Component[],
  onCommit: () => void,
): Promise<void> {
  // From here on none of their chunks is handed out, nor made ready.
  // The fence stays if this fails, for then the pool takes no more writes.
  for (const one of leaving) one.fenced = true;
  space.recount();
  try {
    await space.settle();
    for (const one of leaving) await releases.settled(one);
    await format.removeMembers(leaving, onCommit);
  } finally {
    await closeOthers(leaving, format.members);
  }
}

/**
 * Ends the evacuation of components. Chunks may be put there again.
 *
 * @param parts The open pool; its evacuation is held.
 * @param paths Which components.
 * @returns Which ones stay.
 * @throws {VirstorError} `invalid` if one is not being evacuated; `failed`.
 */
export async function cancelRemoval(
  parts: PoolParts,
  paths: readonly string[],
): Promise<{ kept: Component[] }> {
  const { format, settings } = parts;
  const kept = [...new Set(paths.map((path) => memberAt("keep", parts, path)))];
  for (const { device, evacuating } of kept) {
    if (evacuating) continue;
    throw new VirstorError(
      "invalid",
      `Cannot keep "${device.path}" in pool "${settings.name}": it is not ` +
        "being removed",
    );
  }
  const leaving = format.members.filter((one) =>
    one.evacuating && !kept.includes(one)
  );
  await format.setEvacuating(new Set(leaving));
  for (const one of kept) one.fenced = false;
  return { kept };
}

/** The members at some paths, which may all leave. */
function removable(
  parts: PoolParts,
  paths: readonly string[],
): Component[] {
  const { name } = parts.settings;
  const { members } = parts.format;
  const leaving = [
    ...new Set(paths.map((path) => memberAt("remove", parts, path))),
  ];
  if (leaving.length === 0) {
    throw new VirstorError("invalid", "Cannot remove no components");
  }
  for (const one of leaving) {
    const reason = reasonToStay(parts.format, one);
    if (reason === "") continue;
    throw new VirstorError(
      "invalid",
      `Cannot remove "${one.device.path}" from pool "${name}": ${reason}`,
    );
  }
  if (members.some((one) => !one.evacuating && !leaving.includes(one))) {
    return leaving;
  }
  throw new VirstorError(
    "invalid",
    `Cannot remove all components of pool "${name}": one has to stay`,
  );
}

function reasonToStay(format: PoolFormat, component: Component): string {
  const behind = format.members.find(({ index, used }) =>
    index > component.index && used > 0
  );
  if (!format.isDense) return "";
  if (component.index === 0) return "it holds the allocation map";
  if (component.used > 0) {
    const chunks = counted(
      component.used,
      "chunk on it is",
      "chunks on it are",
    );
    return `${chunks} in use, and format 1 cannot move them`;
  }
  return behind === undefined
    ? ""
    : `chunks of "${behind.device.path}" behind it are in use`;
}

/** Numbers in the forward map that nobody has, and places at the end. */
function makeComponents(
  members: readonly Component[],
  candidates: readonly Candidate[],
): Component[] {
  const taken = new Set(members.map((one) => one.id));
  let id = 0;
  return candidates.map((candidate, i) => {
    do id++; while (taken.has(id));
    const { size, chunkCount, hardcodedName, device } = candidate;
    const geometry = { size, chunkCount, chunkReserved: 0, hardcodedName };
    return new Component(id, members.length + i, device, geometry);
  });
}

/** Takes back labels that may have been written, and files that were made. */
async function wipeAll(candidates: readonly Candidate[]): Promise<void> {
  for (const { device, isNew } of candidates) {
    try {
      await wipeDeviceLabels(device);
      if (isNew) await Deno.remove(device.path);
    } catch {
      // It failed already; its label is one of an add that was not done.
    }
  }
}

function memberAt(
  action: string,
  { format, settings }: PoolParts,
  path: string,
): Component {
  const member = format.members.find(({ device }) => device.path === path) ??
    byIdentity(format, path);
  if (member !== undefined) return member;
  throw new VirstorError(
    "invalid",
    `Cannot ${action} "${path}": it is no component of pool "${settings.name}"`,
  );
}

function byIdentity(format: PoolFormat, path: string): Component | undefined {
  const identity = fileIdentity(path);
  return format.members.find(({ device }) => device.identity === identity);
}

function describe(component: Component): AddResult["components"][number] {
  const { device, index, geometry } = component;
  const { size, chunkCount } = geometry;
  return { path: device.path, index, size, chunkCount };
}
