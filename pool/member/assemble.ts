/**
 * Assembly ("tasting"): opens and locks the files at the given paths, reads
 * their labels and keeps the components of one pool. Assembly writes nothing.
 * The format decides later which of these components are members.
 *
 * @module
 */

import { isUri, messageOf, shownPath, VirstorError } from "../../errors.ts";
import {
  type ComponentDevice,
  identityAt,
  type OpenDevice,
} from "../core/mod.ts";
import { closeAll, forEachAtOnce } from "./at_once.ts";
import { poolIdOf } from "./component_label.ts";
import type { Fault, OpenComponent } from "./open_component.ts";
import { byPool, ofPool } from "./of_pool.ts";
import { labelledDevice, openWithLabels } from "./open_member.ts";
import { isWhole } from "./places.ts";
import { explainSizes } from "./size_faults.ts";

/** Error messages list at most this many files that are no components. */
const REASONS_MAX = 5;

/** The components of one pool that were found, open and locked. */
export interface Assembly {
  /** The pool's name. */
  readonly name: string;
  /** Every component that carries a label of the pool; at least one. */
  readonly found: readonly OpenComponent[];
  /** The other paths, each with the reason why it leads to no component. */
  readonly faults: readonly Fault[];
}

/** Which pool to assemble, and how to open its components. */
export interface AssembleOptions {
  /** The pool's name. Required if the paths hold several pools. */
  readonly name?: string | undefined;
  /** The pool's id, if known: it selects one of several pools of that name. */
  readonly id?: string | undefined;
  /**
   * Further paths where components may be. They are opened only if the paths
   * given first do not hold the whole pool.
   */
  readonly others?: readonly string[] | undefined;
  /** Open the components read-only, with shared locks. */
  readonly readOnly: boolean;
  /** Opens a component. */
  readonly openDevice: OpenDevice;
  /** Whether to do without journals of other owners; default false. */
  readonly withoutJournal?: boolean;
  /** Report components with unreadable labels as faults instead of failing. */
  readonly isTolerant?: boolean;
}

/**
 * Opens and locks the components of a pool.
 *
 * *Ensures*: when this throws, no device is left open.
 *
 * @param paths Where components may be, in any order; a file that is given
 *   twice is opened once.
 * @param options Which pool, and how to open its components.
 * @returns The open components, and the paths that lead to none.
 * @throws {VirstorError} `not-found` if no component of the pool was found,
 *   `corrupt`, `busy` naming the process that holds the lock, `invalid`, `io`.
 */
export async function assemble(
  paths: readonly string[],
  options: AssembleOptions,
): Promise<Assembly> {
  const found: OpenComponent[] = [];
  const faults: Fault[] = [];
  try {
    const identities = new Set<string>();
    await openAll(paths, options, identities, found, faults);
    if (!isNamedPool(options, found)) {
      const { others = [] } = options;
      await openAll(others, options, identities, found, faults);
    }
    const name = options.name ?? onlyName(found, faults);
    refuseFormerName(name, found);
    const mine = ofPool(name, found);
    const isMine = new Set(mine.map(({ device }) => device));
    for (const { path, device, label } of found) {
      if (isMine.has(device)) continue;
      await device.close();
      const message = `"${path}" is a component of pool "${label.name}"`;
      faults.push({ path, error: new VirstorError("not-found", message) });
    }
    checkOnePool(name, mine, options.isTolerant === true ? [] : faults);
    const explained = await explainSizes(mine, faults, options.openDevice);
    return { name, found: mine, faults: explained };
  } catch (error) {
    await closeAll(found.map(({ device }) => device));
    throw error;
  }
}

/** Whether these labels are the whole pool that the caller asked for. */
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

/** What opening a path has led to. */
type Opened = OpenComponent | Fault | undefined;

/**
 * Opens the components at these paths. Files come first, in order: one that is in
 * use is refused at once. Those on other machines are opened at the same time.
 */
