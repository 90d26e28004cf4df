/**
 * Components with unknown paths: they often lie beside the known ones. The
 * search finds them by their labels. It reads only, and its work is bounded.
 *
 * @module
 */

import { FileDevice, fileIdentity } from "../device/file/mod.ts";
import { VirstorError } from "../errors.ts";
import {
  decodeOwnerBlock,
  OWNER_BLOCK_SIZE,
  ownerBlockPosition,
} from "../metadata/journal/mod.ts";
import {
  type ComponentLabel,
  ofPool,
  placesOf,
  poolIdOf,
  readLabelAtEnd,
  truthAmong,
} from "./member/mod.ts";
import type { TastedComponent } from "./taste.ts";
import { finished, turn } from "./core/mod.ts";

/** The most directories that are searched. */
const DIRECTORIES_MAX = 16;
/** The most files that are examined, in all directories together. */
const FILES_MAX = 1000;
/** How long the search takes at most, milliseconds. */
const TIME_MAX_MS = 5000;

/** The pool to search for. */
export interface BesidePool {
  /** The pool's name. */
  readonly name: string;
  /** The pool's id, if known; by default that of the labels at known paths. */
  readonly id?: string | undefined;
}

/** The result of a search beside known components. */
export interface BesideReport {
  /** Paths of components that are missing at the known paths. */
  readonly found: readonly string[];
  /**
   * Files that claim to be missing components, but may be old copies; a
   * sentence for each.
   */
  readonly doubts: readonly string[];
}

/**
 * Searches the directories of the known paths for missing components.
 *
 * A component of a native pool is found only if its superblock is as new as
 * those of the others. A label of format 1 does not say how old it is. So while
 * a known file does not exist, a file that claims its place is reported as a
 * doubt, since it may be an old copy.
 *
 * @param paths The known paths; they need not exist.
 * @param pool The pool to search for.
 * @returns The components that were found; empty if none is missing.
 */
export async function lookBeside(
  paths: readonly string[],
  pool: BesidePool,
): Promise<BesideReport> {
  const known = ofPool(pool.name, paths.flatMap((path) => labelOf(path) ?? []));
  const id = pool.id ?? onlyId(known);
  const members = known.filter(({ label }) => poolIdOf(label) === id);
  if (id === undefined || isComplete(members)) return { found: [], doubts: [] };
  const beside = (await labelsBeside(paths))
    .filter(({ label }) => poolIdOf(label) === id);
  const isKnown = new Set(members);
  const candidates = ofPool(pool.name, [...members, ...beside])
    .filter((one) => !isKnown.has(one));
  const isNative = members.some(({ label }) => label.format === "native");
  const isGone = paths.some((path) => identityOf(path) === undefined);
  // Without a known member, nothing says how old the others are.
  const isDoubtful = members.length === 0 || (!isNative && isGone);
  return choose(members, candidates, isDoubtful);
}

function choose(
  members: readonly TastedComponent[],
  candidates: readonly TastedComponent[],
  isDoubtful: boolean,
): BesideReport {
  const found: TastedComponent[] = [];
  const doubts = new Set<string>();
  // A superblock that was found may list further components.
  for (let isNews = true; isNews;) {
    isNews = false;
    const labels = [...members, ...found].map(({ label }) => label);
    const trusted = labels.length > 0
      ? labels
      : candidates.map(({ label }) => label);
    const { count, indexOf } = placesOf(trusted);
    const taken = new Set(labels.map(indexOf));
    for (const [index, claimants] of byPlace(candidates, indexOf)) {
      if (index < 0 || index >= count || taken.has(index)) continue;
      const fresh = claimants.filter(({ label }) => isFresh(label, trusted));
      const [one, other] = fresh;
      if (one !== undefined && other === undefined && !isDoubtful) {
        found.push(one);
        isNews = true;
        continue;
      }
      for (const { path } of claimants) {
        doubts.add(
          `"${path}" claims to be component ${index}: if it is the current ` +
            "file and no old copy, name it with --component",
        );
      }
    }
  }
  return { found: found.map(({ path }) => path), doubts: [...doubts] };
}

function byPlace(
  candidates: readonly TastedComponent[],
  indexOf: (label: ComponentLabel) => number,
): Map<number, TastedComponent[]> {
  return Map.groupBy(candidates, ({ label }) => indexOf(label));
}

function isComplete(members: readonly TastedComponent[]): boolean {
  const labels = members.map(({ label }) => label);
  const { count, indexOf } = placesOf(labels);
  if (count === 0) return false;
  const indexes = new Set(labels.map(indexOf));
  for (let index = 0; index < count; index++) {
    if (!indexes.has(index)) return false;
  }
  return true;
}

/** Whether a component missed no more generations than a crash explains. */
function isFresh(
  label: ComponentLabel,
  labels: readonly ComponentLabel[],
): boolean {
  if (label.format === "freebsd") return true;
  const natives = labels.filter((one) => one.format === "native");
  return label.generation >= truthAmong(natives).generation - 1;
}

function onlyId(known: readonly TastedComponent[]): string | undefined {
  const [id, other] = new Set(known.map(({ label }) => poolIdOf(label)));
  return other === undefined ? id : undefined;
}

/** The labels on the other files in the directories of these paths. */
async function labelsBeside(
  paths: readonly string[],
): Promise<TastedComponent[]> {
  const end = performance.now() + TIME_MAX_MS;
  const seen = new Set(paths.flatMap((path) => identityOf(path) ?? []));
  const directories = new Set(paths.map(directoryOf));
  const labels: TastedComponent[] = [];
  let files = 0;
  for (const directory of [...directories].slice(0, DIRECTORIES_MAX)) {
    for await (const path of filesIn(directory)) {
      if (++files > FILES_MAX || performance.now() > end) return labels;
      const identity = identityOf(path);
      if (identity === undefined || seen.has(identity)) continue;
      seen.add(identity);
      const labelled = labelOf(path);
      if (labelled !== undefined) labels.push(labelled);
      await turn();
    }
  }
  return labels;
}

async function* filesIn(directory: string): AsyncGenerator<string> {
  try {
    for await (const { name, isFile, isSymlink } of Deno.readDir(directory)) {
      if (!isFile && !isSymlink) continue;
      yield `${directory === "/" ? "" : directory}/${name}`;
    }
  } catch {
    // A directory that cannot be read holds no file that can be used.
  }
}

function directoryOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : path.slice(0, slash) || "/";
}

function identityOf(path: string): string | undefined {
  try {
    return fileIdentity(path);
  } catch (error) {
    if (error instanceof VirstorError) return undefined;
    throw error;
  }
}

/** Whether another process uses the file by a URI: it is not to be opened here. */
function isInUse(device: FileDevice): boolean {
  const position = ownerBlockPosition(device.size);
  if (position < 0) return false;
  const bytes = new Uint8Array(OWNER_BLOCK_SIZE);
  finished(device.read(bytes, position));
  const block = decodeOwnerBlock(bytes, position);
  return typeof block !== "string" && block.isInUse;
}

function labelOf(path: string): TastedComponent | undefined {
  let device: FileDevice | undefined;
  try {
    device = new FileDevice(path, { readOnly: true });
    if (isInUse(device)) return undefined;
    return { path, label: readLabelAtEnd(device) };
  } catch (error) {
    if (error instanceof VirstorError) return undefined;
    throw error;
  } finally {
    device?.close();
  }
}
