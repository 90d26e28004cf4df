/**
 * Adding components to an open pool, in two steps. The first one opens and
 * zeroes them, which may take any time if they are on other machines; it needs
 * nothing of the pool, so other changes go on meanwhile. The second one makes
 * them members; it is a change.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
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
  type OpenDevice,
  openFileDevice,
  type OpenPatience,
} from "../core/mod.ts";
import type { PoolBase } from "../io/mod.ts";

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

/** A component that is zeroed, open and locked, and no member yet. */
export interface NewComponent extends Candidate {
  /** Whether all of it reads as zeroes. */
  readonly isZero: boolean;
}

/**
 * Opens and zeroes components. All checks come first.
 *
 * @param parts The open pool's parts; they do not change.
 * @param paths Which components.
 * @param options How to add them.
 * @param patience How long to wait for other machines.
 * @returns The components: {@linkcode join} or {@linkcode drop} them.
 * @throws {VirstorError} As `openCandidates`; nothing is open then.
 */
export async function prepare(
  { format, settings }: PoolBase,
  paths: readonly string[],
  options: AddOptions,
  patience: OpenPatience,
): Promise<NewComponent[]> {
  const { layout, members } = format;
  if (paths.length === 0) {
    throw new VirstorError("invalid", "Cannot add no components");
  }
  checkCount(members.length + paths.length, layout);
  const candidates = await openCandidates(paths, {
    layout,
    force: options.force ?? false,
    createSize: options.createSize,
    hardcode: options.hardcode ?? false,
    taken: new Map(
      members.map(({ device }) => [device.identity, device.path]),
    ),
    openDevice: options.openDevice ?? settings.openDevice ?? openFileDevice,
    patience,
  });
  try {
    const prepared: NewComponent[] = [];
    for (const one of candidates) {
      const metadata = layout.metadataOf(one.device.size);
      const isZero = await prepareNewComponent(one.device, metadata, true);
      prepared.push({ ...one, isZero });
    }
    if (options.preallocate === true) await allocateAll(candidates);
    return prepared;
  } catch (error) {
    await drop(candidates);
    throw error;
  }
}

/**
 * Makes components members of an open pool.
 *
 * *Requires*: the evacuation is held, and no other change runs.
 *
 * @param parts The open pool's parts.
 * @param prepared The components, of {@linkcode prepare}.
 * @param onCommit Called once chunks may be allocated on them.
 * @returns The components that were added.
 * @throws {VirstorError} `failed` if the state on disk is unknown; with any
 *   other code nothing has changed.
 */
export async function join(
  { format }: PoolBase,
  prepared: readonly NewComponent[],
  onCommit: () => void,
): Promise<AddResult> {
  const { layout, members } = format;
  // Others may have been added meanwhile.
  checkCount(members.length + prepared.length, layout);
  const added = makeComponents(members, prepared);
  const notices = await promiseNotices([...members, ...prepared]);
  await format.addMembers(added, onCommit);
  return { components: added.map(describe), notices };
}

/**
 * Closes components that are not added after all. Deletes the created files, and
 * wipes the others' labels where it can.
 *
 * @param candidates The components.
 */
export async function drop(candidates: readonly Candidate[]): Promise<void> {
  for (const { device, isNew } of candidates) {
    try {
      if (isNew) await Deno.remove(device.path);
      else await wipeDeviceLabels(device);
      device.leave?.();
    } catch {
      // The add has failed anyway; the next open wipes an unfinished label.
    }
  }
  await closeOthers(candidates, []);
}

/** New components, with unused ids in the forward map and the next indexes. */
function makeComponents(
  members: readonly Component[],
  prepared: readonly NewComponent[],
): Component[] {
  const taken = new Set(members.map((one) => one.id));
  let id = 0;
  return prepared.map((one, i) => {
    do id++; while (taken.has(id));
    const { size, chunkCount, hardcodedName, device } = one;
    const geometry = { size, chunkCount, chunkReserved: 0, hardcodedName };
    const made = new Component(id, members.length + i, device, geometry);
    if (one.isZero) made.ready = chunkCount;
    return made;
  });
}

function describe(component: Component): AddResult["components"][number] {
  const { device, index, geometry } = component;
  const { size, chunkCount } = geometry;
  return { path: device.path, index, size, chunkCount };
}
