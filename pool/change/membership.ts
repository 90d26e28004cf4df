/**
 * Membership of an open pool: adds components, removes them, and cancels
 * removals.
 *
 * @module
 */

import { counted, shownPath, VirstorError } from "../../errors.ts";
import {
  allocateAll,
  type Candidate,
  checkCount,
  closeOthers,
  openCandidates,
  prepareNewComponent,
  promiseNotices,
  wipeDeviceLabels,
} from "../member/mod.ts";
import {
  Component,
  identityAt,
  type OpenDevice,
  openFileDevice,
} from "../core/mod.ts";
import { checkRoom, fits, roomFor } from "./room.ts";
import type { PoolBase } from "../io/mod.ts";
import type { PoolFormat } from "../format/mod.ts";

/** How to add components. */
export interface AddOptions {
  /**
   * Accept files that carry a label, a file system, or any other signature that
   * `wipefs` knows, and files that other processes read. Files that are
   * mounted, used as swap, or open for writing elsewhere are refused anyway.
   */
  readonly force?: boolean;
  /** Create missing files, sparse, with this size in bytes. */
  readonly createSize?: number;
  /** Allocate the space of all files now; default false: they are sparse. */
  readonly preallocate?: boolean;
  /** Tie each component to its file name (format 1 only). */
  readonly hardcode?: boolean;
  /**
   * Opens a component; a file or block device by default.
   *
   * @internal
   */
  readonly openDevice?: OpenDevice;
}

/** The result of adding components. */
export interface AddResult {
  /** The new components. */
  readonly components: readonly {
    /** The component's path. */
    readonly path: string;
    /** The component's index, from 0. */
    readonly index: number;
    /** Bytes that the pool uses of it. */
    readonly size: number;
    /** Chunks on it. */
    readonly chunkCount: number;
  }[];
  /** What the caller should know, a sentence each. */
  readonly notices: readonly string[];
}

/** How to remove components. */
export interface RemoveOptions {
  /** The maximum rate of moves, bytes a second; 0, the default: no limit. */
  readonly bytesPerSecond?: number;
}

/** The result of a request to remove components. */
export interface RemoveResult {
  /** Paths of components that are no longer members. */
  readonly removed: readonly string[];
  /** Paths of components that are removed once they are evacuated. */
  readonly evacuating: readonly string[];
}

/** What a removal would take. */
export interface RemovePlan {
  /** The components to remove. */
  readonly components: readonly {
    /** The component's path. */
    readonly path: string;
    /** Bytes on it that would move. */
    readonly usedBytes: number;
  }[];
  /** Bytes that would move, in total. */
  readonly usedBytes: number;
  /** Bytes on the other components that are free or being freed. */
  readonly freeBytes: number;
  /** How many of these are set aside for volumes that do not use them yet. */
  readonly reservedBytes: number;
  /** Whether the other components have enough space, also for these. */
  readonly fits: boolean;
}

interface AddRequest extends AddOptions {
  readonly paths: readonly string[];
  readonly onCommit: () => void;
}

/** The steps of a removal that the caller runs. */
interface RemoveActions {
  readonly removeNow: (empty: readonly Component[]) => Promise<void>;
  readonly evacuate: () => void;
}

/**
 * Adds components to an open pool. All checks come first; then the new
 * components are zeroed; then the format makes them members.
 *
 * *Requires*: the evacuation is held, and no other change runs.
 *
 * @param parts The open pool's parts.
 * @param request Which components to add, and how.
 * @returns The components that were added.
 * @throws {VirstorError} `failed` if the state on disk is unknown; with any
 *   other code nothing has changed.
 */
export async function addComponents(
  { format, settings }: PoolBase,
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
    openDevice: request.openDevice ?? settings.openDevice ?? openFileDevice,
  });
  try {
    const added = makeComponents(before, candidates);
    for (const one of added) {
      const { device, geometry } = one;
      const metadata = layout.metadataOf(device.size);
      const isZero = await prepareNewComponent(device, metadata, true);
      if (isZero) one.ready = geometry.chunkCount;
    }
    if (request.preallocate === true) await allocateAll(candidates);
    const notices = await promiseNotices([...before, ...candidates]);
    await format.addMembers(added, request.onCommit);
    return { components: added.map(describe), notices };
  } catch (error) {
    const inDoubt = error instanceof VirstorError && error.code === "failed";
    if (!inDoubt) await wipeAll(candidates);
    await closeOthers(candidates, format.members);
    throw error;
  }
}

/**
 * Removes components from an open pool. If all of them are empty, that happens
 * at once. Otherwise they are marked as evacuating, and the evacuation starts.
 *
 * *Requires*: the evacuation is held, and no other change runs.
 *
 * @param parts The open pool's parts.
 * @param paths Paths of the components.
 * @param actions Runs the removal or starts the evacuation.
 * @returns Which components were removed, and which are being evacuated.
 * @throws {VirstorError} `invalid`, `no-space`: nothing has changed. `failed`:
 *   the state on disk is unknown.
 */
