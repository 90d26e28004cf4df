/**
 * Which pools are known, and where their components were last seen: one small
 * JSON file a pool. It is a hint only. The labels on the components are the
 * truth, and `virstor taste` makes the registry anew from them.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import { messageOf, printable, VirstorError } from "../../errors.ts";
import { printError, printNotices } from "../terminal/mod.ts";
import { makeDirectory, replaceFile, whileLocked } from "./registry_file.ts";
import { registryPath } from "./state_directory.ts";

/** What is known of a pool. */
export interface RegistryEntry {
  /** The pool's name. */
  readonly name: string;
  /** The pool's id, from its labels: a UUID, or a number. */
  readonly id: string;
  /** The paths of its components, absolute. */
  readonly components: readonly string[];
  /**
   * Bytes that each had of use when it was registered, in the same order; 0
   * where that is not known.
   */
  readonly sizes?: readonly number[];
}

/**
 * Makes paths absolute, as they are kept and sent to servers. Links stay:
 * the name that a person chose for a device may be the one that lasts.
 *
 * @param paths Paths, relative to the working directory or absolute.
 * @returns Absolute paths.
 */
export function absolutePaths(paths: readonly string[]): string[] {
  return paths.map((path) => resolve(path));
}

/**
 * Looks a pool up.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns What is known of it, if anything. A damaged file is nothing.
 */
export async function readRegistry(
  stateDirectory: string,
  name: string,
): Promise<RegistryEntry | undefined> {
  return await readEntry(
    registryPath(stateDirectory, name),
    (why) => printError(printable(`virstor: ${why}`)),
  );
}

/**
 * All pools that are known.
 *
 * @param stateDirectory The state directory.
 * @returns The entries, by name.
 */
