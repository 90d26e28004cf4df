/**
 * Tasting: finds pools by the labels on files. Reads only, and takes no lock.
 *
 * @module
 */

import { FileDevice } from "../device/file/mod.ts";
import {
  isFaithfulName,
  isUri,
  messageOf,
  shownPath,
  VirstorError,
} from "../errors.ts";
import {
  byPool,
  type ComponentLabel,
  type Effort,
  forEachAtOnce,
  openWithLabels,
  placesOf,
  poolIdOf,
  readComponentLabel,
} from "./member/mod.ts";
import type { FormatName } from "./format/mod.ts";
import { openerOf, type RemoteComponents } from "./remote/mod.ts";

/** In a directory with more files, the search for moved labels is brief. */
const THOROUGH_MAX = 16;
/** How often a corrupt label is read before it counts as corrupt. */
const LABEL_TRIES = 3;

/** A file that carries a label. */
export interface TastedComponent {
  /** The path of the file. */
  readonly path: string;
  /** Its label. */
  readonly label: ComponentLabel;
}

/** A pool of which at least one label was found. */
export interface TastedPool {
  /** The pool's name. */
  readonly name: string;
  /** The id that distinguishes pools of the same name: a UUID, or a number. */
  readonly id: string;
  /** The pool's on-disk format. */
  readonly format: FormatName;
  /** The components that were found, by index. */
  readonly components: readonly TastedComponent[];
  /** How many components the pool has, according to these labels. */
  readonly count: number;
  /** The indexes of the components that were not found. */
  readonly missing: readonly number[];
}

/** The result of a search for pools. */
export interface TasteReport {
  /** The pools, sorted by name. */
  readonly pools: readonly TastedPool[];
  /**
   * Files without a label, with a damaged label, or of a component that has
   * left its pool.
   */
  readonly rejected: readonly {
    /** The path of the file. */
    readonly path: string;
    /** Why it is no component. */
    readonly reason: string;
  }[];
}

type Rejected = TasteReport["rejected"][number];

/** How to look at components. */
export interface TasteOptions {
  /** How to reach components that are given as URIs; refused by default. */
  readonly remote?: RemoteComponents | undefined;
}

/**
 * Searches for pools.
 *
 * @param paths Files, block devices, URIs, or directories. Of a directory, its
 *   files are examined, but not those of its subdirectories.
 * @param options How.
 * @returns The pools, and the files that are no components.
 * @throws {VirstorError} `not-found` if a path does not exist, `io` if a
 *   directory cannot be read.
 */
export async function taste(
  paths: readonly string[],
  options: TasteOptions = {},
): Promise<TasteReport> {
  const found: TastedComponent[] = [];
  const rejected: Rejected[] = [];
  const uris = new Map(
    paths.filter(isUri).map((uri) => [shownPath(uri), uri]),
  );
  const files = await filesOf(paths.filter((path) => !isUri(path)), rejected);
  for (const [path, effort] of files) {
    try {
      found.push({ path, label: tasteFile(path, effort) });
    } catch (error) {
      rejected.push({ path, reason: messageOf(error) });
    }
  }
  const tasted = new Map<string, ComponentLabel | Rejected>();
  await forEachAtOnce([...uris], async ([path, uri]) => {
    try {
      tasted.set(path, await tasteUri(uri, options));
    } catch (error) {
      tasted.set(path, { path, reason: messageOf(error) });
    }
  });
  for (const path of uris.keys()) {
    const label = tasted.get(path);
    if (label === undefined) continue;
    if ("reason" in label) rejected.push(label);
    else found.push({ path, label });
  }
  return { pools: groupPools(found, rejected), rejected };
}

/**
 * Reads the label of a component.
 *
 * @param path A file, a block device, or a URI.
 * @param options How.
 * @returns The label.
 * @throws {VirstorError} `not-found`, `corrupt`, `unsupported`, `io`.
 */
export async function findLabel(
  path: string,
  options: TasteOptions = {},
): Promise<ComponentLabel> {
  return isUri(path) ? await tasteUri(path, options) : readLabel(path);
}

async function tasteUri(
  uri: string,
  { remote }: TasteOptions,
): Promise<ComponentLabel> {
  const how = { readOnly: true };
  const device = await openWithLabels(uri, how, openerOf(remote));
  try {
    return readComponentLabel(device);
  } finally {
    await device.close();
  }
}

/**
 * Reads the label of a file.
 *
 * @param path A file or a block device.
 * @returns The label.
 * @throws {VirstorError} `not-found`, `corrupt`, `unsupported`, `io`.
 */
export function readLabel(path: string): ComponentLabel {
  return tasteFile(path, "thorough");
}

function tasteFile(path: string, effort: Effort): ComponentLabel {
  const device = new FileDevice(path, { readOnly: true });
  try {
    // Without a lock, the label may be torn by a concurrent write: retry.
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

/** Lists the files, sorted by path, with the effort of the search in each. */
async function filesOf(
  paths: readonly string[],
  rejected: Rejected[],
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
      `Cannot read directory "${path}": ${messageOf(error)}`,
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
      `Cannot examine "${path}": there is no such file`,
      { cause: error },
    );
  }
}

function groupPools(
  found: readonly TastedComponent[],
  rejected: Rejected[],
): TastedPool[] {
  const pools = byPool(found).flatMap(({ name, components }): TastedPool[] => {
    const [first] = components;
    if (first === undefined) return [];
    const { count, indexOf } = placesOf(components.map((one) => one.label));
    const members = components.filter((one) => indexOf(one.label) >= 0)
      .toSorted((a, b) => indexOf(a.label) - indexOf(b.label));
    for (const { path } of components) {
      if (members.some((one) => one.path === path)) continue;
      const reason = `it is no component of pool "${name}" any more`;
      rejected.push({ path, reason });
    }
    const indexes = new Set(members.map(({ label }) => indexOf(label)));
    const missing: number[] = [];
    for (let i = 0; i < count; i++) if (!indexes.has(i)) missing.push(i);
    const { format } = first.label;
    const id = poolIdOf(first.label);
    return [{ name, id, format, components: members, count, missing }];
  });
  return pools.toSorted((a, b) => a.name < b.name ? -1 : 1);
}
