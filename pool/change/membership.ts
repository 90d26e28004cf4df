/**
 * Membership of an open pool: removes components, and cancels removals.
 *
 * @module
 */

import { counted, shownPath, VirstorError } from "../../errors.ts";
import { closeOthers } from "../member/mod.ts";
import { type Component, identityAt } from "../core/mod.ts";
import { checkRoom, fits, roomFor } from "./room.ts";
import type { PoolBase } from "../io/mod.ts";
import type { PoolFormat } from "../format/mod.ts";

/** How to remove components. */
export interface RemoveOptions {
  /** The maximum rate of moves, bytes a second; 0, the default: no limit. */
  readonly bytesPerSecond?: number;
  /**
   * How much may be lost that the components cannot read, bytes; 0, the
   * default: the evacuation stops there. Events of the kind `lost` name it.
   */
  readonly mayLose?: number;
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

/** The steps of a removal that the caller runs. */
interface RemoveActions {
  readonly removeNow: (empty: readonly Component[]) => Promise<void>;
  readonly evacuate: () => void;
}

/**
 * Removes components from an open pool. If all of them are empty, that happens
 * at once. Otherwise they are marked as evacuating, and the evacuation starts.
 *
 * *Requires*: the evacuation is held, and no other change runs.
 *
 * @param parts The open pool's parts.
 * @param paths Paths of the components.
 * @param options What may be lost.
 * @param actions Runs the removal or starts the evacuation.
 * @returns Which components were removed, and which are being evacuated.
 * @throws {VirstorError} `invalid`, `no-space`, `unsupported`: nothing has
 *   changed. `failed`: the state on disk is unknown.
 */
export async function removeComponents(
  parts: PoolBase,
  paths: readonly string[],
  { mayLose = 0 }: RemoveOptions,
  actions: RemoveActions,
): Promise<RemoveResult> {
  const { format, space, settings } = parts;
  const { members } = format;
  const leaving = removable(parts, paths);
  if (mayLose > 0) leaving.forEach(refuseRemoteLoss);
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
    for (const { device } of leaving) device.leave?.();
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

/** What another machine does not answer now, it may answer later. */
function refuseRemoteLoss({ device: { isRemote, path } }: Component): void {
  if (isRemote !== true) return;
  throw new VirstorError(
    "unsupported",
    `Cannot accept losses of "${path}": it is on another machine, which may ` +
      "answer again",
  );
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
