/**
 * From a pool's name to the paths of its components.
 *
 * @module
 */

import { VirstorError } from "../../errors.ts";
import { type BesideReport, lookBeside, readLabel } from "../../pool/mod.ts";
import { noticeSizes } from "./known_component.ts";
import { printNotices } from "../terminal/mod.ts";
import { readRegistry, type RegistryEntry } from "../state/mod.ts";

/** How often a pool is located that others are changing. */
const TRIES_MAX = 10;

/** Which stopped pool a command is about. */
export interface StoppedPool {
  /** The state directory. */
  readonly stateDirectory: string;
  /** The pool's name. */
  readonly name: string;
  /** Paths that the user gave, absolute. */
  readonly named?: readonly string[] | undefined;
  /** Whether components may be missing: look for them before that is said. */
  readonly degraded?: boolean | undefined;
}

/**
 * Where the components of a pool may be. Some paths may be gone, or hold
 * something else by now: the labels tell.
 */
export interface Located {
  /** What the user gave; else what the registry says. */
  readonly paths: readonly string[];
  /** What is left to say for the pool layer: which pool, and where else. */
  readonly options: {
    /** The pool's name. */
    readonly name: string;
    /** The pool's id, if the registry knows it. */
    readonly id?: string;
    /** Where else components may be. */
    readonly others: readonly string[];
  };
}

/** The same, with what the registry says. */
interface Found extends Located {
  readonly entry: RegistryEntry | undefined;
}

/**
 * Does something with the components of a pool that is not served. Another
 * command may change the pool meanwhile: the locks keep it off only once they
 * are taken. So what fails is tried again if the registry leads elsewhere by
 * then. Components that the registry lacks are looked for beside the others.
 *
 * @param pool Which pool.
 * @param use What to do; if it fails, it has changed nothing.
 * @param isIncomplete Whether a component was missing, if it did not fail.
 * @returns What `use` returned.
 * @throws {VirstorError} `not-found` if the pool is not known, `busy` if others
 *   keep changing it; as `use`.
 */
export async function withComponents<T>(
  pool: StoppedPool,
  use: (located: Located) => Promise<T>,
  isIncomplete: (result: T) => boolean = () => false,
): Promise<T> {
  let located = await locate(pool);
  let beside = pool.degraded === true ? await look(located) : undefined;
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const attempt = await tried(() => use(withOthers(located, beside)));
    const isDone = "result" in attempt && !isIncomplete(attempt.result);
    if (isDone) {
      if (pool.degraded === true) noticeChanges(located);
      printNotices(noticesOf(pool.name, beside));
      return attempt.result;
    }
    const code = "error" in attempt ? attempt.error.code : "not-found";
    if (code !== "busy") {
      const next = await locate(pool);
      const isNews = JSON.stringify(next) !== JSON.stringify(located);
      located = next;
      if (isNews) continue;
    }
    if (code === "not-found" && beside === undefined) {
      beside = await look(located);
      if (beside.found.length > 0) continue;
    }
    if (code !== "busy") noticeChanges(located);
    const doubts = beside?.doubts ?? [];
    if ("error" in attempt) throw withDoubts(attempt.error, doubts);
    printNotices(doubts);
    return attempt.result;
  }
  throw new VirstorError(
    "busy",
    `Cannot read pool "${pool.name}": other commands keep changing it, try ` +
      "again",
  );
}

/** Says of components that they were cut or extended, if they were. */
function noticeChanges({ entry }: Found): void {
  if (entry !== undefined) noticeSizes(entry);
}

function look({ paths, options }: Located): Promise<BesideReport> {
  return lookBeside([...paths, ...options.others], options);
}

function withDoubts(
  error: VirstorError,
  doubts: readonly string[],
): VirstorError {
  if (doubts.length === 0) return error;
  const message = [error.message, ...doubts].join("; ");
  return new VirstorError(error.code, message, { cause: error });
}

function noticesOf(name: string, beside?: BesideReport): string[] {
  return (beside?.found ?? []).map((path) =>
    `"${path}" is a component of pool "${name}": it was not where the ` +
    "registry says, but lies beside the others"
  );
}

async function tried<T>(
  act: () => Promise<T>,
): Promise<{ result: T } | { error: VirstorError }> {
  try {
    return { result: await act() };
  } catch (error) {
    if (error instanceof VirstorError) return { error };
    throw error;
  }
}

function withOthers(
  { paths, options }: Located,
  beside: BesideReport | undefined,
): Located {
  const others = [...options.others, ...beside?.found ?? []];
  return { paths, options: { ...options, others } };
}

async function locate(
  { stateDirectory, name, named = [] }: StoppedPool,
): Promise<Found> {
  const entry = await readRegistry(stateDirectory, name);
  if (entry === undefined && named.length === 0) {
    throw new VirstorError(
      "not-found",
      `Cannot find pool "${name}": it is not registered in ` +
        `"${stateDirectory}"; look for it with "virstor taste DIR"`,
    );
  }
  const known = entry?.components ?? [];
  const [paths, others] = named.length === 0 ? [known, []] : [named, known];
  const which = entry === undefined ? { name } : { name, id: entry.id };
  return { paths, options: { ...which, others }, entry };
}

/**
 * Finds out which pool each component is of, by its label. With one pool only
 * there is nothing to find out: whatever is wrong with one is for the open to
 * tell.
 *
 * @param names The pools that there are.
 * @param paths Paths that the user gave, absolute.
 * @returns Paths by the name of their pool.
 * @throws {VirstorError} `invalid` if one is of another pool, `not-found`,
 *   `corrupt`, `unsupported`, `io`.
 */
export function assignComponents(
  names: readonly string[],
  paths: readonly string[],
): ReadonlyMap<string, string[]> {
  const [only] = names;
  if (names.length === 1 && only !== undefined) {
    return new Map([[only, [...paths]]]);
  }
  return Map.groupBy(paths, (path) => {
    const { name } = readLabel(path);
    if (names.includes(name)) return name;
    throw new VirstorError(
      "invalid",
      `Cannot use component "${path}": it is of pool "${name}", which is not ` +
        "to be served; name that too, or leave it out",
    );
  });
}