export async function removeComponents(
  parts: PoolBase,
  paths: readonly string[],
  actions: RemoveActions,
): Promise<RemoveResult> {
  const { format, space, settings } = parts;
  const { members } = format;
  const leaving = removable(parts, paths);
  const names = leaving.map(({ device }) => device.path);
  // Components that are evacuating already have part of their space allocated.
  if (leaving.some((one) => !one.evacuating)) {
    const room = roomFor(parts, leaving);
    checkRoom(settings.name, leaving.length, room, settings.chunkSize);
  }
  if (leaving.every((one) => one.used === 0 && !one.evacuating)) {
    await actions.removeNow(leaving);
    return { removed: names, evacuating: [] };
  }
  // From here on the allocator takes no chunk of them.
  for (const one of leaving) one.fenced = true;
  space.recount();
  const all = members.filter((one) => one.evacuating || leaving.includes(one));
  await format.setEvacuating(new Set(all));
  actions.evacuate();
  return { removed: [], evacuating: names };
}

/**
 * Plans a removal, and changes nothing.
 *
 * @param parts The open pool's parts.
 * @param paths Paths of the components.
 * @returns The plan.
 * @throws {VirstorError} `invalid` if a component is no member or has to stay.
 */
export function planRemoval(
  parts: PoolBase,
  paths: readonly string[],
): RemovePlan {
  const { chunkSize } = parts.settings;
  const leaving = removable(parts, paths);
  const room = roomFor(parts, leaving);
  return {
    components: leaving.map((one) => ({
      path: one.device.path,
      usedBytes: one.used * chunkSize,
    })),
    usedBytes: room.used * chunkSize,
    freeBytes: room.free * chunkSize,
    reservedBytes: room.reserved * chunkSize,
    fits: fits(room),
  };
}

/**
 * Removes components that hold no chunk.
 *
 * *Requires*: the evacuation is held, and no other change runs.
 *
 * @param parts The open pool's parts.
 * @param leaving The components.
 * @param onCommit Called once the removal is durable.
 * @throws {VirstorError} `failed` if the state on disk is unknown.
 */
export async function removeEmpty(
  { format, space, freeing }: PoolBase,
  leaving: readonly Component[],
  onCommit: () => void,
): Promise<void> {
  // The fence keeps their chunks from being allocated or made ready. It stays
  // if this fails, since the pool then takes no more writes.
  for (const one of leaving) one.fenced = true;
  space.recount();
  try {
    await space.settle(leaving);
    for (const one of leaving) await freeing.settled(one);
    await format.removeMembers(leaving, onCommit);
  } finally {
    await closeOthers(leaving, format.members);
  }
}

/**
 * Cancels the evacuation of components: they stay, and chunks may be allocated
 * on them again.
 *
 * *Requires*: the evacuation is held, and no other change runs.
 *
 * @param parts The open pool's parts.
 * @param paths Paths of the components.
 * @returns The components that stay.
 * @throws {VirstorError} `invalid` if a component is not evacuating; `failed`.
 */
export async function cancelRemoval(
  parts: PoolBase,
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

/** The members at these paths; throws if one of them must stay. */
function removable(
  parts: PoolBase,
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

/** New components, with unused ids in the forward map and the next indexes. */
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

/** Deletes the created files, and wipes the others' labels where it can. */
async function wipeAll(candidates: readonly Candidate[]): Promise<void> {
  for (const { device, isNew } of candidates) {
    try {
      if (isNew) await Deno.remove(device.path);
      else await wipeDeviceLabels(device);
    } catch {
      // The add has failed anyway; the next open wipes an unfinished label.
    }
  }
}

/**
 * Finds a component.
 *
 * @param action The verb of the action that needs it, for the error.
 * @param parts The open pool's parts.
 * @param path The path of the component, or another path of the same file.
 * @returns The component.
 * @throws {VirstorError} `invalid` if it is no member.
 */
export function memberAt(
  action: string,
  { format, settings }: PoolBase,
  path: string,
): Component {
  const shown = shownPath(path);
  const member = format.members.find(({ device }) => device.path === shown) ??
    byIdentity(format, shown);
  if (member !== undefined) return member;
  throw new VirstorError(
    "invalid",
    `Cannot ${action} "${shown}": it is no component of pool "${settings.name}"`,
  );
}

function byIdentity(format: PoolFormat, path: string): Component | undefined {
  const identity = identityAt(path);
  return format.members.find(({ device }) => device.identity === identity);
}

function describe(component: Component): AddResult["components"][number] {
  const { device, index, geometry } = component;
  const { size, chunkCount } = geometry;
  return { path: device.path, index, size, chunkCount };
}
