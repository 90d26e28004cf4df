/**
 * An entry of the registry, and how its file is read.
 *
 * @module
 */

import { messageOf } from "../../errors.ts";

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
 * Reads the file of an entry.
 *
 * @param path The file's path.
 * @param ignore Called with the reason if the file is no entry.
 * @returns The entry; `undefined` if there is no file, or it is damaged.
 */
export async function readEntry(
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

function isSizeList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => size >= 0);
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) &&
    value.every((text) => typeof text === "string");
}
