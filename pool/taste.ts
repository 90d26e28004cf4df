/**
 * Looking for pools: which files carry a label, and what it says. Reads only,
 * takes no lock.
 *
 * @module
 */

import { FileDevice } from "../device/mod.ts";
import { messageOf, VirstorError } from "../errors.ts";
import type { FreebsdLabel } from "../metadata/mod.ts";
import { readDeviceLabel } from "./component_label.ts";
import type { FormatName } from "./pool_format.ts";

/** What a component says of itself and of its pool. */
export interface ComponentLabel extends FreebsdLabel {
  /** The format of its pool. */
  readonly format: FormatName;
}

/** A file that carries a label. */
export interface TastedComponent {
  /** Where it is. */
  readonly path: string;
  /** What it says. */
  readonly label: ComponentLabel;
}

/** A pool of which labels were found. */
export interface TastedPool {
  /** Its name. */
  readonly name: string;
  /** Its random number. */
  readonly id: number;
  /** Its format. */
  readonly format: FormatName;
  /** The components that were found, by index. */
  readonly components: readonly TastedComponent[];
  /** How many components it has, says the label of the first one found. */
  readonly count: number;
  /** The indexes of those that were not found. */
  readonly missing: readonly number[];
}

/** What was found. */
export interface TasteReport {
  /** The pools, by name. */
  readonly pools: readonly TastedPool[];
  /** Files with no label, or with one that makes no sense, and why. */
  readonly rejected: readonly {
    /** Where it is. */
    readonly path: string;
    /** Why it is no component. */
    readonly reason: string;
  }[];
}

/**
 * Looks for pools.
 *
 * @param paths Files, block devices, or directories, whose files are looked
 *   at (not those of directories in them).
 * @returns What was found.
 * @throws {VirstorError} `not-found` if a path is not there.
 */
export async function taste(paths: readonly string[]): Promise<TasteReport> {
  const found: TastedComponent[] = [];
  const rejected: { path: string; reason: string }[] = [];
  for (const path of await filesOf(paths)) {
    try {
      found.push({ path, label: readLabel(path) });
    } catch (error) {
      rejected.push({ path, reason: messageOf(error) });
    }
  }
  return { pools: groupPools(found), rejected };
}

/**
 * Reads the label of one file.
 *
 * @param path A file or a block device.
 * @returns What its label says.
 * @throws {VirstorError} `not-found`, `corrupt`, `unsupported`, `io`.
 */
export function readLabel(path: string): ComponentLabel {
  const device = new FileDevice(path, { readOnly: true });
  try {
    return { format: "freebsd", ...readDeviceLabel(device) };
  } finally {
    device.close();
  }
}

async function filesOf(paths: readonly string[]): Promise<string[]> {
  const files = new Set<string>();
  for (const path of paths) {
    if (!await isDirectory(path)) {
      files.add(path);
      continue;
    }
    for await (const entry of Deno.readDir(path)) {
      const file = `${path.replace(/\/+$/, "")}/${entry.name}`;
      if (entry.isFile || entry.isSymlink) files.add(file);
    }
  }
  return [...files].toSorted();
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return false;
    throw new VirstorError(
      "not-found",
      `Cannot look at "${path}": there is no such file`,
      { cause: error },
    );
  }
}

function groupPools(found: readonly TastedComponent[]): TastedPool[] {
  const groups = Map.groupBy(
    found,
    ({ label }) => `${label.name} ${label.id}`,
  );
  const pools = [...groups.values()].flatMap((components): TastedPool[] => {
    components.sort((a, b) => a.label.index - b.label.index);
    const label = components[0]?.label;
    if (label === undefined) return [];
    const indexes = new Set(components.map((one) => one.label.index));
    const { name, id, format, count } = label;
    const missing: number[] = [];
    for (let i = 0; i < count; i++) if (!indexes.has(i)) missing.push(i);
    return [{ name, id, format, components, count, missing }];
  });
  return pools.toSorted((a, b) => a.name < b.name ? -1 : 1);
}
