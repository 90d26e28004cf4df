/**
 * From paths to the components of one pool ("tasting"): open and lock the
 * files, read their labels, leave out what belongs to others. Nothing is
 * written. Which of them are members is for the format to say.
 *
 * @module
 */

import { fileIdentity } from "../../device/file/mod.ts";
import { messageOf, VirstorError } from "../../errors.ts";
import type { ComponentDevice, OpenDevice } from "../core/mod.ts";
import { poolIdOf, readComponentLabel } from "./component_label.ts";
import type { Fault, OpenComponent } from "./open_component.ts";
import { isWhole } from "./places.ts";
import { explainSizes } from "./size_faults.ts";

/** So many files that are no components are told one by one. */
const REASONS_MAX = 5;

/** What is there of one pool, open and locked. */
export interface Assembly {
  /** The pool's name. */
  readonly name: string;
  /** Everything that carries a label of it; at least one. */
  readonly found: readonly OpenComponent[];
  /** What else was looked at, and why it is no component of the pool. */
  readonly faults: readonly Fault[];
}

/** How to assemble. */
export interface AssembleOptions {
  /** Which pool; needed if the paths hold several. */
  readonly name?: string | undefined;
  /** Which of the pools of that name, if that is known. */
  readonly id?: string | undefined;
  /**
   * Where else components may be: looked at only if those at the paths are
   * not the whole pool.
   */
  readonly others?: readonly string[] | undefined;
  /** Lock shared and open for reading only. */
  readonly readOnly: boolean;
  /** How components are opened. */
  readonly openDevice: OpenDevice;
  /** Do not refuse components whose labels make no sense: they are faults. */
  readonly isTolerant?: boolean;
}

/**
 * Opens and locks the components of a pool.
 *
 * @param paths Where its components may be, in any order.
 * @param options How.
 * @returns What is there of it.
 * @throws {VirstorError} `not-found` if nothing is, `corrupt`, `busy` naming
 *   the holder, `invalid`, `io`. Nothing is open then.
 */
export function assemble(
  paths: readonly string[],
  options: AssembleOptions,
): Assembly {
  const found: OpenComponent[] = [];
  const faults: Fault[] = [];
  try {
    const identities = new Set<string>();
    openAll(paths, options, identities, found, faults);
    if (!isNamedPool(options, found)) {
      openAll(options.others ?? [], options, identities, found, faults);
    }
    const name = options.name ?? onlyName(found, faults);
    const mine = found.filter(({ label }) => label.name === name);
    for (const { path, device, label } of found) {
      if (label.name === name) continue;
      device.close();
      const message = `"${path}" is a component of pool "${label.name}"`;
      faults.push({ path, error: new VirstorError("not-found", message) });
    }
    checkOnePool(name, mine, options.isTolerant === true ? [] : faults);
    const explained = explainSizes(mine, faults, options.openDevice);
    return { name, found: mine, faults: explained };
  } catch (error) {
    for (const { device } of found) device.close();
    throw error;
  }
}

/** Whether what the caller named is the whole pool, and the one meant. */
function isNamedPool(
  { name, id, others = [] }: AssembleOptions,
  found: readonly OpenComponent[],
): boolean {
  if (others.length === 0) return true;
  const labels = found.map(({ label }) => label);
  return labels.every((label) =>
    label.name === name && (id === undefined || poolIdOf(label) === id)
  ) && isWhole(labels);
}

function openAll(
  paths: readonly string[],
  options: AssembleOptions,
  identities: Set<string>,
  found: OpenComponent[],
  faults: Fault[],
): void {
  const { readOnly, openDevice } = options;
  for (const path of paths) {
    let device: ComponentDevice | undefined;
    try {
      const identity = fileIdentity(path);
      if (identities.has(identity)) continue;
      identities.add(identity);
      const lock = readOnly ? "shared" : "exclusive";
      device = openDevice(path, { readOnly, lock });
      found.push({ path, device, label: readComponentLabel(device) });
    } catch (error) {
      device?.close();
      if (!(error instanceof VirstorError) || error.code === "busy") {
        throw error;
      }
      const { size } = device ?? {};
      faults.push({ path, error, ...size !== undefined && { size } });
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
        reasonsText(reasons) +
        ", say where they are with --component, or run virstor taste",
    );
  }
  for (const other of found) {
    const ids = [poolIdOf(first.label), poolIdOf(other.label)] as const;
    if (ids[0] === ids[1]) continue;
    throw new VirstorError(
      "corrupt",
      `Cannot open pool "${name}": "${first.path}" and "${other.path}" are ` +
        `of two pools of this name (ids ${ids[0]} and ${ids[1]}), clear the ` +
        "stale one or give --component for each",
    );
  }
}

/**
 * Says which components are missing.
 *
 * @param name The pool's name.
 * @param missing Each by its index, and in words if there are some for it.
 * @param count How many components the pool has.
 * @param faults What was looked at in vain.
 * @returns The error to throw.
 */
export function missingError(
  name: string,
  missing: readonly (number | string)[],
  count: number,
  faults: readonly Fault[],
): VirstorError {
  const several = missing.length > 1;
  const which = missing.length <= 5
    ? missing.join(", ")
    : `${missing.slice(0, 5).join(", ")} and ${missing.length - 5} more`;
  const reasons = faults.map(({ error }) => lowerFirst(error.message));
  return new VirstorError(
    "not-found",
    `Cannot open pool "${name}": component${several ? "s" : ""} ${which} of ` +
      `${count} (counted from 0) ${several ? "are" : "is"} missing` +
      reasonsText(reasons) +
      ", say where with --component, or run virstor taste",
  );
}

/** What was found instead, in parentheses: the first few of them. */
function reasonsText(reasons: readonly string[]): string {
  if (reasons.length === 0) return "";
  const told = reasons.slice(0, REASONS_MAX);
  const more = reasons.length - told.length;
  if (more > 0) told.push(`and ${more} more`);
  return ` (${told.join("; ")})`;
}

/** What has a device: a component, or a file that may become one. */
interface HasDevice {
  readonly device: ComponentDevice;
}

/**
 * Closes devices of which no member is made.
 *
 * @param open What is open.
 * @param members The members of the pool, which stay open.
 */
export async function closeOthers(
  open: readonly HasDevice[],
  members: readonly HasDevice[],
): Promise<void> {
  const kept = new Set(members.map(({ device }) => device));
  for (const { device } of open) {
    if (!kept.has(device)) await device.close();
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
