/**
 * The registry: the known pools and the last known paths of their components,
 * one small JSON file a pool. The registry is only a hint. The labels on the
 * components are the truth, and `virstor taste` rebuilds the registry from
 * them.
 *
 * @module
 */

import { messageOf, printable, VirstorError } from "../../errors.ts";
import { printError, printNotices } from "../terminal/mod.ts";
import {
  makeDirectory,
  replaceFile,
  syncDirectory,
  whileLocked,
} from "./registry_file.ts";
import { absolutePath, parentPath } from "./paths.ts";
import { registryPath } from "./state_directory.ts";

/** The registry's entry of a pool. */
export interface RegistryEntry {
  /** The pool's name. */
  readonly name: string;
  /** The pool's id, from its labels: a UUID, or a number. */
  readonly id: string;
  /** The paths of its components, absolute. */
  readonly components: readonly string[];
  /**
   * The usable bytes of each component when it was registered, in the same
   * order; 0 where that is not known.
   */
  readonly sizes?: readonly number[];
  /**
   * Its volumes but the first, and all snapshots, as users name them:
   * `POOL/VOLUME`, `POOL/VOLUME@SNAPSHOT`. Completion reads them.
   */
  readonly volumes?: readonly string[];
}

/**
 * Makes paths absolute, for the registry and for servers. Symbolic links stay:
 * the name that the user chose for a device may be its only lasting one.
 *
 * @param paths Paths, relative to the working directory or absolute.
 * @returns Absolute paths.
 */
export function absolutePaths(paths: readonly string[]): string[] {
  return paths.map(absolutePath);
}

/**
 * Looks a pool up.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @returns The entry; `undefined` if there is none or its file is damaged.
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
 * Lists all known pools.
 *
 * @param stateDirectory The state directory.
 * @returns The entries, sorted by name.
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
 * Makes the registry's directory, before a command does something that it has
 * to register.
 *
 * @param stateDirectory The state directory; created if it does not exist.
 * @throws {VirstorError} `io` if the directory cannot be created.
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

/** What the registry needs of a pool: a status, a tasted or labelled pool. */
export interface RegistrablePool {
  /** The pool's name. */
  readonly name: string;
  /** The pool's id. */
  readonly id: string;
  /** The pool's components. */
  readonly components: readonly {
    /** The component's path. */
    readonly path: string;
    /** The component's usable bytes, if they are known. */
    readonly size?: number;
    /** The component's label, which has them, too. */
    readonly label?: {
      /** The component's usable bytes. */
      readonly componentSize: number;
    };
  }[];
  /** Its volumes and snapshots, as users name them; as before if absent. */
  readonly volumeNames?: readonly string[];
}

/**
 * Registers a pool, or replaces its entry, durably and atomically.
 *
 * @param stateDirectory The state directory; created if it does not exist.
 * @param pool The pool.
 * @throws {VirstorError} `io` if the registry cannot be written.
 */
export async function registerPool(
  stateDirectory: string,
  pool: RegistrablePool,
): Promise<void> {
  await updatePool(stateDirectory, pool.name, () => Promise.resolve(pool));
}

/**
 * Changes the entry of a pool. A lock keeps other processes from changing the
 * registry meanwhile.
 *
 * @param stateDirectory The state directory; created if it does not exist.
 * @param name The pool's name.
 * @param change Takes the entry; returns the new content, or `undefined` to
 *   leave the entry as it is.
 * @throws {VirstorError} `io` if the registry cannot be written.
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
    const before = await readRegistry(stateDirectory, name);
    const pool = await change(before);
    if (pool === undefined) return;
    const volumes = pool.volumeNames ?? before?.volumes ?? [];
    const sizes = new Map(
      pool.components.map(({ path, size, label }) => [
        absolutePath(path),
        size ?? label?.componentSize ?? 0,
      ]),
    );
    await writeEntry(stateDirectory, {
      name,
      id: pool.id,
      components: [...sizes.keys()],
      sizes: [...sizes.values()],
      ...volumes.length > 0 && { volumes },
    });
  });
}

/**
 * Removes components from the registry, and pools that have none left.
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

/**
 * Removes a pool from the registry, durably.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @throws {VirstorError} `io` if the entry cannot be removed.
 */
export async function forgetPool(
  stateDirectory: string,
  name: string,
): Promise<void> {
  const path = registryPath(stateDirectory, name);
  try {
    await whileLocked(directoryOf(stateDirectory), () => Deno.remove(path));
    await syncDirectory(directoryOf(stateDirectory));
  } catch (error) {
    throw new VirstorError(
      "io",
      `Cannot remove "${path}": ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function directoryOf(stateDirectory: string): string {
  return parentPath(registryPath(stateDirectory, "any"));
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
    // Reading a FIFO, say, might never end.
    const { isFile } = await Deno.stat(path);
    const entry = isFile
      ? entryOf(JSON.parse(await Deno.readTextFile(path)))
      : undefined;
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
  const { name, id, components, sizes, volumes }: Record<string, unknown> = {
    ...value,
  };
  // Entries of before the native format have a number as id.
  if (typeof id !== "string" && typeof id !== "number") return undefined;
  if (typeof name !== "string" || !isTextList(components)) return undefined;
  return {
    name,
    id: String(id),
    components,
    ...isSizeList(sizes) && { sizes },
    ...isTextList(volumes) && { volumes },
  };
}

/** The usable bytes of a component when it was registered; 0 if not known. */
function sizeIn({ sizes }: RegistryEntry, index: number): number {
  return sizes?.[index] ?? 0;
}

/**
 * The usable size of a component when its pool was registered.
 *
 * @param entry The pool's entry.
 * @param path The component's path, absolute.
 * @returns Bytes; 0 if the size is not known.
 */
export function registeredSize(entry: RegistryEntry, path: string): number {
  return sizeIn(entry, entry.components.indexOf(path));
}

function isSizeList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => size >= 0);
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) &&
    value.every((text) => typeof text === "string");
}