async function openAll(
  paths: readonly string[],
  options: AssembleOptions,
  identities: Set<string>,
  found: OpenComponent[],
  faults: Fault[],
): Promise<void> {
  const opened: Opened[] = paths.map(() => undefined);
  const uris: number[] = [];
  const open = async (i: number) => {
    opened[i] = await openOne(paths[i] ?? "", options, identities);
  };
  try {
    for (const [i, given] of paths.entries()) {
      if (isUri(given)) {
        if (isNew(shownPath(given), identities)) uris.push(i);
      } else await open(i);
    }
    await forEachAtOnce(uris, open);
  } finally {
    for (const one of opened) {
      if (one === undefined) continue;
      if ("device" in one) found.push(one);
      else faults.push(one);
    }
  }
}

/** Notes an identity; returns whether it is new. */
function isNew(identity: string, identities: Set<string>): boolean {
  if (identities.has(identity)) return false;
  identities.add(identity);
  return true;
}

/** Opens the component at a path; throws if it is in use. */
async function openOne(
  given: string,
  { readOnly, openDevice, withoutJournal }: AssembleOptions,
  identities: Set<string>,
): Promise<Opened> {
  const path = shownPath(given);
  let device: ComponentDevice | undefined;
  try {
    if (!isUri(given) && !isNew(identityAt(path), identities)) return undefined;
    const lock = readOnly ? "shared" : "exclusive";
    device = await openWithLabels(given, { readOnly, lock }, openDevice);
    return { path, ...await labelledDevice(device, withoutJournal) };
  } catch (error) {
    await device?.close();
    if (!(error instanceof VirstorError) || error.code === "busy") throw error;
    const { size } = device ?? {};
    return { path, error, ...size !== undefined && { size } };
  }
}

function onlyName(
  found: readonly OpenComponent[],
  faults: readonly Fault[],
): string {
  const names = [...new Set(found.map(({ label }) => label.name))];
  // A crash in the middle of a rename leaves the former name on some.
  const whole = names.find((one) => ofPool(one, found).length === found.length);
  if (whole !== undefined) return whole;
  if (names.length > 1) {
    throw new VirstorError(
      "invalid",
      `Cannot choose a pool: the components are of "${names.join('", "')}", ` +
        "name one of these pools",
    );
  }
  throw faults[0]?.error ??
    new VirstorError("invalid", "Cannot open a pool without components");
}

/** Refuses the name from which a rename was interrupted: it has no whole pool. */
function refuseFormerName(name: string, found: readonly OpenComponent[]): void {
  const renamed = byPool(found).find((pool) =>
    pool.name !== name &&
    pool.components.some(({ label }) => label.name === name)
  );
  if (renamed === undefined) return;
  throw new VirstorError(
    "not-found",
    `Cannot open pool "${name}": it is pool "${renamed.name}" since a rename ` +
      "that was interrupted, use that name, or run virstor rename again",
  );
}

/** Throws if the labels found under one name are not of one pool. */
function checkOnePool(
  name: string,
  found: readonly OpenComponent[],
  faults: readonly Fault[],
): void {
  // A component with an unreadable label may belong to this pool.
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
      `Cannot open pool "${name}": none of its components was found` +
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
 * Makes the error for a pool with missing components.
 *
 * @param name The pool's name.
 * @param missing The missing components: each by its index (from 0), or
 *   described in words.
 * @param count How many components the pool has.
 * @param faults Paths that lead to no component of the pool, with reasons.
 * @returns The `not-found` error, for the caller to throw.
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

/** The first {@linkcode REASONS_MAX} reasons in parentheses; "" if none. */
function reasonsText(reasons: readonly string[]): string {
  if (reasons.length === 0) return "";
  const shown = reasons.slice(0, REASONS_MAX);
  const more = reasons.length - shown.length;
  if (more > 0) shown.push(`and ${more} more`);
  return ` (${shown.join("; ")})`;
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
  const others = open.map(({ device }) => device);
  await closeAll(others.filter((device) => !kept.has(device)));
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
