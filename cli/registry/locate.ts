/**
 * Finds the components of a pool by the pool's name.
 *
 * @module
 */

import { isUri, VirstorError } from "../../errors.ts";
import {
  type BesideReport,
  findLabel,
  lookBeside,
  type RemoteComponents,
} from "../../pool/mod.ts";
import { noticeSizes } from "./known_component.ts";
import { printNotices } from "../terminal/mod.ts";
import {
  readRegistry,
  type RegistryEntry,
  remoteComponents,
} from "../state/mod.ts";

/** How often virstor locates a pool that other commands are changing. */
const TRIES_MAX = 10;

/** A stopped pool that a command works on. */
export interface StoppedPool {
  /** The state directory. */
  readonly stateDirectory: string;
  /** The pool's name. */
  readonly name: string;
  /** Paths of components that the user gave, absolute. */
  readonly named?: readonly string[] | undefined;
  /** Whether components may be missing: then look for them first. */
  readonly degraded?: boolean | undefined;
  /** Whether to do without journals that are elsewhere. */
  readonly withoutJournal?: boolean;
}

/**
 * Where the components of a pool may be. A path may be gone, or lead to another
 * file by now: the labels decide.
 */
export interface Located {
  /** The paths that the user gave; without any, those of the registry. */
  readonly paths: readonly string[];
  /** The options for the pool layer. */
  readonly options: {
    /** The pool's name. */
    readonly name: string;
    /** The pool's id, if the registry knows it. */
    readonly id?: string;
    /** Further paths where components may be. */
    readonly others: readonly string[];
    /** How to reach components on other machines. */
    readonly remote: RemoteComponents;
  };
}

/** The same, with the pool's registry entry. */
interface Found extends Located {
  readonly entry: RegistryEntry | undefined;
}

/**
 * Runs a function on the components of a stopped pool. Another command may
 * change the pool meanwhile, until the locks are taken. So a failure is tried
 * again if the registry has changed by then. Components that the registry lacks
 * are searched beside the others.
 *
 * @param pool The pool.
 * @param use The function; if it fails, it must have changed nothing.
 * @param isIncomplete Tells from the result whether a component was missing.
 * @returns The result of `use`.
 * @throws {VirstorError} `not-found` if the pool is not known, `busy` if other
 *   commands keep changing it; the errors of `use`.
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
      const isNews = keyOf(next) !== keyOf(located);
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

/** Equal for two results if nothing has changed between them. */
function keyOf({ paths, options, entry }: Found): string {
  const { name, id, others } = options;
  return JSON.stringify([paths, name, id, others, entry]);
}

/** Prints notices for components that were cut or extended. */
function noticeChanges({ entry }: Found): void {
  if (entry !== undefined) noticeSizes(entry);
}

function look({ paths, options }: Located): Promise<BesideReport> {
  const known = [...paths, ...options.others];
  return lookBeside(known.filter((path) => !isUri(path)), options);
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
  { stateDirectory, name, named = [], withoutJournal }: StoppedPool,
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
  const remote = remoteComponents(stateDirectory, withoutJournal);
  return { paths, options: { ...which, others, remote }, entry };
}

/**
 * Assigns components to pools by their labels. With one pool, all components
 * are assigned to it unread: the open reports what is wrong with them.
 *
 * @param names The names of the pools.
 * @param paths Paths of components that the user gave, absolute.
 * @param stateDirectory The state directory.
 * @returns The paths, by the name of their pool.
 * @throws {VirstorError} `invalid` if a component belongs to another pool;
 *   `not-found`, `corrupt`, `unsupported`, `io` if it has no readable label.
 */
export async function assignComponents(
  names: readonly string[],
  paths: readonly string[],
  stateDirectory: string,
): Promise<ReadonlyMap<string, string[]>> {
  const [only] = names;
  if (names.length === 1 && only !== undefined) {
    return new Map([[only, [...paths]]]);
  }
  const remote = remoteComponents(stateDirectory);
  const assigned = new Map<string, string[]>();
  for (const path of paths) {
    const { name } = await findLabel(path, { remote });
    if (!names.includes(name)) {
      throw new VirstorError(
        "invalid",
        `Cannot use component "${path}": it belongs to pool "${name}", which ` +
          "the command does not name; name the pool, too, or leave the " +
          "component out",
      );
    }
    assigned.set(name, [...assigned.get(name) ?? [], path]);
  }
  return assigned;
}