export async function listRegistry(
  stateDirectory: string,
): Promise<RegistryEntry[]> {
  const directory = directoryOf(stateDirectory);
  const entries: RegistryEntry[] = [];
  const ignored: string[] = [];
  try {
    for await (const { name } of Deno.readDir(directory)) {
      if (!name.endsWith(".json")) continue;
      const ignore = (why: string) => ignored.push(why);
      const entry = await readEntry(`${directory}/${name}`, ignore);
      if (entry !== undefined) entries.push(entry);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new VirstorError(
      "io",
      `Cannot read the registry "${directory}": ${messageOf(error)}`,
      { cause: error },
    );
  }
  printNotices(ignored);
  return entries.sort((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * Makes sure that pools can be registered, before something is done that
 * should be.
 *
 * @param stateDirectory The state directory; made if it is not there.
 * @throws {VirstorError} `io` if it cannot be made.
 */
export async function prepareRegistry(stateDirectory: string): Promise<void> {
  try {
    await makeDirectory(directoryOf(stateDirectory));
  } catch (error) {
    throw new VirstorError(
      "io",
      `Cannot make the state directory "${stateDirectory}": ` +
        `${messageOf(error)}; use another --state-dir`,
      { cause: error },
    );
  }
}

/** A pool, as its status, its labels, or the making of it tell. */
export interface RegistrablePool {
  /** Its name. */
  readonly name: string;
  /** Its id. */
  readonly id: string;
  /** Its components. */
  readonly components: readonly {
    /** Where it is. */
    readonly path: string;
    /** Bytes of use, if they are known. */
    readonly size?: number;
    /** What its label says, which tells them, too. */
    readonly label?: {
      /** Bytes of use. */
      readonly componentSize: number;
    };
  }[];
}

/**
 * Makes a pool known, or replaces what is known of it, durably and in one
 * step.
 *
 * @param stateDirectory The state directory; made if it is not there.
 * @param pool The pool.
 * @throws {VirstorError} `io` if it cannot be written.
 */
export async function registerPool(
  stateDirectory: string,
  pool: RegistrablePool,
): Promise<void> {
  await updatePool(stateDirectory, pool.name, () => Promise.resolve(pool));
}

/**
 * Changes what is known of a pool. No other process changes the registry
 * meanwhile.
 *
 * @param stateDirectory The state directory; made if it is not there.
 * @param name The pool's name.
 * @param change Told what is known; returns what is to be known, or nothing if
 *   that stays as it is.
 * @throws {VirstorError} `io` if it cannot be written.
 */
export async function updatePool(
  stateDirectory: string,
  name: string,
  change: (
    entry: RegistryEntry | undefined,
  ) => Promise<RegistrablePool | undefined>,
): Promise<void> {
  await prepareRegistry(stateDirectory);
  await whileLocked(directoryOf(stateDirectory), async () => {
    const pool = await change(await readRegistry(stateDirectory, name));
    if (pool === undefined) return;
    const sizes = new Map(
      pool.components.map(({ path, size, label }) => [
        resolve(path),
        size ?? label?.componentSize ?? 0,
      ]),
    );
    await writeEntry(stateDirectory, {
      name,
      id: pool.id,
      components: [...sizes.keys()],
      sizes: [...sizes.values()],
    });
  });
}

/**
 * Forgets components, and the pools of which none is left.
 *
 * @param stateDirectory The state directory.
 * @param paths The components' paths, absolute.
 */
export async function forgetComponents(
  stateDirectory: string,
  paths: readonly string[],
): Promise<void> {
  await whileLocked(directoryOf(stateDirectory), async () => {
    for (const entry of await listRegistry(stateDirectory)) {
      const isKept = (path: string) => !paths.includes(path);
      const components = entry.components.filter(isKept);
      if (components.length === entry.components.length) continue;
      if (components.length > 0) {
        const sizes = entry.components.flatMap((path, i) =>
          isKept(path) ? [sizeIn(entry, i)] : []
        );
        await writeEntry(stateDirectory, { ...entry, components, sizes });
      } else {
        await Deno.remove(registryPath(stateDirectory, entry.name));
      }
    }
  });
}

function directoryOf(stateDirectory: string): string {
  return dirname(registryPath(stateDirectory, "any"));
}

async function writeEntry(
  stateDirectory: string,
  entry: RegistryEntry,
): Promise<void> {
  const path = registryPath(stateDirectory, entry.name);
  try {
    await replaceFile(path, JSON.stringify(entry, null, 2) + "\n");
  } catch (error) {
    throw new VirstorError(
      "io",
      `Cannot register pool "${entry.name}" in "${stateDirectory}": ` +
        `${messageOf(error)}; use another --state-dir`,
      { cause: error },
    );
  }
}

async function readEntry(
  path: string,
  ignore: (why: string) => void,
): Promise<RegistryEntry | undefined> {
  try {
    const entry = entryOf(JSON.parse(await Deno.readTextFile(path)));
    if (entry !== undefined) return entry;
    ignore(`Ignoring "${path}": it is no entry of the registry`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      ignore(`Ignoring "${path}": ${messageOf(error)}`);
    }
  }
  return undefined;
}

function entryOf(value: unknown): RegistryEntry | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { name, id, components, sizes }: Record<string, unknown> = {
    ...value,
  };
  // Before there was the native format every id was a number.
  if (typeof id !== "string" && typeof id !== "number") return undefined;
  if (typeof name !== "string" || !isPathList(components)) return undefined;
  const entry = { name, id: String(id), components };
  return isSizeList(sizes) ? { ...entry, sizes } : entry;
}

/** The size of a component when it was registered, or 0. */
function sizeIn({ sizes }: RegistryEntry, index: number): number {
  return sizes?.[index] ?? 0;
}

/**
 * The size of a component when its pool was registered.
 *
 * @param entry What is known of the pool.
 * @param path The component's path, absolute.
 * @returns Bytes of use; 0 if it is not known.
 */
export function registeredSize(entry: RegistryEntry, path: string): number {
  return sizeIn(entry, entry.components.indexOf(path));
}

function isSizeList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => size >= 0);
}

function isPathList(value: unknown): value is string[] {
  return Array.isArray(value) &&
    value.every((path) => typeof path === "string");
}
