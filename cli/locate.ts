/**
 * From a pool's name to the paths of its components.
 *
 * @module
 */

import { resolve } from "node:path";
import { VirstorError } from "../errors.ts";
import { readRegistry } from "./registry.ts";

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
 * Finds the components of a pool that is not served.
 *
 * @param stateDirectory The state directory.
 * @param name The pool's name.
 * @param given Paths that the user gave in addition, absolute.
 * @returns Paths, some of which may be gone, or hold something else by now:
 *   the labels tell.
 * @throws {VirstorError} `not-found` if the pool is not known.
 */
export async function locateComponents(
  stateDirectory: string,
  name: string,
  given: readonly string[] = [],
): Promise<string[]> {
  const entry = await readRegistry(stateDirectory, name);
  if (entry === undefined && given.length === 0) {
    throw new VirstorError(
      "not-found",
      `Cannot find pool "${name}": it is not registered in ` +
        `"${stateDirectory}"; look for it with "virstor taste DIR"`,
    );
  }
  return [...new Set([...given, ...entry?.components ?? []])];
}
