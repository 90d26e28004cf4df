/**
 * From a pool's name to the paths of its components.
 *
 * @module
 */

import { resolve } from "node:path";
import { VirstorError } from "../errors.ts";
import { readLabel } from "../pool/mod.ts";
import { noticeSizes } from "./known_component.ts";
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
  if (entry !== undefined) noticeSizes(entry);
  return [...new Set([...given, ...entry?.components ?? []])];
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
