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
  CLAIM,
  makeDirectory,
  removeHeld,
  replaceFile,
  syncDirectory,
  waitForHeld,
  whileLocked,
} from "./registry_file.ts";
import { absolutePath, parentPath } from "./paths.ts";
import { readEntry, type RegistryEntry } from "./registry_entry.ts";
import { registryPath } from "./state_directory.ts";

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
  return await readEntry(registryPath(stateDirectory, name), (why) => {
    if (isNews(why)) printError(printable(`virstor: ${why}`));
  });
}

/** What was said of damaged entries: a command reads an entry several times. */
const said = new Set<string>();

/** Says of damaged entries again what an earlier command has said. */
export function beginNotices(): void {
  said.clear();
}

function isNews(notice: string): boolean {
  if (said.has(notice)) return false;
  said.add(notice);
  return true;
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
  printNotices(ignored.filter(isNews));
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

/** Returns what an entry is to be; `undefined` leaves it as it is. */
type EntryChange = (
  entry: RegistryEntry | undefined,
) => Promise<RegistrablePool | undefined>;

/** A name that a command has claimed: no other command changes its entry. */
export interface ClaimedName {
  /** Reads the entry; `undefined` if there is none or its file is damaged. */
  read(): Promise<RegistryEntry | undefined>;
  /**
   * Changes the entry, durably and atomically.
   *
   * @param change Takes the entry, returns the new content.
   * @throws {VirstorError} `io` if the registry cannot be written.
   */
  update(change: EntryChange): Promise<void>;
  /**
   * Removes the entry, durably, if it is that of a pool.
   *
   * @param id The pool's id.
   * @throws {VirstorError} `io` if the entry cannot be removed.
   */
  forget(id: string): Promise<void>;
}

/**
 * Runs a function that gives a name to a pool: what it reads of the name's entry
 * stays true until it writes the entry. Another command that wants to change
 * the entry waits for its end, for two seconds at most. Where the directory
 * cannot be written or has no locks, the function runs all the same.
 *
 * Requires: the function claims the name no second time.
 *
 * @param stateDirectory The state directory; created if it does not exist.
 * @param name The name.
 * @param what What the command does, for the message: `label pool "vm"`.
 * @param action The function.
 * @returns The result of `action`.
 * @throws {VirstorError} `busy` if another command keeps the name claimed; `io`
 *   if the directory cannot be created.
 */
export async function whileClaimed<T>(
  stateDirectory: string,
  name: string,
  what: string,
  action: (claimed: ClaimedName) => Promise<T>,
): Promise<T> {
  await prepareRegistry(stateDirectory);
  const path = registryPath(stateDirectory, name) + CLAIM;
  const claim = await waitForHeld(
    path,
    `Cannot ${what}: another command gives the name "${name}" to a pool at ` +
      "the moment; try again when it has ended",
  );
  try {
    return await action({
      read: () => readRegistry(stateDirectory, name),
      update: (change) => updateEntry(stateDirectory, name, change),
      forget: (id) => removeEntry(stateDirectory, name, id),
    });
  } finally {
    if (claim !== undefined) removeHeld(path, claim);
  }
}

/**
 * Changes the entry of a pool. Other commands cannot change it meanwhile.
 *
 * @param stateDirectory The state directory; created if it does not exist.
 * @param name The pool's name.
 * @param change Takes the entry; returns the new content, or `undefined` to
 *   leave the entry as it is.
 * @throws {VirstorError} `io` if the registry cannot be written, `busy` if
 *   another command keeps the name claimed.
 */
export async function updatePool(
  stateDirectory: string,
  name: string,
  change: EntryChange,
): Promise<void> {
  const what = `register pool "${name}" in "${stateDirectory}"`;
  await whileClaimed(
    stateDirectory,
    name,
    what,
    ({ update }) => update(change),
  );
}

async function updateEntry(
  stateDirectory: string,
  name: string,
  change: EntryChange,
): Promise<void> {
  await whileLocked(directoryOf(stateDirectory), async () => {
    const before = await readRegistry(stateDirectory, name);
    const pool = await change(before);
    if (pool === undefined) return;
    const isSame = before?.id === pool.id;
    const volumes = pool.volumeNames ?? (isSame ? before?.volumes : []) ?? [];
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

async function removeEntry(
  stateDirectory: string,
  name: string,
  id: string,
): Promise<void> {
  const path = registryPath(stateDirectory, name);
  try {
    await whileLocked(directoryOf(stateDirectory), async () => {
      const entry = await readRegistry(stateDirectory, name);
      if (entry !== undefined && entry.id !== id) return;
      await Deno.remove(path);
    });
    await syncDirectory(directoryOf(stateDirectory));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new VirstorError(
      "io",
      `Cannot remove "${path}": ${messageOf(error)}`,
      { cause: error },
    );
  }
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
 * Removes a pool from the registry, durably. The entry of another pool, which
 * has got the name meanwhile, stays.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @param id The pool's id.
 * @throws {VirstorError} `io` if the entry cannot be removed, `busy` if another
 *   command keeps the name claimed.
 */
export async function forgetPool(
  stateDirectory: string,
  name: string,
  id: string,
): Promise<void> {
  const what = `forget pool "${name}"`;
  await whileClaimed(stateDirectory, name, what, ({ forget }) => forget(id));
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
