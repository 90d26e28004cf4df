/**
 * From paths to a pool's components ("tasting"): open and lock the files, read
 * their labels, find out which are members. Nothing is written.
 *
 * @module
 */

import { fileIdentity } from "../device/mod.ts";
import { messageOf, VirstorError } from "../errors.ts";
import type { FreebsdLabel } from "../metadata/mod.ts";
import { freebsdMapSize } from "../metadata/mod.ts";
import type { ComponentDevice, OpenDevice } from "./component.ts";
import { readDeviceLabel } from "./component_label.ts";
import type { FoundLabel, MemberPlan } from "./members.ts";
import { planMembers } from "./members.ts";

/** A component that is open and locked, with its label. */
export interface OpenComponent extends FoundLabel {
  /** What it is kept on. */
  readonly device: ComponentDevice;
}

/** The components of one pool, complete, open and locked. */
export interface Assembly extends MemberPlan<OpenComponent> {
  /** All of them, by index. */
  readonly members: readonly OpenComponent[];
  /** The label of component 0, which decides. */
  readonly label: FreebsdLabel;
  /** Everything that is open, also what is not a member. */
  readonly opened: readonly OpenComponent[];
}

/** How to assemble. */
export interface AssembleOptions {
  /** Which pool; needed if the paths hold several. */
  readonly name?: string | undefined;
  /** Lock shared and open for reading only. */
  readonly readOnly: boolean;
  /** How components are opened. */
  readonly openDevice: OpenDevice;
}

interface Fault {
  readonly path: string;
  readonly error: VirstorError;
}

/**
 * Opens, locks and sorts the components of a pool.
 *
 * @param paths Where its components may be, in any order.
 * @param options How.
 * @returns The complete pool.
 * @throws {VirstorError} `not-found` if a component is missing, `corrupt`,
 *   `busy` naming the holder, `invalid`, `io`. Nothing is open then.
 */
export function assemble(
  paths: readonly string[],
  options: AssembleOptions,
): Assembly {
  const found: OpenComponent[] = [];
  const faults: Fault[] = [];
  try {
    openAll(paths, options, found, faults);
    const name = options.name ?? onlyName(found, faults);
    const mine = found.filter(({ label }) => label.name === name);
    for (const { path, device, label } of found) {
      if (label.name === name) continue;
      device.close();
      const message = `"${path}" is a component of pool "${label.name}"`;
      faults.push({ path, error: new VirstorError("not-found", message) });
    }
    checkOnePool(name, mine, faults);
    const plan = planMembers(mine);
    return complete(name, mine, plan, faults);
  } catch (error) {
    for (const { device } of found) device.close();
    throw error;
  }
}

function openAll(
  paths: readonly string[],
  options: AssembleOptions,
  found: OpenComponent[],
  faults: Fault[],
): void {
  const { readOnly, openDevice } = options;
  const identities = new Set<string>();
  for (const path of paths) {
    let device: ComponentDevice | undefined;
    try {
      const identity = fileIdentity(path);
      if (identities.has(identity)) continue;
      identities.add(identity);
      const lock = readOnly ? "shared" : "exclusive";
      device = openDevice(path, { readOnly, lock });
      found.push({ path, device, label: readDeviceLabel(device) });
    } catch (error) {
      device?.close();
      if (!(error instanceof VirstorError) || error.code === "busy") {
        throw error;
      }
      faults.push({ path, error });
    }
  }
}

function onlyName(
  found: readonly OpenComponent[],
  faults: readonly Fault[],
): string {
  const names = [...new Set(found.map(({ label }) => label.name))];
  if (names.length > 1) {
    throw new VirstorError(
      "invalid",
      `Cannot tell which pool is meant: the components hold "${
        names.join('", "')
      }"`,
    );
  }
  const name = names[0];
  if (name !== undefined) return name;
  throw faults[0]?.error ??
    new VirstorError("invalid", "Cannot open a pool without components");
}

/** Refuses labels under one name that do not belong together. */
function checkOnePool(
  name: string,
  found: readonly OpenComponent[],
  faults: readonly Fault[],
): void {
  // A component that cannot be understood may be one of this pool.
  const damaged = faults.find(({ error }) => error.code !== "not-found");
  if (damaged !== undefined) {
    throw new VirstorError(
      damaged.error.code,
      `Cannot open pool "${name}": ${lowerFirst(damaged.error.message)}`,
      { cause: damaged.error },
    );
  }
  const first = found[0];
  if (first === undefined) {
    const reasons = faults.map(({ error }) => lowerFirst(messageOf(error)));
    throw new VirstorError(
      "not-found",
      `Cannot open pool "${name}": none of its components is here` +
        (reasons.length === 0 ? "" : ` (${reasons.join("; ")})`) +
        ", say where they are with --component, or run virstor taste",
    );
  }
  for (const other of found) {
    const { label } = other;
    if (label.id !== first.label.id) {
      throw new VirstorError(
        "corrupt",
        `Cannot open pool "${name}": "${first.path}" and "${other.path}" are ` +
          `of two pools of this name (ids ${first.label.id} and ` +
          `${label.id}), clear the stale one or give --component for each`,
      );
    }
    if (
      label.virtualSize !== first.label.virtualSize ||
      label.chunkSize !== first.label.chunkSize
    ) {
      throw new VirstorError(
        "corrupt",
        `Cannot open pool "${name}": the labels of "${first.path}" and ` +
          `"${other.path}" disagree on the virtual size or the chunk size`,
      );
    }
  }
}

function complete(
  name: string,
  opened: readonly OpenComponent[],
  plan: MemberPlan<OpenComponent>,
  faults: readonly Fault[],
): Assembly {
  const members = plan.members.filter((one) => one !== undefined);
  const first = plan.members[0];
  if (members.length < plan.members.length || first === undefined) {
    throw missing(name, plan.members, faults);
  }
  const { label } = first;
  const mapSize = freebsdMapSize(label.virtualSize, label.chunkSize);
  if (mapSize > label.chunkReserved * label.chunkSize) {
    throw new VirstorError(
      "corrupt",
      `Cannot open pool "${name}": "${first.path}" reserves ` +
        `${label.chunkReserved} chunks for a map of ${mapSize} bytes`,
    );
  }
  return { ...plan, members, label, opened };
}

function missing(
  name: string,
  members: readonly unknown[],
  faults: readonly Fault[],
): VirstorError {
  const indexes = members.flatMap((one, i) => one === undefined ? [i] : []);
  const which = indexes.length <= 5
    ? indexes.join(", ")
    : `${indexes.slice(0, 5).join(", ")} and ${indexes.length - 5} more`;
  const reasons = faults.map(({ error }) => lowerFirst(error.message));
  return new VirstorError(
    "not-found",
    `Cannot open pool "${name}": component${indexes.length > 1 ? "s" : ""} ` +
      `${which} of ${members.length} (counted from 0) ` +
      `${indexes.length > 1 ? "are" : "is"} missing` +
      (reasons.length === 0 ? "" : ` (${reasons.join("; ")})`) +
      ", say where with --component, or run virstor taste",
  );
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
