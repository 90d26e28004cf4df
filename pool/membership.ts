/**
 * Components that join an open pool and components that leave it.
 *
 * @module
 */

import { fileIdentity } from "../device/mod.ts";
import { VirstorError } from "../errors.ts";
import type { Candidate } from "./candidates.ts";
import { openCandidates } from "./candidates.ts";
import { Component, openFileDevice } from "./component.ts";
import type { ComponentDevice, OpenDevice } from "./component.ts";
import { wipeDeviceLabel } from "./component_label.ts";
import { checkCount, prepareNewComponent } from "./label.ts";
import { withPatience } from "./patience.ts";
import type { PoolFormat } from "./pool_format.ts";

/** How components are added. */
export interface AddOptions {
  /** Also take files that carry a label already. */
  readonly force?: boolean;
  /** Make missing files, sparse, of this many bytes. */
  readonly createSize?: number;
  /** Tie each to its file name. */
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

interface AddRequest extends AddOptions {
  readonly paths: readonly string[];
  readonly onCommit: () => void;
}

interface RemoveRequest {
  readonly paths: readonly string[];
  readonly settle: () => Promise<void>;
  readonly onCommit: () => void;
}

interface PoolFacts {
  readonly name: string;
  readonly chunkSize: number;
}

/**
 * Adds components to an open pool. Everything is checked first; then the new
 * ones are made to read as zeroes; then the format makes them members.
 *
 * @param format The pool's format.
 * @param pool What new components have to fit.
 * @param request Which components, and who is told when they are members.
 * @returns What was added.
 * @throws {VirstorError} `failed` if it is unknown what is on disk; else
 *   nothing has changed.
 */
export async function addComponents(
  format: PoolFormat,
  pool: PoolFacts,
  request: AddRequest,
): Promise<AddResult> {
  const before = format.members;
  if (request.paths.length === 0) {
    throw new VirstorError("invalid", "Cannot add no components");
  }
  checkCount(before.length + request.paths.length);
  const candidates = await withPatience(() =>
    openCandidates(request.paths, {
      chunkSize: pool.chunkSize,
      force: request.force ?? false,
      createSize: request.createSize,
      hardcode: request.hardcode ?? false,
      taken: new Map(
        before.map(({ device }) => [device.identity, device.path]),
      ),
      openDevice: request.openDevice ?? openFileDevice,
    })
  );
  try {
    const added = makeComponents(before, candidates);
    for (const one of added) {
      const { device, geometry } = one;
      const isZero = await prepareNewComponent(device, geometry.size, 0);
      if (isZero) one.ready = geometry.chunkCount;
    }
    await format.addMembers(added, request.onCommit);
    return { components: added.map(describe) };
  } catch (error) {
    const inDoubt = error instanceof VirstorError && error.code === "failed";
    if (!inDoubt) await wipeAll(candidates);
    await closeOthers(format, candidates);
    throw error;
  }
}

/**
 * Removes components without chunks from an open pool.
 *
 * @param format The pool's format.
 * @param pool The pool's name.
 * @param request Which components, and who is told.
 * @returns The paths that are no members any more.
 * @throws {VirstorError} `invalid`, `not-found`: nothing has changed; `failed`
 *   if it is unknown what is on disk.
 */
export async function removeComponents(
  format: PoolFormat,
  pool: PoolFacts,
  request: RemoveRequest,
): Promise<{ removed: string[] }> {
  const leaving = [
    ...new Set(request.paths.map((path) => memberAt(format, pool, path))),
  ];
  if (leaving.length === 0) {
    throw new VirstorError("invalid", "Cannot remove no components");
  }
  for (const one of leaving) checkRemovable(format, pool, one);
  // From here on none of their chunks is handed out, nor made ready.
  // The fence stays if this fails, for then the pool takes no more writes.
  for (const one of leaving) one.fenced = true;
  try {
    await request.settle();
    await format.removeMembers(leaving, request.onCommit);
  } finally {
    await closeOthers(format, leaving);
  }
  return { removed: leaving.map(({ device }) => device.path) };
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
      await wipeDeviceLabel(device);
      if (isNew) await Deno.remove(device.path);
    } catch {
      // It failed already; its label is one of an add that was not done.
    }
  }
}

/** Gives back what is no member, or none any more. */
async function closeOthers(
  format: PoolFormat,
  leaving: readonly { readonly device: ComponentDevice }[],
): Promise<void> {
  const members = new Set(format.members.map((one) => one.device));
  for (const { device } of leaving) {
    if (!members.has(device)) await device.close();
  }
}

function memberAt(
  format: PoolFormat,
  pool: PoolFacts,
  path: string,
): Component {
  const member = format.members.find(({ device }) => device.path === path) ??
    byIdentity(format, path);
  if (member !== undefined) return member;
  throw new VirstorError(
    "invalid",
    `Cannot remove "${path}": it is no component of pool "${pool.name}"`,
  );
}

function byIdentity(format: PoolFormat, path: string): Component | undefined {
  const identity = fileIdentity(path);
  return format.members.find(({ device }) => device.identity === identity);
}

function checkRemovable(
  format: PoolFormat,
  pool: PoolFacts,
  component: Component,
): void {
  const behind = format.members.find(({ index, used }) =>
    index > component.index && used > 0
  );
  const reason = format.reasonToKeep(component) ||
    (component.used > 0
      ? `${component.used} of its chunks are in use, and format 1 cannot ` +
        "move them"
      : behind !== undefined
      ? `chunks of "${behind.device.path}" behind it are in use`
      : "");
  if (reason === "") return;
  throw new VirstorError(
    "invalid",
    `Cannot remove "${component.device.path}" from pool "${pool.name}": ` +
      reason,
  );
}

function describe(component: Component): AddResult["components"][number] {
  const { device, index, geometry } = component;
  const { size, chunkCount } = geometry;
  return { path: device.path, index, size, chunkCount };
}
