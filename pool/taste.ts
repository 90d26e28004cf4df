/**
 * Looking for pools: which files carry a label, and what it says. Reads only,
 * takes no lock.
 *
 * @module
 */

import { isFaithfulName } from "../device/block/mod.ts";
import { FileDevice } from "../device/file/mod.ts";
import { messageOf, VirstorError } from "../errors.ts";
import {
  type ComponentLabel,
  type Effort,
  placesOf,
  poolIdOf,
  readComponentLabel,
} from "./member/mod.ts";
import type { FormatName } from "./format/mod.ts";

/** Of a directory with more files none is searched for labels thoroughly. */
const THOROUGH_MAX = 16;
/** How often a label that makes no sense is read. */
const LABEL_TRIES = 3;

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
  /** What tells it from others of its name: a UUID, or a number. */
  readonly id: string;
  /** Its format. */
  readonly format: FormatName;
  /** The components that were found, by index. */
  readonly components: readonly TastedComponent[];
  /** How many components it has, as far as the labels that were found say. */
  readonly count: number;
  /** The indexes of those that were not found. */
  readonly missing: readonly number[];
}

/** What was found. */
export interface TasteReport {
  /** The pools, by name. */
  readonly pools: readonly TastedPool[];
  /**
   * Files with no label, or with one that makes no sense, or of a component
   * that has left its pool, and why.
   */
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
  for (const [path, effort] of await filesOf(paths, rejected)) {
    try {
      found.push({ path, label: tasteFile(path, effort) });
    } catch (error) {
      rejected.push({ path, reason: messageOf(error) });
    }
  }
  return { pools: groupPools(found, rejected), rejected };
}

/**
 * Reads the label of one file.
 *
 * @param path A file or a block device.
 * @returns What its label says.
 * @throws {VirstorError} `not-found`, `corrupt`, `unsupported`, `io`.
 */
export function readLabel(path: string): ComponentLabel {
  return tasteFile(path, "thorough");
}

function tasteFile(path: string, effort: Effort): ComponentLabel {
  const device = new FileDevice(path, { readOnly: true });
  try {
    // There is no lock: another process may be writing the label just now.
    for (let tries = 1;; tries++) {
      try {
        return readComponentLabel(device, effort);
      } catch (error) {
        const isTorn = error instanceof VirstorError &&
          error.code === "corrupt";
        if (!isTorn || tries === LABEL_TRIES) throw error;
      }
    }
  } finally {
    device.close();
  }
}

/** The files, by name; each of many in a directory gets a brief look only. */
async function filesOf(
  paths: readonly string[],
  rejected: { path: string; reason: string }[],
): Promise<[string, Effort][]> {
  const files = new Map<string, Effort>();
  for (const path of paths) {
    if (!await isDirectory(path)) {
      files.set(path, "thorough");
      continue;
    }
    const entries = await entriesOf(path);
    const effort = entries.length > THOROUGH_MAX ? "brief" : "thorough";
    for (const entry of entries) {
      const file = `${path.replace(/\/+$/, "")}/${entry.name}`;
      if (!entry.isFile && !entry.isSymlink) continue;
      if (!isFaithfulName(entry.name)) {
        rejected.push({ path: file, reason: "its name is not UTF-8" });
      } else if (!files.has(file)) files.set(file, effort);
    }
  }
  return [...files].toSorted(([a], [b]) => a < b ? -1 : 1);
}

async function entriesOf(path: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(path));
  } catch (error) {
    throw new VirstorError(
      "io",
      `Cannot look into "${path}": ${messageOf(error)}`,
      { cause: error },
    );
  }
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

function groupPools(
  found: readonly TastedComponent[],
  rejected: { path: string; reason: string }[],
): TastedPool[] {
  const groups = Map.groupBy(
    found,
    ({ label }) => `${label.name} ${poolIdOf(label)} ${label.format}`,
  );
  const pools = [...groups.values()].flatMap((components): TastedPool[] => {
    const [first] = components;
    if (first === undefined) return [];
    const { count, indexOf } = placesOf(components.map((one) => one.label));
    const members = components.filter((one) => indexOf(one.label) >= 0)
      .toSorted((a, b) => indexOf(a.label) - indexOf(b.label));
    for (const { path } of components) {
      if (members.some((one) => one.path === path)) continue;
      const reason =
        `it is no component of pool "${first.label.name}" any more`;
      rejected.push({ path, reason });
    }
    const indexes = new Set(members.map(({ label }) => indexOf(label)));
    const missing: number[] = [];
    for (let i = 0; i < count; i++) if (!indexes.has(i)) missing.push(i);
    const { name, format } = first.label;
    const id = poolIdOf(first.label);
    return [{ name, id, format, components: members, count, missing }];
  });
  return pools.toSorted((a, b) => a.name < b.name ? -1 : 1);
}
